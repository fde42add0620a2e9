//! Programs that are run to their end, and how one is told of that fails.

use std::{
    fmt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, setpriority_process};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::{Child, Command},
};
use tokio_util::sync::CancellationToken;

/// Where programs are looked for after `PATH`: those of a NixOS, and those of Nix beside another system.
const FOLDERS: [&str; 3] = ["/run/current-system/sw/bin", "/nix/var/nix/profiles/default/bin", "/usr/bin"];
/// What is kept of what a program prints; a question has a short answer.
const LONGEST: u64 = 4 << 20;
/// The last lines of what it said are told.
const TOLD_LINES: usize = 4;
/// The lowest priority there is: the node's work goes first, also at the disk.
const LOWEST: i32 = 19;

/// A program that did not do what it was to do.
#[derive(Debug)]
pub struct Failed {
    /// The program and its arguments.
    pub command: String,
    /// How it ended.
    pub how: String,
    /// What it printed on standard error.
    pub said: String,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.command, self.how)?;
        let lines: Vec<&str> = self.said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let last = &lines[lines.len().saturating_sub(TOLD_LINES)..];
        if last.is_empty() { Ok(()) } else { write!(f, ": {}", last.join("; ")) }
    }
}

impl std::error::Error for Failed {}

/// A program to run.
pub struct Program {
    command: Command,
    words: String,
    limit: Duration,
}

impl Program {
    /// The program of that name with these arguments, which may take so long.
    pub fn new<S: AsRef<str>>(name: &str, args: impl IntoIterator<Item = S>, limit: Duration) -> Self {
        let mut command = Command::new(find(name));
        let mut words = name.to_owned();
        for arg in args {
            command.arg(arg.as_ref());
            words = format!("{words} {}", arg.as_ref());
        }
        // It ends with the future that waits for it.
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        Self { command, words, limit }
    }

    /// What it prints on standard output.
    ///
    /// # Errors
    /// If it cannot be run, takes too long, or fails.
    pub async fn answer(self) -> Result<String, Failed> {
        Ok(self.run(|_| (), &CancellationToken::new()).await?.0)
    }

    /// What it prints on standard output and on standard error; each line of the latter is told as it comes. It ends when
    /// `stop` is cancelled.
    ///
    /// # Errors
    /// If it cannot be run, takes too long, fails or is stopped.
    pub async fn run(
        mut self,
        mut told: impl FnMut(&str),
        stop: &CancellationToken,
    ) -> Result<(String, String), Failed> {
        let failed = |how: String, said: &str| Failed { command: self.words.clone(), how, said: said.to_owned() };
        let mut child = self.command.spawn().map_err(|e| failed(format!("cannot be run: {e}"), ""))?;
        lower(&child);
        let (mut printed, mut said) = (String::new(), String::new());
        let ended = tokio::select! {
            ended = collect(&mut child, &mut printed, &mut said, &mut told) => ended.map_err(|e| e.to_string()),
            () = tokio::time::sleep(self.limit) => Err(format!("not done within {} s", self.limit.as_secs())),
            () = stop.cancelled() => Err("stopped".to_owned()),
        };
        match ended {
            Ok(status) if status.success() => Ok((printed, said)),
            Ok(status) => Err(failed(status.to_string(), &said)),
            Err(how) => Err(failed(how, &said)),
        }
    }
}

/// Its output to the end, then its end.
async fn collect(
    child: &mut Child,
    printed: &mut String,
    said: &mut String,
    told: &mut impl FnMut(&str),
) -> std::io::Result<ExitStatus> {
    let (out, err) = (child.stdout.take().expect("it was asked for"), child.stderr.take().expect("it was asked for"));
    let mut bytes = Vec::new();
    let print = async { out.take(LONGEST).read_to_end(&mut bytes).await.map(drop) };
    let say = async {
        let mut lines = BufReader::new(err.take(LONGEST)).split(b'\n');
        while let Some(line) = lines.next_segment().await? {
            let line = String::from_utf8_lossy(&line);
            told(&line);
            said.push_str(&line);
            said.push('\n');
        }
        std::io::Result::Ok(())
    };
    tokio::try_join!(print, say)?;
    *printed = String::from_utf8_lossy(&bytes).into_owned();
    child.wait().await
}

/// Its threads, which it has not begun yet, are as low as it is. One that has ended needs none.
fn lower(child: &Child) {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        let _ = setpriority_process(Some(pid), LOWEST);
    }
}

/// The path of a program; its bare name if it is nowhere, so that the error names it.
pub fn find(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(FOLDERS.iter().map(PathBuf::from));
    folders
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| Path::new(name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limit: Duration) -> Program {
        Program::new("sh", ["-c", script], limit)
    }

    const SOON: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_program_that_fails_is_told_with_its_words_and_its_last_lines() {
        let failed =
            sh("for i in 1 2 3 4 5; do echo line $i >&2; done; exit 7", SOON).answer().await.expect_err("it fails");
        assert_eq!(
            failed.to_string(),
            "sh -c for i in 1 2 3 4 5; do echo line $i >&2; done; exit 7: exit status: 7: line 2; line 3; line 4; line 5"
        );
        let failed = Program::new("no-such-program", ["x"], SOON).answer().await.expect_err("it is not there");
        assert!(failed.to_string().starts_with("no-such-program x: cannot be run: "), "{failed}");
    }

    #[tokio::test]
    async fn what_it_prints_and_says_is_kept_apart_and_told_by_lines() {
        let mut lines = Vec::new();
        let ran = sh("echo a; echo b >&2; echo c; printf d >&2", SOON);
        let (printed, said) =
            ran.run(|line| lines.push(line.to_owned()), &CancellationToken::new()).await.expect("it runs");
        assert_eq!(
            (printed.as_str(), said.as_str(), lines),
            ("a\nc\n", "b\nd\n", vec!["b".to_owned(), "d".to_owned()])
        );
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_ended() {
        let failed = sh("exec sleep 600", Duration::from_millis(50)).answer().await.expect_err("it hangs");
        assert!(failed.how.starts_with("not done within "), "{failed}");
        let stop = CancellationToken::new();
        stop.cancel();
        let failed = sh("exec sleep 600", SOON).run(|_| (), &stop).await.expect_err("it is stopped");
        assert_eq!(failed.how, "stopped");
    }
}
