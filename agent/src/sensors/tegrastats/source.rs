//! tegrastats as a running source: a child of our own, or a socket behind which a unit runs it as root. Either ends at
//! any time and is taken up again, later each time it ends early.

use std::{
    fmt, io,
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use reelmill_daemon::report::visible;
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader},
    net::UnixStream,
    process::{Child, Command},
    sync::watch,
};
use tokio_util::sync::CancellationToken;

use super::{BadLine, LONGEST_LINE, Sample, parse};

/// The wait before the second try; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait between tries.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// A source that ran for so long was well: the next wait is the first one again.
const WELL: Duration = Duration::from_secs(60);
/// Older than this, what was printed is not what is.
pub const STALE: Duration = Duration::from_secs(5);
/// A line is read with few bytes; a board prints about 600.
const BUFFER: usize = 1024;

/// Where the lines come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A program that prints them, looked up on `PATH`.
    Program(PathBuf),
    /// A Unix socket that sends them to whoever connects: how an agent without root gets at a root's tegrastats, which
    /// alone tells of engines.
    Socket(PathBuf),
}

/// What is known from the source now.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// The newest line, and when it came.
    Told(Box<Sample>, Instant),
    /// Nothing, and why.
    Silent(String),
}

impl State {
    /// The sample, if it is not stale.
    ///
    /// # Errors
    /// Why there is none, for people.
    pub fn fresh(&self, now: Instant) -> Result<&Sample, String> {
        match self {
            Self::Told(sample, at) if now.saturating_duration_since(*at) <= STALE => Ok(sample),
            Self::Told(_, at) => Err(format!("no line for {} s", now.saturating_duration_since(*at).as_secs())),
            Self::Silent(why) => Err(why.clone()),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Program(path) | Self::Socket(path)) = self;
        path.display().fmt(f)
    }
}

/// Follows a source until `stop`; what it tells is in the receiver. Ends early where there is no such program.
pub fn follow(source: Source, stop: CancellationToken) -> watch::Receiver<State> {
    let (tell, told) = watch::channel(State::Silent("it has not been asked yet".to_owned()));
    tokio::spawn(async move {
        stop.run_until_cancelled(keep_following(&source, &tell)).await;
    });
    told
}

async fn keep_following(source: &Source, tell: &watch::Sender<State>) {
    let mut wait = Duration::ZERO;
    loop {
        let began = Instant::now();
        let why = match once(source, tell).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tell.send_replace(State::Silent(format!("there is no {source}")));
                // A socket's unit may come later; a program comes with a new system, and with it a new agent.
                if matches!(source, Source::Program(_)) {
                    return;
                }
                None
            }
            Err(error) => Some(error.to_string()),
            Ok(()) => Some("it ended".to_owned()),
        };
        wait = next_wait(wait, began.elapsed());
        if let Some(why) = why {
            log::debug!("{source}: {why}; tried again in {} s", wait.as_secs());
            tell.send_replace(State::Silent(visible(&why)));
        }
        tokio::time::sleep(wait).await;
    }
}

/// How long to wait after a run of that length.
fn next_wait(last: Duration, ran: Duration) -> Duration {
    if ran >= WELL { FIRST_WAIT } else { (last * 2).clamp(FIRST_WAIT, LONGEST_WAIT) }
}

async fn once(source: &Source, tell: &watch::Sender<State>) -> io::Result<()> {
    match source {
        Source::Socket(path) => read_lines(UnixStream::connect(path).await?, tell).await,
        Source::Program(program) => {
            let mut child = spawn(program)?;
            let Some(out) = child.stdout.take() else { return Err(io::Error::other("it has no output")) };
            read_lines(out, tell).await?;
            let status = child.wait().await?;
            if status.success() { Ok(()) } else { Err(io::Error::other(format!("it failed: {status}"))) }
        }
    }
}

fn spawn(program: &PathBuf) -> io::Result<Child> {
    let mut command = Command::new(program);
    command.args(["--interval", "1000"]).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()
}

async fn read_lines(from: impl AsyncRead + Unpin, tell: &watch::Sender<State>) -> io::Result<()> {
    let mut from = BufReader::with_capacity(BUFFER, from);
    let mut line = Vec::with_capacity(BUFFER);
    while read_line(&mut from, &mut line).await? {
        match parse(&String::from_utf8_lossy(&line)) {
            Ok(sample) => drop(tell.send_replace(State::Told(Box::new(sample), Instant::now()))),
            Err(BadLine::TooLong) => return Err(io::Error::other(BadLine::TooLong)),
            Err(why) => log::debug!("a line was left out: {why}"),
        }
    }
    Ok(())
}

/// Reads the next line, at most a byte more than the longest; `false` at the end.
async fn read_line(from: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    from.take(LONGEST_LINE as u64 + 1).read_until(b'\n', line).await.map(|count| count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_longer_while_it_ends_early_and_forgets_that_once_it_was_well() {
        let mut wait = Duration::ZERO;
        let waits: Vec<u64> = (0..8)
            .map(|_| {
                wait = next_wait(wait, Duration::ZERO);
                wait.as_secs()
            })
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(next_wait(LONGEST_WAIT, WELL), FIRST_WAIT);
    }

    #[test]
    fn what_was_said_long_ago_is_not_what_is() {
        let then = Instant::now();
        let told = State::Told(Box::default(), then);
        assert!(told.fresh(then + STALE).is_ok());
        assert_eq!(told.fresh(then + Duration::from_secs(7)), Err("no line for 7 s".to_owned()));
        assert_eq!(State::Silent("it ended".to_owned()).fresh(then), Err("it ended".to_owned()));
    }
}
