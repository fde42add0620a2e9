//! Public SSH keys, as lines of an `authorized_keys` file.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD, engine::general_purpose::STANDARD_NO_PAD};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// The kinds of keys that OpenSSH takes today.
const KINDS: [&str; 7] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// A key that may log in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SshKey {
    /// Its kind.
    pub kind: String,
    /// What tells it from others, as `ssh-keygen -l` shows it.
    pub fingerprint: String,
    /// Whose it is, by the line's own words.
    pub comment: String,
}

impl fmt::Display for SshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, fingerprint, comment } = self;
        write!(f, "{fingerprint} {kind}")?;
        if comment.is_empty() { Ok(()) } else { write!(f, " {comment}") }
    }
}

/// The keys in a text, and the lines that they stand in, which may have options.
///
/// # Errors
/// Which line is none.
pub fn ssh_keys(text: &str) -> Result<Vec<(SshKey, &str)>, String> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let keys = lines.map(|(at, line)| {
        let none = || format!("line {at} is no public key of SSH such as `ssh-ed25519 AAAA... anna`");
        key(line).map(|key| (key, line)).ok_or_else(none)
    });
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    if keys.is_empty() { Err("there is no key in it".to_owned()) } else { Ok(keys) }
}

/// The key of a line, which may begin with options.
fn key(line: &str) -> Option<SshKey> {
    if line.chars().any(char::is_control) {
        return None;
    }
    let mut words = words(line);
    let kind = words.find(|word| KINDS.contains(word))?;
    let blob = words.next()?;
    let rest = line.split_once(blob)?.1.trim();
    let bytes = STANDARD.decode(blob).ok()?;
    // The key says its kind once more, after the length of that word.
    let (length, inner) = bytes.split_first_chunk::<4>()?;
    let inner = inner.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    let same = inner == kind.as_bytes() && bytes.len() > 4 + inner.len();
    let fingerprint = format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(&bytes)));
    same.then(|| SshKey { kind: kind.to_owned(), fingerprint, comment: rest.to_owned() })
}

/// Words between blanks, where blanks within quotes do not count.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    line.split(move |letter| {
        quoted ^= letter == '"';
        letter == ' ' && !quoted
    })
    .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

    #[test]
    fn a_key_is_told_as_ssh_keygen_tells_it() {
        let check = |text: &str, comments: &[&str]| {
            let keys = ssh_keys(text).expect(text);
            assert_eq!(keys.iter().map(|(key, _)| key.comment.as_str()).collect::<Vec<_>>(), comments);
            for (key, line) in keys {
                assert_eq!(key.fingerprint, "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU");
                assert!(text.contains(line));
            }
        };
        check(&format!("# mine\n\n{ED} anna@desk\n"), &["anna@desk"]);
        check(&format!("{ED}\nfrom=\"10.0.0.0/8\",command=\"echo a b\" {ED} a b"), &["", "a b"]);
    }

    #[test]
    fn what_is_no_key_is_refused_with_its_line() {
        let check = |text: &str, line: usize| {
            let want = format!("line {line} is no public key of SSH such as `ssh-ed25519 AAAA... anna`");
            assert_eq!(ssh_keys(text), Err(want), "{text}");
        };
        check(&format!("{ED}\nanna"), 2);
        check(&ED.replace("ssh-ed25519", "ssh-rsa"), 1);
        check(&format!("{ED}!"), 1);
        check(&format!("{ED} a\u{1b}[2J"), 1);
        check("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", 1);
        assert_eq!(ssh_keys("# none\n"), Err("there is no key in it".to_owned()));
    }
}
