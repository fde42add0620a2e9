//! A program that runs: its log goes to the screen, and it is stopped with patience and then without.

use std::{
    io,
    process::ExitStatus,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    last_words::{LastWords, Listener},
    screen::Screen,
};

/// How long what a program wrote may take to arrive after its end; a child of its own may hold the pipe open.
pub(crate) const LAST_BYTES: Duration = Duration::from_secs(1);

/// A child process. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Running {
    name: &'static str,
    child: Child,
    since: Instant,
    log: Option<JoinHandle<Option<LastWords>>>,
    last_words: Option<LastWords>,
}

impl Running {
    /// Starts the command; its standard error goes to the screen line by line.
    pub(crate) fn start(name: &'static str, command: &mut Command, screen: &Screen) -> io::Result<Self> {
        let mut child = command.spawn()?;
        let log = child.stderr.take().map(|stderr| tokio::spawn(pass_on(stderr, screen.clone())));
        Ok(Self { name, child, since: Instant::now(), log, last_words: None })
    }

    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// How long it has run.
    pub(crate) fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// Its standard input, to write to; the program ends when it is dropped.
    pub(crate) fn stdin(&mut self) -> Option<&mut ChildStdin> {
        self.child.stdin.as_mut()
    }

    /// Its standard output, once, where it was piped.
    pub(crate) fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Waits until it ended and its log is on the screen. The pipe on its standard input stays open meanwhile.
    pub(crate) async fn ended(&mut self) -> io::Result<ExitStatus> {
        // `Child::wait` would close standard input first.
        let stdin = self.child.stdin.take();
        let waiting = Waiting { child: &mut self.child, stdin };
        let status = waiting.child.wait().await?;
        drop(waiting);
        if let Some(log) = &mut self.log {
            self.last_words = tokio::time::timeout(LAST_BYTES, log).await.ok().and_then(Result::ok).flatten();
            self.log = None;
        }
        Ok(status)
    }

    /// The error that it ended with, in its own words; known once it ended, and not shown on the screen.
    pub(crate) fn last_words(&mut self) -> Option<LastWords> {
        self.last_words.take()
    }

    /// Asks it to end and does not wait.
    pub(crate) fn ask_to_end(&self) {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may just have ended.
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    /// Ends it: SIGTERM, and SIGKILL after `grace` or as soon as `now` says so.
    pub(crate) async fn stop(mut self, grace: Duration, now: &CancellationToken) {
        self.ask_to_end();
        tokio::select! {
            _ = self.ended() => return,
            () = tokio::time::sleep(grace) => {}
            () = now.cancelled() => {}
        }
        self.kill().await;
    }

    /// Ends it at once.
    pub(crate) async fn kill(&mut self) -> Option<ExitStatus> {
        // It may just have ended.
        let _ = self.child.start_kill();
        self.ended().await.ok()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(log) = &self.log {
            log.abort();
        }
    }
}

/// Gives standard input back to the child when waiting is called off.
struct Waiting<'a> {
    child: &'a mut Child,
    stdin: Option<ChildStdin>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.child.stdin = self.stdin.take();
    }
}

/// The lines of a stream, whatever bytes they hold.
pub(crate) async fn each_line(from: impl AsyncRead + Unpin, mut take: impl FnMut(&[u8])) {
    let mut lines = BufReader::new(from).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        take(&line);
    }
}

/// Shows the log and returns the last words.
async fn pass_on(stderr: ChildStderr, screen: Screen) -> Option<LastWords> {
    let mut listener = Listener::default();
    each_line(stderr, |line| listener.hear(line).iter().for_each(|line| screen.note(line))).await;
    listener.last_words()
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;
    use crate::programs::Program;

    fn start(script: &str) -> Running {
        let mut command = Program::shell().command();
        command.args(["-c", script]).stdout(Stdio::piped());
        Running::start("sh", &mut command, &Screen::stderr()).expect("a shell starts")
    }

    async fn first_line(running: &mut Running) -> String {
        let mut lines = BufReader::new(running.take_stdout().expect("piped")).lines();
        lines.next_line().await.expect("text").expect("a line")
    }

    #[tokio::test]
    async fn asks_first_and_kills_when_told_so() {
        let mut polite = start("trap 'exit 7' TERM; echo ready; while :; do read x; done");
        assert_eq!(first_line(&mut polite).await, "ready");
        polite.ask_to_end();
        assert_eq!(polite.ended().await.expect("it ended").code(), Some(7));

        let mut deaf = start("trap '' TERM; echo ready; while :; do read x; done");
        assert_eq!(first_line(&mut deaf).await, "ready");
        let now = CancellationToken::new();
        now.cancel();
        // It would wait an hour otherwise.
        deaf.stop(Duration::from_secs(3600), &now).await;
    }

    #[tokio::test]
    async fn standard_input_stays_open_until_it_is_dropped() {
        let mut running = start("read x; echo end");
        let early = tokio::time::timeout(Duration::from_millis(50), running.ended()).await;
        assert!(early.is_err() && running.stdin().is_some(), "it waits for its input");
        running.child.stdin = None;
        assert_eq!(first_line(&mut running).await, "end");
        assert!(running.ended().await.expect("it ended").success());
    }

    #[tokio::test]
    async fn keeps_the_error_that_a_program_ended_with() {
        let mut running = start("echo 'error: no disk' >&2; echo 'hint: free some' >&2; exit 1");
        running.ended().await.expect("it ended");
        let want = LastWords { error: "no disk".to_owned(), hints: vec!["free some".to_owned()] };
        assert_eq!(running.last_words(), Some(want));
    }

    #[tokio::test]
    async fn takes_lines_that_are_no_text() {
        let mut lines = Vec::new();
        each_line(&b"a\n\xff\nlast"[..], |line| lines.push(line.to_vec())).await;
        assert_eq!(lines, [&b"a"[..], b"\xff", b"last"]);
    }
}
