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
pub(crate) struct SshKey {
    /// Its kind.
    pub(crate) kind: String,
    /// What tells it from others, as `ssh-keygen -l` shows it.
    pub(crate) fingerprint: String,
    /// Whose it is, by the line's own words.
    pub(crate) comment: String,
}

impl fmt::Display for SshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, fingerprint, comment } = self;
        write!(f, "{fingerprint} {kind}")?;
        if comment.is_empty() { Ok(()) } else { write!(f, " {comment}") }
    }
}

/// Whether a word is a key and not the name of a file.
pub(crate) fn is_key(word: &str) -> bool {
    word.split_once(' ').is_some_and(|(kind, _)| KINDS.contains(&kind))
}

/// The keys in a file's text, by line; `name` is told in errors.
pub(crate) fn keys(name: &str, text: &str) -> Result<Vec<SshKey>, String> {
    if text.contains("PRIVATE KEY-----") {
        return Err(format!("{name} is a private key; give the public one, which ends in .pub"));
    }
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines.map(|(number, line)| key(line).ok_or_else(|| format!("{name}:{number}: this is no public SSH key"))).collect()
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
    let same = inner == kind.as_bytes();
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
            let keys = keys("k", text).expect(text);
            assert_eq!(keys.iter().map(|key| key.comment.as_str()).collect::<Vec<_>>(), comments);
            for key in keys {
                assert_eq!(key.fingerprint, "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU");
            }
        };
        check(&format!("# mine\n\n{ED} anna@desk\n"), &["anna@desk"]);
        check(&format!("{ED}\nfrom=\"10.0.0.0/8\",command=\"echo a b\" {ED} a b"), &["", "a b"]);
    }

    #[test]
    fn what_is_no_key_is_refused_with_its_line() {
        let check = |text: &str, want: &str| assert_eq!(keys("k", text), Err(want.to_owned()), "{text}");
        let private = format!("-----BEGIN OPENSSH {} KEY-----\n", "PRIVATE");
        check(&private, "k is a private key; give the public one, which ends in .pub");
        check(&format!("{ED}\nanna"), "k:2: this is no public SSH key");
        check(&ED.replace("ssh-ed25519", "ssh-rsa"), "k:1: this is no public SSH key");
        check(&format!("{}!", ED), "k:1: this is no public SSH key");
        check(&format!("{ED} a\u{1b}[2J"), "k:1: this is no public SSH key");
    }
}
