//! The node's key at rest. Where the machine has a TPM, systemd-creds seals the key to it and to this user, so that the disk
//! alone is no node; the key to use lies in the runtime folder, which is memory, until the next boot.

use std::{
    fs::{self, DirBuilder},
    io::{self, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::files::{Pair, write};

/// What the kernel shows of a TPM that programs may use.
const TPM: &str = "/sys/class/tpmrm/tpmrm0";
/// What systemd-creds writes is base64, and no shorter than this.
const SEALED: usize = 64;
/// What a sealed key is called; it opens under no other name.
const NAME: &str = "reelmill-node-key";

/// Where the key lies that connections use: in the runtime folder, if there is one.
pub fn key_to_use(state: &Path, runtime: Option<&Path>) -> PathBuf {
    runtime.map_or_else(|| Pair::in_use(state).key, |folder| folder.join("key.pem"))
}

/// Lays the key that is in use out there, unless it lies there already.
///
/// # Errors
/// If it cannot be opened, or the disk refuses.
pub fn lay_out(state: &Path, runtime: Option<&Path>) -> io::Result<()> {
    let (rest, to) = (Pair::in_use(state).key, key_to_use(state, runtime));
    if to.exists() || !rest.exists() {
        return Ok(());
    }
    let folder = to.parent().expect("a file in a folder");
    DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
    write(&to, &open(fs::read(rest)?)?)
}

/// Takes the key away that is laid out, before another one takes its place at rest: whoever dies between finds none, and lays
/// the right one out.
///
/// # Errors
/// If the disk refuses.
pub fn take_in(state: &Path, runtime: Option<&Path>) -> io::Result<()> {
    match runtime.map(|_| fs::remove_file(key_to_use(state, runtime))) {
        Some(Err(e)) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// A key as it is to lie on the disk. Where no TPM can seal it, it is as open as the disk is.
pub(super) fn close(pem: &str) -> Vec<u8> {
    if Path::new(TPM).exists() {
        match creds(&["--with-key=host+tpm2", "encrypt"], pem.as_bytes()) {
            Ok(sealed) => return sealed,
            Err(e) => log::warn!("cannot seal this node's key to the machine's TPM, so it lies open on the disk: {e}"),
        }
    }
    pem.as_bytes().to_vec()
}

/// The key, PEM, that a file holds; what is not sealed is given as it is.
pub(super) fn open(rest: Vec<u8>) -> io::Result<Vec<u8>> {
    let base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=\n".contains(byte);
    if rest.len() < SEALED || !rest.iter().all(base64) {
        return Ok(rest);
    }
    creds(&["decrypt"], &rest).map_err(|e| {
        let why = format!("this machine's TPM does not open it: {e}; remove it and let the node in anew");
        io::Error::new(io::ErrorKind::InvalidData, why)
    })
}

/// What the program says to what is put into it. Neither is ever on a command line.
fn creds(words: &[&str], input: &[u8]) -> io::Result<Vec<u8>> {
    let mut command = Command::new("systemd-creds");
    command.args(["--user", "--quiet", &format!("--name={NAME}")]).args(words).args(["-", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| io::Error::new(e.kind(), format!("systemd-creds: {e}")))?;
    // It reads all before it writes. One that ends before tells why below.
    let _ = child.stdin.take().expect("it is piped").write_all(input);
    let ran = child.wait_with_output()?;
    if ran.status.success() && !ran.stdout.is_empty() {
        return Ok(ran.stdout);
    }
    let said = String::from_utf8_lossy(&ran.stderr);
    Err(io::Error::other(format!("systemd-creds: {}: {}", ran.status, said.trim().replace('\n', "; "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";

    #[test]
    fn an_open_key_is_laid_out_as_it_is_and_taken_in_before_another_comes() {
        let folder = tempfile::tempdir().expect("a folder");
        let (state, runtime) = (folder.path().join("state"), folder.path().join("run"));
        fs::create_dir(&state).expect("ours");
        lay_out(&state, Some(&runtime)).expect("nothing to lay out");
        let to = key_to_use(&state, Some(&runtime));
        assert!(!to.exists());
        fs::write(state.join("key.pem"), KEY).expect("ours");
        lay_out(&state, Some(&runtime)).expect("laid out");
        assert_eq!(fs::read_to_string(&to).expect("it is there"), KEY);
        take_in(&state, Some(&runtime)).expect("taken in");
        take_in(&state, Some(&runtime)).expect("it may be done again");
        assert!(!to.exists() && state.join("key.pem").exists());
    }

    #[test]
    fn without_a_runtime_folder_the_key_is_used_where_it_lies() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("key.pem"), KEY).expect("ours");
        lay_out(folder.path(), None).expect("it lies there");
        take_in(folder.path(), None).expect("there is no other");
        assert_eq!(fs::read_to_string(key_to_use(folder.path(), None)).expect("it is there"), KEY);
    }

    #[test]
    fn what_was_not_sealed_here_says_what_to_do() {
        let said = open(b"Wh4t/someb0dy+else/se4led".repeat(9)).expect_err("no key").to_string();
        assert!(said.starts_with("this machine's TPM does not open it: systemd-creds: "), "{said}");
        assert!(said.ends_with("; remove it and let the node in anew"), "{said}");
    }
}
