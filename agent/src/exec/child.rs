//! Other people's programs, run as root: each with a time limit, no more of our environment than `PATH`, and its last words
//! in the error.

use std::{
    ffi::OsStr,
    io::ErrorKind,
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use tokio::{io::AsyncWriteExt as _, process::Command};
use tokio_util::sync::CancellationToken;

use crate::deeds::Undone;

/// How many of its last lines are told.
const LINES: usize = 5;
/// And how many characters of them at most.
const LETTERS: usize = 800;

/// Runs a program to its end, whatever that is, with `input` to read. It is killed when `stop` is cancelled or `limit` is
/// over.
///
/// # Errors
/// `not_supported` where the program is not there, `stopped`, `too_slow`.
pub async fn run(
    program: &Path,
    words: &[&str],
    input: &str,
    limit: Duration,
    stop: &CancellationToken,
) -> Result<Output, Undone> {
    let shown = shown(program, words);
    let mut command = Command::new(program);
    command.args(words).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("LC_ALL", "C.UTF-8");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|e| match e.kind() {
        ErrorKind::NotFound => Undone::for_good("not_supported", format!("this node has no {}", program.display())),
        _ => Undone::for_now("no_program", format!("cannot run `{shown}`: {e}")),
    })?;
    let mut stdin = child.stdin.take().expect("it was asked for");
    // One that reads nothing may have ended before.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    tokio::select! {
        output = tokio::time::timeout(limit, child.wait_with_output()) => match output {
            Ok(output) => output.map_err(|e| Undone::for_now("no_program", format!("cannot wait for `{shown}`: {e}"))),
            Err(_) => Err(Undone::for_now("too_slow", format!("`{shown}` took longer than {} s", limit.as_secs()))),
        },
        () = stop.cancelled() => Err(Undone::for_now("stopped", format!("`{shown}` was asked to end"))),
    }
}

/// A program that failed, with its last words.
pub fn failed(code: &str, program: &Path, words: &[&str], output: &Output) -> Undone {
    let said = last_words(output);
    Undone::for_now(code, format!("`{}` failed ({}): {said}", shown(program, words), output.status))
}

/// The last lines of what a program said, in one.
pub fn last_words(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat();
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(LINES)..].join("; ").chars().take(LETTERS).collect()
}

fn shown(program: &Path, words: &[&str]) -> String {
    let words = words.iter().map(OsStr::new);
    let all: Vec<_> = [program.as_os_str()].into_iter().chain(words).map(OsStr::to_string_lossy).collect();
    all.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sh(script: &str, input: &str, limit: Duration, stop: &CancellationToken) -> Result<Output, Undone> {
        run(Path::new("/bin/sh"), &["-c", script], input, limit, stop).await
    }

    #[tokio::test]
    async fn a_program_is_fed_heard_and_ended() {
        let (minute, go) = (Duration::from_secs(60), CancellationToken::new());
        let output = sh("cat; echo $PWDX$HOME >&2; exit 3", "NO\n", minute, &go).await.expect("it runs");
        assert_eq!((output.status.code(), last_words(&output)), (Some(3), "NO".to_owned()));
        let undone = failed("x", Path::new("/bin/sh"), &["-c", "it"], &output);
        assert_eq!(undone.message, "`/bin/sh -c it` failed (exit status: 3): NO");

        let undone = sh("sleep 60", "", Duration::ZERO, &go).await.expect_err("too slow");
        assert_eq!((undone.code.as_str(), undone.retry), ("too_slow", true));
        go.cancel();
        let undone = sh("sleep 60", "", minute, &go).await.expect_err("stopped");
        assert_eq!(undone.code, "stopped");
        let undone = run(Path::new("nvpmodel-that-is-not"), &[], "", minute, &go).await.expect_err("none");
        assert_eq!(
            (undone.code.as_str(), undone.message.as_str()),
            ("not_supported", "this node has no nvpmodel-that-is-not")
        );
    }
}
