//! What the helper's ledger holds: each command that it began, how far it is, and what time it was.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use reelmill_api::fleet::{
    Command, CommandId, KeyId, OpName, Sha256, State,
    admission::{Admitted, Known},
    state::Teller,
};
use serde::{Deserialize, Serialize};

use super::progress::Progress;

/// Longer than any command may be valid: after that its id cannot come again.
const KEPT: SignedDuration = SignedDuration::from_hours(40 * 24);
/// A clock that was right is written down this often.
const CLOCK_EVERY: SignedDuration = SignedDuration::from_mins(10);

/// A command that was begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name.
    pub id: CommandId,
    /// What it is.
    pub op: OpName,
    /// The digest of its payload.
    pub sha256: Sha256,
    /// Who signed it.
    pub signers: Vec<KeyId>,
    /// When it was begun, by a clock that was right.
    pub begun: Timestamp,
    /// How far it is.
    pub progress: Progress,
    /// The command itself, until it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Box<Command>>,
}

impl Entry {
    /// A command that is begun now.
    pub fn new(admitted: Admitted, begun: Timestamp, progress: Progress) -> Self {
        let Admitted { command, sha256, signers } = admitted;
        Self {
            id: command.id,
            op: command.op.name(),
            sha256,
            signers,
            begun,
            progress,
            command: Some(Box::new(command)),
        }
    }

    /// The same command, further on.
    pub fn at(&self, progress: Progress) -> Self {
        let command = self.command.clone().filter(|_| matches!(progress, Progress::Open { .. }));
        Self { progress, command, ..self.clone() }
    }

    /// Whether something may follow.
    pub fn is_open(&self) -> bool {
        matches!(self.progress, Progress::Open { .. })
    }
}

/// A line of the ledger. The last one of its kind, and of a command, is true.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// A command as it stands now.
    Command(Box<Entry>),
    /// The clock was right and showed this.
    Clock(Timestamp),
    /// The ledger knows all that was given since then; what is older may have been done and forgotten.
    Since(Timestamp),
}

/// All that the ledger says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    entries: BTreeMap<CommandId, Entry>,
    floor: Option<Timestamp>,
    since: Option<Timestamp>,
}

impl Memory {
    /// What the records of a ledger say.
    pub fn of(records: impl IntoIterator<Item = Record>) -> Self {
        let mut memory = Self::default();
        records.into_iter().for_each(|record| memory.learn(record));
        memory
    }

    /// One more record.
    pub fn learn(&mut self, record: Record) {
        match record {
            Record::Command(entry) => {
                self.floor = self.floor.max(Some(entry.begun));
                self.entries.insert(entry.id, *entry);
            }
            Record::Clock(at) => self.floor = self.floor.max(Some(at)),
            // A clock that ran behind when something was lost must not let through what was given before.
            Record::Since(at) => self.since = self.since.max(Some(at)).max(self.floor),
        }
    }

    /// The records that say all this, without what is so old that it cannot come again.
    pub fn records(&self) -> Vec<Record> {
        let is_young = |entry: &&Entry| self.floor.is_none_or(|now| now.duration_since(entry.begun) < KEPT);
        let entries = self.entries.values().filter(is_young);
        // In this order: what is read after a time cannot have been given before it.
        let mut records: Vec<Record> = self.since.map(Record::Since).into_iter().collect();
        records.extend(self.floor.map(Record::Clock));
        records.extend(entries.map(|entry| Record::Command(Box::new(entry.clone()))));
        records
    }

    /// A command.
    pub fn entry(&self, id: CommandId) -> Option<&Entry> {
        self.entries.get(&id)
    }

    /// The commands that have not ended.
    pub fn open(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values().filter(|entry| entry.is_open())
    }

    /// It is this late or later, whatever the clock shows.
    pub fn floor(&self) -> Option<Timestamp> {
        self.floor
    }

    /// Commands that were given before this may have been done and forgotten.
    pub fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// Whether a clock that is right is so much later than what is written that it must be written again.
    pub fn is_behind(&self, now: Timestamp) -> bool {
        self.floor.is_none_or(|floor| now.duration_since(floor) > CLOCK_EVERY)
    }

    /// What the judge of a message asks of a ledger.
    pub fn known(&self, id: CommandId, by: &Teller) -> Option<Known> {
        let entry = self.entries.get(&id)?;
        let state = State::accepted(id, entry.op.clone(), entry.sha256, entry.begun, by);
        Some(Known { sha256: entry.sha256, state, signers: entry.signers.clone() })
    }
}

#[cfg(test)]
mod tests {
    use reelmill_api::fleet::state::Phase;
    use serde_json::Map;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn entry(id: &str, begun: i64, progress: Progress) -> Record {
        Record::Command(Box::new(Entry {
            id: id.parse().expect("an id"),
            op: "set-conf".parse().expect("a name"),
            sha256: Sha256::of(id.as_bytes()),
            signers: Vec::new(),
            begun: at(begun),
            progress,
            command: None,
        }))
    }

    #[test]
    fn the_last_word_on_a_command_is_true_and_the_time_never_goes_back() {
        const ONE: &str = "01M81B5H80NENTQAXBNENTQAXB";
        const TWO: &str = "01M81B5H80000000000000000A";
        let ended = Progress::Ended { part: Phase::Commit, result: Map::new() };
        let open = |part, done| Progress::Open { part, done };
        let records = [
            Record::Since(at(50)),
            entry(ONE, 100, open(Phase::Check, false)),
            entry(TWO, 90, open(Phase::Check, true)),
            entry(ONE, 100, ended.clone()),
            Record::Clock(at(80)),
        ];
        let memory = Memory::of(records);
        assert_eq!((memory.floor(), memory.since()), (Some(at(100)), Some(at(50))));
        assert_eq!(memory.open().map(|entry| entry.id.to_string()).collect::<Vec<_>>(), [TWO]);
        assert_eq!(memory.entry(ONE.parse().expect("an id")).map(|entry| &entry.progress), Some(&ended));
        assert_eq!(Memory::of(memory.records()), memory, "nothing is lost by writing it anew");
        assert!(!memory.is_behind(at(700)) && memory.is_behind(at(701)) && !memory.is_behind(at(1)));
        let mut lost = memory;
        lost.learn(Record::Since(at(60)));
        assert_eq!(lost.since(), Some(at(100)), "whatever the clock showed when something was lost");
    }

    #[test]
    fn what_cannot_come_again_is_forgotten() {
        const DAY: i64 = 24 * 3600;
        let ended = || Progress::Ended { part: Phase::Act, result: Map::new() };
        let memory = Memory::of([
            entry("01M81B5H80NENTQAXBNENTQAXB", 0, ended()),
            entry("01M81B5H80000000000000000A", DAY, ended()),
            Record::Clock(at(40 * DAY)),
        ]);
        let kept = Memory::of(memory.records());
        assert_eq!(kept.entries.len(), 1);
        assert_eq!(kept.floor(), Some(at(40 * DAY)));
    }
}
