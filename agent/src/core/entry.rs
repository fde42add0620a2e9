//! What the ledger holds: each command as it stands, and what is known beside them.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use reelmill_api::fleet::{Command, CommandId, KeyId, Sha256, State, Text};
use serde::{Deserialize, Serialize};

use crate::deeds::Before;

/// Longer than any command may be valid: after that its id cannot come again.
const KEPT: SignedDuration = SignedDuration::from_hours(40 * 24);

/// A command as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// What was last told of it.
    pub state: State,
    /// The digest of its payload.
    pub sha256: Sha256,
    /// The command, as long as there is something to do for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Box<Command>>,
    /// The message that it came in, where the root helper has a hand in it and must be shown it. As long as the command.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "message")]
    pub message: Option<Vec<u8>>,
    /// How the node was before the command, for those that look at it afterwards. As long as the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Before>,
    /// Who signed it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signers: Vec<KeyId>,
    /// It has the node's work finished, or had. As long as the command.
    #[serde(default, skip_serializing_if = "is_false")]
    pub stops_work: bool,
    /// It has ended, and what it began may have to be cleaned up.
    #[serde(default, skip_serializing_if = "is_false")]
    pub owes: bool,
    /// How often the machine was told to go down for it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tries: u8,
    /// Its topic was cleared: nobody asks for it any more.
    #[serde(default, skip_serializing_if = "is_false")]
    pub closed: bool,
}

fn is_false(b: &bool) -> bool {
    !b
}

fn is_zero(n: &u8) -> bool {
    *n == 0
}

/// A line of the ledger. The last one of its kind, and of a command, is true.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// A command as it stands now.
    Command(Box<Entry>),
    /// Who holds the node, since it was drained; none: nobody.
    Held(Option<Text<128>>),
    /// The kernel's id of the boot in which the agent runs.
    Boot(String),
    /// The clock was right and showed this.
    Clock(Timestamp),
    /// The ledger knows all that was given since then; what is older may have been done and forgotten.
    Since(Timestamp),
}

/// All that the ledger says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    pub(super) entries: BTreeMap<CommandId, Entry>,
    pub(super) held_by: Option<Text<128>>,
    /// The time is this or later, whatever the clock shows.
    pub(super) floor: Option<Timestamp>,
    /// The boot in which the agent ran last.
    pub(super) boot_id: Option<String>,
    since: Option<Timestamp>,
}

impl Memory {
    /// What the records of a ledger say.
    pub fn of(records: impl IntoIterator<Item = Record>) -> Self {
        let mut memory = Self::default();
        records.into_iter().for_each(|record| memory.learn(record));
        memory
    }

    pub(super) fn learn(&mut self, record: Record) {
        match record {
            Record::Command(entry) => drop(self.entries.insert(entry.state.id, *entry)),
            Record::Held(by) => self.held_by = by,
            Record::Boot(id) => self.boot_id = Some(id),
            Record::Clock(at) => self.floor = self.floor.max(Some(at)),
            // A clock that ran behind when something was lost must not let through what was given before.
            Record::Since(at) => self.since = self.since.max(Some(at)).max(self.floor),
        }
    }

    /// The records that say all this, without what is too old to matter.
    pub fn records(&self) -> Vec<Record> {
        let is_young = |entry: &Entry| self.floor.is_none_or(|now| now.duration_since(entry.state.t) < KEPT);
        let matters = |entry: &&Entry| is_young(entry) || !entry.is_over();
        let commands = self.entries.values().filter(matters).map(|entry| Record::Command(Box::new(entry.clone())));
        // Before the clock: a mark is moved up to what the clock showed by then, and it was not this.
        let mut records: Vec<Record> = self.since.map(Record::Since).into_iter().collect();
        records.extend(self.floor.map(Record::Clock));
        records.extend(self.boot_id.clone().map(Record::Boot));
        records.push(Record::Held(self.held_by.clone()));
        records.extend(commands);
        records
    }

    /// Commands that were given before this may have been done and forgotten.
    pub(super) fn knows_since(&self, enrolled_at: Option<Timestamp>) -> Option<Timestamp> {
        self.since.max(enrolled_at)
    }

    /// Forgets what is so old that it cannot come again.
    pub(super) fn forget_old(&mut self, now: Timestamp) {
        self.entries.retain(|_, entry| !entry.is_over() || now.duration_since(entry.state.t) < KEPT);
    }
}

impl Entry {
    /// A command as it is first told of; nothing is to be done for it.
    pub(super) fn new(state: State, sha256: Sha256) -> Self {
        Self {
            state,
            sha256,
            command: None,
            message: None,
            before: None,
            signers: Vec::new(),
            stops_work: false,
            owes: false,
            tries: 0,
            closed: false,
        }
    }

    /// Drops what only a command needs for which there is something to do.
    pub(super) fn let_go(&mut self) {
        (self.command, self.message, self.before, self.stops_work) = (None, None, None, false);
    }

    /// Whether nothing remains to be done for it.
    pub fn is_over(&self) -> bool {
        self.state.state.is_final() && !self.owes
    }
}

/// A message in a line of JSON: base 64.
mod message {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    #[expect(clippy::ref_option, reason = "as serde calls it")]
    pub(super) fn serialize<S: Serializer>(message: &Option<Vec<u8>>, to: S) -> Result<S::Ok, S::Error> {
        match message {
            Some(message) => to.serialize_some(&BASE64_STANDARD.encode(message)),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<u8>>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| BASE64_STANDARD.decode(text).map_err(D::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_since_when_is_not_moved_by_writing_it_anew() {
        let at = |seconds| Timestamp::from_second(seconds).expect("a time");
        let memory = Memory::of([Record::Since(at(5)), Record::Clock(at(10)), Record::Boot("b".to_owned())]);
        assert_eq!(Memory::of(memory.records()), memory);
        assert_eq!(memory.knows_since(None), Some(at(5)));
    }
}
