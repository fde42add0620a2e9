//! What becomes of commands after a start: the ledger decides, by the boot in which each was last told of.

use std::time::Duration;

use reelmill_api::fleet::{
    CommandId, Op,
    event::NodeEvent,
    moves::{Event as Move, Resume},
    state::{Fault, Phase},
    topic::EventKind,
};
use serde_json::Map;

use super::{Core, Effect, Now, Record, life::GOING_DOWN, plan};

/// How often a command is taken up again, or a machine told to go down for it.
const TRIES: u8 = 3;

impl Core {
    /// The broker has told all that it kept: what it does not know of is told again, and what was interrupted goes on.
    pub(super) fn settle(&mut self, now: &Now, effects: &mut Vec<Effect>) {
        let told = std::mem::take(&mut self.told);
        let untold = self.memory.entries.values().filter(|entry| !entry.closed && !told.contains(&entry.state.id));
        effects.extend(untold.map(|entry| Effect::Publish(Box::new(entry.state.clone()))));
        self.wake(now, effects);
    }

    /// From now on commands may begin.
    pub(super) fn wake(&mut self, now: &Now, effects: &mut Vec<Effect>) {
        if std::mem::replace(&mut self.awake, true) {
            return;
        }
        let boot_id = self.own.teller.boot_id.clone();
        if self.memory.boot_id.as_ref() != Some(&boot_id) {
            self.write(Record::Boot(boot_id), effects);
            let event = NodeEvent::new(EventKind::Boot, "the node has started", now.wall, &self.own.teller);
            effects.push(Effect::Tell(Box::new(event)));
        }
        let unfinished = self.memory.entries.values().filter(|entry| !entry.is_over());
        for id in unfinished.map(|entry| entry.state.id).collect::<Vec<_>>() {
            self.resume(now, id, effects);
        }
    }

    fn resume(&mut self, now: &Now, id: CommandId, effects: &mut Vec<Effect>) {
        let Some(entry) = self.memory.entries.get(&id) else { return };
        let before = entry.state.boot_id.clone();
        let stops_work = entry.command.as_ref().is_some_and(|c| plan::goes_down(&c.op) || matches!(c.op, Op::Drain(_)));
        match entry.state.resumed(&self.own.teller.boot_id) {
            Resume::Ended => self.clean_up(id, effects),
            Resume::Wait => {}
            Resume::Ask(phase) => self.again(now, id, phase, effects),
            // To finish work before a boot is as good after another boot.
            Resume::Interrupted(Phase::Drain) if stops_work => self.again(now, id, Phase::Drain, effects),
            Resume::Interrupted(Phase::Preflight) if stops_work => self.again(now, id, Phase::Preflight, effects),
            Resume::Interrupted(_) => self.fail(now, id, "interrupted", "the machine went down meanwhile", effects),
            Resume::Reboot => self.go_down_again(now, id, effects),
            Resume::Booted => {
                self.move_on(now, id, Move::Booted, effects);
                self.succeed_by_boot(now, id, Some(before), effects);
            }
            Resume::Verify => self.succeed_by_boot(now, id, None, effects),
        }
    }

    /// That this agent runs, in another boot, is all that a reboot was for.
    fn succeed_by_boot(&mut self, now: &Now, id: CommandId, before: Option<String>, effects: &mut Vec<Effect>) {
        let mut result = Map::from_iter([("boot_id".to_owned(), self.own.teller.boot_id.clone().into())]);
        result.extend(before.map(|before| ("boot_id_before".to_owned(), before.into())));
        self.move_on(now, id, Move::Succeed(result), effects);
    }

    /// Takes up the part of a command in which the agent was interrupted.
    fn again(&mut self, now: &Now, id: CommandId, phase: Phase, effects: &mut Vec<Effect>) {
        let Some((command, started)) = self.count_try(id, effects) else {
            return self.fail(now, id, "interrupted", "the agent was interrupted each time", effects);
        };
        let longest = plan::longest(&command);
        let used = started.filter(|_| now.synchronised).map(|started| now.wall.duration_since(started));
        let used = used.and_then(|used| Duration::try_from(used).ok()).unwrap_or_default();
        self.due.insert(id, now.up + longest.saturating_sub(used));
        match plan::deed(&command, phase) {
            Some(deed) => self.begin(id, deed, effects),
            None => self.go_on(now, id, effects),
        }
    }

    /// The machine was told to go down, and it is still the same boot.
    fn go_down_again(&mut self, now: &Now, id: CommandId, effects: &mut Vec<Effect>) {
        let Some((command, _)) = self.count_try(id, effects) else {
            return self.fail(now, id, "still_up", "the machine was told to go down and did not", effects);
        };
        self.due.insert(id, now.up + GOING_DOWN);
        self.begin(id, plan::perform(&command), effects);
    }

    /// Writes down one more try; none is left after some.
    fn count_try(
        &mut self,
        id: CommandId,
        effects: &mut Vec<Effect>,
    ) -> Option<(reelmill_api::fleet::Command, Option<jiff::Timestamp>)> {
        let mut entry = self.memory.entries.get(&id).filter(|entry| entry.tries < TRIES)?.clone();
        let command = entry.command.as_deref()?.clone();
        let started = entry.state.started;
        entry.tries += 1;
        self.write(Record::Command(Box::new(entry)), effects);
        Some((command, started))
    }

    fn fail(&mut self, now: &Now, id: CommandId, code: &str, why: &str, effects: &mut Vec<Effect>) {
        self.move_on(now, id, Move::Fail(Fault::new(code, true, why)), effects);
    }
}
