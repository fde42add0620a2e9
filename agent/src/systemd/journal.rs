//! The journal of Reelmill's units, by way of journalctl: never more lines, bytes or time than was asked for.

mod entry;
mod stream;

use std::{io, process::Stdio, time::Duration};

use tokio::{io::AsyncReadExt as _, process::Command};

pub use self::{
    entry::{BadEntry, Entry, Priority},
    stream::Entries,
};
use super::unit::UnitName;

/// The most lines that anybody gets.
pub const MOST_LINES: u32 = 500;
/// The most that is read of journalctl's answer; an entry is cut to [`entry::LONGEST`] later.
const MOST_BYTES: u64 = 8 << 20;
/// journalctl looks through gigabytes of a slow disk in a second or two.
const LIMIT: Duration = Duration::from_secs(20);
/// Without a unit that it knows, journalctl refuses a pattern.
const ALWAYS_KNOWN: &str = "reelmill-agent.service";
const ALL_OURS: &str = "reelmill-*";

/// Which entries are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Of which unit; `None`: of all units of Reelmill.
    pub unit: Option<UnitName>,
    /// As grave as this, or graver.
    pub priority: Priority,
    /// At most so many, the newest; never more than [`MOST_LINES`].
    pub lines: u32,
    /// Not older than this.
    pub within: Duration,
}

/// Why the journal cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// journalctl cannot be started or read.
    #[error("cannot run journalctl")]
    Run(#[source] io::Error),
    /// journalctl failed.
    #[error("`{command}` failed ({status}): {stderr}")]
    Failed {
        /// Program and arguments.
        command: String,
        /// Its exit status.
        status: std::process::ExitStatus,
        /// The last it said.
        stderr: String,
    },
    /// It took too long.
    #[error("`{command}` took longer than {} s", LIMIT.as_secs())]
    TimedOut {
        /// Program and arguments.
        command: String,
    },
}

impl Query {
    /// The last errors of all our units.
    pub fn last_errors(lines: u32, within: Duration) -> Self {
        Self { unit: None, priority: Priority::Error, lines, within }
    }

    /// The words of journalctl.
    fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = ["--output=json", "--no-pager", "--quiet", "--all"].map(str::to_owned).to_vec();
        words.push(format!("--output-fields={}", entry::FIELDS.join(",")));
        words.push(format!("--priority={}", self.priority.number()));
        words.push(format!("--lines={}", self.lines.min(MOST_LINES)));
        words.push(format!("--since=-{}s", self.within.as_secs()));
        match &self.unit {
            Some(unit) => words.push(format!("--unit={unit}")),
            None => words.extend([ALWAYS_KNOWN, ALL_OURS].map(|unit| format!("--unit={unit}"))),
        }
        words
    }
}

/// The entries that a query wants, oldest first. An entry that cannot be understood is left out.
///
/// # Errors
/// If journalctl is not there, fails, or takes too long; above all, if this user is not in the group `systemd-journal`.
pub async fn read(query: &Query) -> Result<Vec<Entry>, JournalError> {
    Ok(entry::parse_all(&ask(&query.words()).await?))
}

/// Returns once what was said before is in the journal: what a program writes to its unit's output takes a moment. Only root
/// may ask for that.
///
/// # Errors
/// If journalctl is not there, fails, or takes too long.
pub async fn sync() -> Result<(), JournalError> {
    ask(&["--sync".to_owned()]).await.map(drop)
}

async fn ask(words: &[String]) -> Result<Vec<u8>, JournalError> {
    let command = || format!("journalctl {}", words.join(" "));
    let output = tokio::time::timeout(LIMIT, run(words)).await;
    let (status, stdout, stderr) = output.map_err(|_| JournalError::TimedOut { command: command() })??;
    // Where more was said than is read, its last line is cut and it was killed; what came before counts.
    if !status.success() && stdout.is_empty() {
        return Err(JournalError::Failed { command: command(), status, stderr: last_lines(&stderr) });
    }
    Ok(stdout)
}

async fn run(words: &[String]) -> Result<(std::process::ExitStatus, Vec<u8>, Vec<u8>), JournalError> {
    let mut command = Command::new("journalctl");
    command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    // Errors are read by us too, so they must be in one language, and times are numbers anyway.
    command.env("LC_ALL", "C.UTF-8").env("SYSTEMD_COLORS", "0");
    let mut child = command.spawn().map_err(JournalError::Run)?;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let stdout = child.stdout.take().expect("it was asked for");
    let stderr = child.stderr.take().expect("it was asked for");
    let mut limited = stdout.take(MOST_BYTES);
    let mut complaints = stderr.take(64 << 10);
    tokio::try_join!(limited.read_to_end(&mut out), complaints.read_to_end(&mut err)).map_err(JournalError::Run)?;
    // Its pipes close here, so one that has more to say ends by that.
    drop((limited, complaints));
    Ok((child.wait().await.map_err(JournalError::Run)?, out, err))
}

fn last_lines(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<_> = text.trim().lines().rev().take(3).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &Query, want: &str) {
        assert_eq!(query.words().join(" "), want);
    }

    #[test]
    fn a_query_is_a_command_with_limits() {
        let fields = "--output-fields=MESSAGE,PRIORITY,SYSLOG_IDENTIFIER,UNIT,_SYSTEMD_UNIT,_PID";
        check(
            &Query::last_errors(20, Duration::from_secs(3600)),
            &format!(
                "--output=json --no-pager --quiet --all {fields} --priority=3 --lines=20 --since=-3600s \
                 --unit=reelmill-agent.service --unit=reelmill-*"
            ),
        );
        let all = Query {
            unit: Some(UnitName::worker()),
            priority: Priority::Debug,
            lines: u32::MAX,
            within: Duration::from_secs(60),
        };
        check(
            &all,
            &format!(
                "--output=json --no-pager --quiet --all {fields} --priority=7 --lines=500 --since=-60s \
                 --unit=reelmill-worker.service"
            ),
        );
    }

    #[test]
    fn of_complaints_the_last_count() {
        assert_eq!(last_lines(b"a\nb\nc\nd\n"), "b; c; d");
        assert_eq!(last_lines(b""), "");
    }
}
