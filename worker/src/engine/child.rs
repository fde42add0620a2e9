//! A media process: started confined and with an empty environment, listened to, and killed when it must be.

use std::{collections::VecDeque, ffi::OsString, os::fd::OwnedFd, path::Path, process::Stdio, time::Duration};

use command_fds::{CommandFdExt as _, FdMapping};
use reelmill_api::{ErrorKind, Failure};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::AsyncWriteExt as _,
    process::{Child, ChildStderr, ChildStdout, Command},
    task::JoinHandle,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    Programs,
    confine::{self, Besides},
    damage,
    lines::Lines,
    progress::Reached,
    words,
};

/// What a media process may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory it may own (RLIMIT_DATA).
    pub memory_bytes: u64,
    /// Processor time, all threads together.
    pub cpu: Duration,
    /// Files and sockets open at once.
    pub files: u64,
}

/// Lines of its error output that are kept: enough to say why, whatever it prints.
const STDERR_LINES: usize = 40;
/// How long its last words may take to come once it is gone. They are there, unless a child of its own holds the line.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// The most that a probe may print.
const LARGEST_OUTPUT: u64 = 8 << 20;

/// How a media process ended.
#[derive(Debug)]
pub enum Ended {
    /// By itself or by a signal.
    Exited {
        /// Whether its exit code was 0. No proof that its output is whole.
        success: bool,
        /// Its exit code; none if a signal ended it.
        code: Option<i32>,
        /// The exit status in words.
        status: String,
        /// What it printed, if nobody read it line by line.
        stdout: Vec<u8>,
        /// The last lines of its error output.
        stderr: Vec<String>,
    },
    /// It took too long and was killed.
    TimedOut,
    /// It was called off and killed.
    Canceled,
}

/// A running media process. Dropping it kills it.
pub struct MediaChild {
    child: Child,
    lines: Lines<ChildStdout>,
    stderr: JoinHandle<Vec<String>>,
    damage: damage::Meter,
}

/// What a media process is given besides its arguments; nothing, as a rule.
#[derive(Debug, Default)]
pub struct Given {
    /// What it reads on its standard input.
    pub input: Vec<u8>,
    /// Open descriptors, the first of them as number 3.
    pub descriptors: Vec<OwnedFd>,
    /// What it may use besides.
    pub besides: Besides,
}

/// Starts `program` under the launcher, able to reach only the gateway at `port`.
///
/// # Errors
/// `infrastructure` if the launcher cannot be started.
pub fn spawn(
    programs: &Programs,
    program: &Path,
    args: &[String],
    limits: Limits,
    port: u16,
) -> Result<MediaChild, Failure> {
    spawn_given(programs, program, args, limits, port, Given::default())
}

/// The same for a process that is given more than arguments.
///
/// # Errors
/// `infrastructure` if the launcher cannot be started.
pub fn spawn_given(
    programs: &Programs,
    program: &Path,
    args: &[String],
    limits: Limits,
    port: u16,
    given: Given,
) -> Result<MediaChild, Failure> {
    let failed = |e: &dyn std::fmt::Display| {
        Failure::new(ErrorKind::Infrastructure, format!("cannot start {}: {e}", program.display()))
    };
    let launcher: Vec<OsString> = confine::arguments(programs, &limits, port, &given.besides, program);
    let descriptors = given.descriptors.into_iter().zip(3..);
    let mappings = descriptors.map(|(parent_fd, child_fd)| FdMapping { parent_fd, child_fd }).collect();
    let mut command = Command::new(&programs.launcher);
    command.fd_mappings(mappings).map_err(|e| failed(&e))?;
    let mut child = command
        .args(launcher)
        .args(args)
        .env_clear()
        .current_dir("/")
        .stdin(if given.input.is_empty() { Stdio::null() } else { Stdio::piped() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // What it may start ends with it.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| failed(&e))?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that is gone before it has read all says why.
        tokio::spawn(async move { stdin.write_all(&given.input).await });
    }
    let stdout = child.stdout.take().expect("stdout was asked for");
    let stderr = child.stderr.take().expect("stderr was asked for");
    let damage = damage::Meter::default();
    let stderr = tokio::spawn(keep_tail(stderr, damage.clone()));
    Ok(MediaChild { child, lines: Lines::new(stdout), stderr, damage })
}

/// Reads to the end, whatever comes, and keeps the last lines.
async fn keep_tail(stderr: ChildStderr, damage: damage::Meter) -> Vec<String> {
    let mut tail = VecDeque::new();
    let mut lines = Lines::new(stderr);
    while let Some(line) = lines.next().await {
        damage.line(&line);
        if tail.len() == STDERR_LINES {
            tail.pop_front();
        }
        tail.push_back(words::tidy(&line));
    }
    tail.into()
}

impl MediaChild {
    /// The next line it prints; `None` at the end.
    pub async fn next_line(&mut self) -> Option<String> {
        self.lines.next().await
    }

    /// What it has said of damage in its source, and will say.
    pub(super) fn damage(&self) -> damage::Meter {
        self.damage.clone()
    }

    /// Kills it, with all that it started, and waits until it is gone.
    pub async fn kill(&mut self) {
        let pid = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(pid) = pid {
            // It is not reaped yet, so the group is still its own; one without members is no mishap.
            let _ = kill_process_group(pid, Signal::KILL);
        }
        if let Err(e) = self.child.kill().await {
            log::warn!("cannot kill a media process: {e}");
        }
    }

    /// Waits for its end, for at most `longest`, after its output was read line by line.
    pub async fn wait(mut self, longest: Duration, cancel: &CancellationToken) -> Ended {
        let status = tokio::select! {
            status = self.child.wait() => status,
            () = tokio::time::sleep(longest) => { self.kill().await; return Ended::TimedOut }
            () = cancel.cancelled() => { self.kill().await; return Ended::Canceled }
        };
        self.ended(status, Vec::new()).await
    }

    /// Reads all of its output, for at most `longest`, and waits for its end.
    pub async fn finish(&mut self, longest: Duration, cancel: &CancellationToken) -> Ended {
        let mut stdout = Vec::new();
        let reading = async {
            stdout = self.lines.rest(LARGEST_OUTPUT).await;
            self.child.wait().await
        };
        let status = tokio::select! {
            status = reading => status,
            () = tokio::time::sleep(longest) => { self.kill().await; return Ended::TimedOut }
            () = cancel.cancelled() => { self.kill().await; return Ended::Canceled }
        };
        self.ended(status, stdout).await
    }

    async fn ended(&mut self, status: std::io::Result<std::process::ExitStatus>, stdout: Vec<u8>) -> Ended {
        let stderr = tokio::time::timeout(LAST_WORDS, &mut self.stderr).await;
        let stderr = stderr.map(Result::unwrap_or_default).unwrap_or_default();
        match status {
            Ok(status) => Ended::Exited {
                success: status.success(),
                code: status.code(),
                status: status.to_string(),
                stdout,
                stderr,
            },
            Err(e) => Ended::Exited { success: false, code: None, status: e.to_string(), stdout, stderr },
        }
    }
}

/// Notices that nothing moves any more: neither a frame nor more of any output, further than ever before. Sound may go on
/// for long without a picture, and an encoder of large pictures gives the first when others have given many.
pub struct StallWatch {
    longest: Duration,
    furthest: Reached,
    moved: Instant,
}

impl StallWatch {
    /// A watch that calls it a stall when nothing has moved for `longest`.
    pub fn new(longest: Duration) -> Self {
        Self { longest, furthest: Reached::default(), moved: Instant::now() }
    }

    /// Tells it how far the run is by a single count.
    pub fn at(&mut self, count: u64) {
        self.reached(Reached { frame: count, out: Duration::ZERO });
    }

    /// Tells it how far the run is.
    pub(super) fn reached(&mut self, reached: Reached) {
        if reached.frame > self.furthest.frame || reached.out > self.furthest.out {
            self.furthest.frame = self.furthest.frame.max(reached.frame);
            self.furthest.out = self.furthest.out.max(reached.out);
            self.moved = Instant::now();
        }
    }

    /// Returns when nothing has moved for too long.
    pub async fn stalled(&self) {
        tokio::time::sleep_until(self.moved + self.longest).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_goes_further_than_ever_is_no_stall() {
        let mut watch = StallWatch::new(Duration::from_secs(3600));
        let mut moves = |frame, seconds| {
            let before = watch.moved;
            watch.reached(Reached { frame, out: Duration::from_secs(seconds) });
            watch.moved > before
        };
        assert!(!moves(0, 0), "nothing came out yet");
        assert!(moves(0, 2) && moves(1, 2) && moves(2, 3), "sound, pictures, or both");
        assert!(!moves(2, 3) && !moves(1, 2), "it talks, and gets nowhere");
        assert!(!moves(2, 1) && !moves(1, 3), "to and fro is nowhere too");
        assert!(moves(1, 4) && moves(3, 0));
    }

    #[tokio::test]
    async fn a_stall_is_told_after_its_time() {
        let patient = StallWatch::new(Duration::from_secs(3600));
        assert!(tokio::time::timeout(Duration::from_millis(1), patient.stalled()).await.is_err());
        StallWatch::new(Duration::from_millis(30)).stalled().await;
    }
}
