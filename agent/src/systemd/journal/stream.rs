//! The journal entry by entry, for whoever reads more of it than fits into memory, or waits for what comes.

use std::process::Stdio;

use jiff::Timestamp;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::{Child, ChildStdout, Command},
};

use super::{ALL_OURS, ALWAYS_KNOWN, Entry, JournalError, MOST_LINES, entry, last_lines};
use crate::systemd::unit::UnitName;

/// What is kept of a line of journalctl's; the rest of a longer one is passed over, and with it the entry.
const LONGEST_LINE: usize = 1 << 20;
/// The most that is kept of what journalctl complains of.
const COMPLAINTS: u64 = 4096;

/// Entries of the journal as journalctl tells them; it ends when this is dropped.
#[derive(Debug)]
pub struct Entries {
    child: Child,
    stdout: BufReader<ChildStdout>,
    line: Vec<u8>,
    some: bool,
    command: String,
}

impl Entries {
    /// From the newest entry of these units (none: all of Reelmill's) back to `since`, or to the boot.
    ///
    /// # Errors
    /// If journalctl is not there.
    pub fn back(units: &[UnitName], since: Option<Timestamp>) -> Result<Self, JournalError> {
        Self::start(back(units, since))
    }

    /// The last `lines` entries of a unit, and then each one as it comes, for ever.
    ///
    /// # Errors
    /// If journalctl is not there.
    pub fn follow(unit: &UnitName, lines: u32) -> Result<Self, JournalError> {
        Self::start(follow(unit, lines))
    }

    fn start(words: Vec<String>) -> Result<Self, JournalError> {
        let mut command = Command::new("journalctl");
        command.args(&words).env("LC_ALL", "C.UTF-8").env("SYSTEMD_COLORS", "0").kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(JournalError::Run)?;
        let stdout = BufReader::new(child.stdout.take().expect("it was asked for"));
        let command = format!("journalctl {}", words.join(" "));
        Ok(Self { child, stdout, line: Vec::new(), some: false, command })
    }

    /// The next entry; `None` after the last. What cannot be understood is left out. Can be dropped while it waits.
    ///
    /// # Errors
    /// If journalctl fails before it has told anything; above all, if this user is not in the group `systemd-journal`.
    pub async fn next(&mut self) -> Result<Option<Entry>, JournalError> {
        loop {
            let read = self.stdout.fill_buf().await.map_err(JournalError::Run)?;
            if read.is_empty() {
                return self.end().await.map(|()| None);
            }
            let end = read.iter().position(|byte| *byte == b'\n');
            let part = &read[..end.unwrap_or(read.len())];
            let room = LONGEST_LINE.saturating_sub(self.line.len());
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            let used = end.map_or(read.len(), |end| end + 1);
            self.stdout.consume(used);
            if end.is_none() {
                continue;
            }
            let parsed = entry::parse(&self.line);
            self.line.clear();
            if let Ok(entry) = parsed {
                self.some = true;
                return Ok(Some(entry));
            }
        }
    }

    async fn end(&mut self) -> Result<(), JournalError> {
        let mut said = Vec::new();
        if let Some(stderr) = self.child.stderr.take() {
            stderr.take(COMPLAINTS).read_to_end(&mut said).await.map_err(JournalError::Run)?;
        }
        let status = self.child.wait().await.map_err(JournalError::Run)?;
        if status.success() || self.some {
            return Ok(());
        }
        Err(JournalError::Failed { command: self.command.clone(), status, stderr: last_lines(&said) })
    }
}

fn common() -> Vec<String> {
    let fields = format!("--output-fields={}", entry::FIELDS.join(","));
    ["--output=json", "--no-pager", "--quiet", "--all"].map(str::to_owned).into_iter().chain([fields]).collect()
}

fn back(units: &[UnitName], since: Option<Timestamp>) -> Vec<String> {
    let mut words = common();
    words.push("--reverse".to_owned());
    words.push(since.map_or_else(|| "--boot".to_owned(), |since| format!("--since=@{}", since.as_second())));
    if units.is_empty() {
        words.extend([ALWAYS_KNOWN, ALL_OURS].map(|unit| format!("--unit={unit}")));
    }
    words.extend(units.iter().map(|unit| format!("--unit={unit}")));
    words
}

fn follow(unit: &UnitName, lines: u32) -> Vec<String> {
    let mut words = common();
    words.extend(["--follow".to_owned(), format!("--lines={}", lines.min(MOST_LINES)), format!("--unit={unit}")]);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &[String], want: &str) {
        let told = words.join(" ");
        let told = told.split_once("_PID ").expect("the fields come first").1;
        assert_eq!(told, want);
    }

    #[test]
    fn what_is_read_is_said_in_journalctls_words() {
        let all = "--unit=reelmill-agent.service --unit=reelmill-*";
        check(&back(&[], None), &format!("--reverse --boot {all}"));
        let since = "2026-11-22T10:00:00Z".parse().ok();
        check(&back(&[UnitName::worker()], since), "--reverse --since=@1795341600 --unit=reelmill-worker.service");
        check(&follow(&UnitName::worker(), 900), "--follow --lines=500 --unit=reelmill-worker.service");
    }
}
