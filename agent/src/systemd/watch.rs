//! What a snapshot tells of units and of the journal. Both are looked at now and then in a task of their own: a unit costs
//! ten questions over D-Bus and the journal a process, too much for every second.

use std::time::Duration;

use jiff::{Timestamp, Unit as TimeUnit};
use reelmill_api::snapshot::{Absent, JournalError, Snapshot, Unit};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    Systemd,
    error::Error,
    journal::{self, Entry, Query},
    unit::{UnitName, UnitState},
};

/// How often units are looked at.
const UNITS_EVERY: Duration = Duration::from_secs(5);
/// How often the journal is read.
const JOURNAL_EVERY: Duration = Duration::from_secs(60);
/// How many errors are told, and how old the oldest may be.
const ERRORS: u32 = 10;
const ERRORS_WITHIN: Duration = Duration::from_secs(24 * 3600);
/// How this source is called where it tells nothing.
const SYSTEMD: &str = "systemd";
const JOURNAL: &str = "journal";

/// What was seen last.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    units: Vec<Unit>,
    units_absent: Vec<Absent>,
    journal: Option<Vec<JournalError>>,
    journal_absent: Option<Absent>,
}

impl Seen {
    /// Tells it in a snapshot.
    pub fn tell(&self, snapshot: &mut Snapshot) {
        snapshot.units.clone_from(&self.units);
        snapshot.journal.clone_from(&self.journal);
        snapshot.absent.extend(self.units_absent.iter().chain(&self.journal_absent).cloned());
    }

    fn see_units(&mut self, answers: Vec<Result<UnitState, Error>>) {
        self.units.clear();
        self.units_absent.clear();
        for answer in answers {
            match answer {
                Ok(state) if state.installed => self.units.push(unit(state)),
                Ok(state) => self.units_absent.push(absent(SYSTEMD, format!("{} is not installed", state.unit))),
                Err(error) => self.units_absent.push(absent(SYSTEMD, causes(&error))),
            }
        }
        // Without a message bus, all say the same.
        self.units_absent.dedup();
    }

    fn see_journal(&mut self, answer: Result<Vec<Entry>, journal::JournalError>) {
        (self.journal, self.journal_absent) = match answer {
            Ok(entries) => (Some(entries.into_iter().rev().map(journal_error).collect()), None),
            Err(error) => (None, Some(absent(JOURNAL, causes(&error)))),
        };
    }
}

/// Looks at units and the journal until `stop`; what was seen is in the receiver.
pub fn follow(units: Vec<String>, stop: CancellationToken) -> watch::Receiver<Seen> {
    let (tell, told) = watch::channel(Seen::default());
    tokio::spawn(async move { stop.run_until_cancelled(look(&units, &tell)).await });
    told
}

async fn look(units: &[String], tell: &watch::Sender<Seen>) {
    let systemd = Systemd::new(UnitName::worker());
    let mut read_journal_at = Instant::now();
    loop {
        let mut answers = Vec::new();
        for unit in units {
            answers.push(systemd.state(unit).await);
        }
        tell.send_modify(|seen| seen.see_units(answers));
        if Instant::now() >= read_journal_at {
            let entries = journal::read(&Query::last_errors(ERRORS, ERRORS_WITHIN)).await;
            tell.send_modify(|seen| seen.see_journal(entries));
            read_journal_at = Instant::now() + JOURNAL_EVERY;
        }
        sleep(UNITS_EVERY).await;
    }
}

fn unit(state: UnitState) -> Unit {
    Unit {
        active_state: state.activity.word().to_owned(),
        name: state.unit,
        sub_state: state.sub_state,
        result: state.result.filter(|result| result != "success"),
        restarts: state.restarts,
        memory_bytes: state.memory_bytes,
        since: state.since_unix_micros.map(to_the_second),
    }
}

fn journal_error(entry: Entry) -> JournalError {
    JournalError {
        time: to_the_second(entry.unix_micros),
        unit: entry.unit.unwrap_or_default(),
        message: entry.message,
    }
}

/// RFC 3339 in UTC.
fn to_the_second(unix_micros: u64) -> String {
    let time = i64::try_from(unix_micros).ok().and_then(|micros| Timestamp::from_microsecond(micros).ok());
    let time = time.unwrap_or(Timestamp::UNIX_EPOCH);
    time.round(TimeUnit::Second).unwrap_or(time).to_string()
}

fn absent(source: &str, why: String) -> Absent {
    Absent { source: source.to_owned(), why }
}

/// An error with what caused it, in one sentence.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let text = reelmill_daemon::report::render(error);
    text.strip_prefix("error: ").unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{error::Action, journal::Priority, unit::Activity},
        *,
    };

    fn state(unit: &str) -> UnitState {
        UnitState {
            unit: unit.to_owned(),
            installed: true,
            activity: Activity::Active,
            sub_state: "running".to_owned(),
            main_pid: Some(7),
            result: Some("success".to_owned()),
            restarts: Some(2),
            memory_bytes: Some(1 << 20),
            since_unix_micros: Some(1_763_830_000_900_000),
        }
    }

    fn told(seen: &Seen) -> Snapshot {
        let mut snapshot = Snapshot::default();
        seen.tell(&mut snapshot);
        snapshot
    }

    #[test]
    fn a_unit_is_told_as_systemd_says_and_one_that_is_not_there_is_absent() {
        let mut seen = Seen::default();
        let failed = UnitState {
            activity: Activity::Failed,
            sub_state: "failed".to_owned(),
            result: Some("watchdog".to_owned()),
            since_unix_micros: None,
            ..state("b.service")
        };
        let missing = UnitState { installed: false, ..state("c.service") };
        seen.see_units(vec![Ok(state("a.service")), Ok(failed), Ok(missing)]);
        let snapshot = told(&seen);
        assert_eq!(
            serde_json::to_value(&snapshot.units).expect("plain data"),
            serde_json::json!([
                { "name": "a.service", "active_state": "active", "sub_state": "running", "restarts": 2,
                  "memory_bytes": 1_048_576, "since": "2025-11-22T16:46:41Z" },
                { "name": "b.service", "active_state": "failed", "sub_state": "failed", "result": "watchdog",
                  "restarts": 2, "memory_bytes": 1_048_576 },
            ])
        );
        assert_eq!(snapshot.absent, [absent("systemd", "c.service is not installed".to_owned())]);
    }

    #[test]
    fn a_node_without_a_message_bus_says_so_once() {
        let mut seen = Seen::default();
        let no_bus = || Err(Error::TimedOut { action: Action::Connect, limit: Duration::from_secs(1) });
        seen.see_units(vec![no_bus(), no_bus()]);
        let why = "cannot reach the system's message bus: not done within 1 s".to_owned();
        assert_eq!(told(&seen).absent, [absent("systemd", why)]);
        seen.see_units(vec![Ok(state("a.service"))]);
        assert_eq!(told(&seen).absent, []);
    }

    #[test]
    fn errors_are_told_newest_first_and_a_journal_that_can_not_be_read_is_absent() {
        let entry = |micros, message: &str| Entry {
            unix_micros: micros,
            priority: Priority::Error,
            unit: Some("a.service".to_owned()),
            identifier: None,
            pid: None,
            message: message.to_owned(),
        };
        let mut seen = Seen::default();
        assert_eq!(told(&seen).journal, None, "not read yet");
        seen.see_journal(Ok(vec![entry(1_000_000, "old"), entry(2_000_000, "new")]));
        let journal = told(&seen).journal.expect("it was read");
        let lines: Vec<_> = journal.iter().map(|e| format!("{} {} {}", e.time, e.unit, e.message)).collect();
        assert_eq!(lines, ["1970-01-01T00:00:02Z a.service new", "1970-01-01T00:00:01Z a.service old"]);
        seen.see_journal(Err(journal::JournalError::TimedOut { command: "journalctl".to_owned() }));
        assert_eq!(told(&seen).journal, None);
        assert_eq!(told(&seen).absent, [absent("journal", "`journalctl` took longer than 20 s".to_owned())]);
    }
}
