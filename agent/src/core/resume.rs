//! What becomes of commands after a start: the ledger decides, by the boot in which each was last told of.

use std::time::Duration;

use jiff::Timestamp;
use reelmill_api::fleet::{
    Command, CommandId,
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
        let same_boot = before == self.own.teller.boot_id;
        let has_stages = entry.command.as_ref().is_some_and(|command| plan::has_stages(&command.op));
        match entry.state.resumed(&self.own.teller.boot_id) {
            Resume::Ended => self.clean_up(now, id, effects),
            Resume::Wait => {}
            Resume::Ask(phase) => self.again(now, id, phase, effects),
            Resume::Interrupted(phase) => self.interrupted(now, id, phase, effects),
            Resume::Reboot => self.go_down_again(now, id, effects),
            Resume::Booted => {
                self.move_on(now, id, Move::Booted, effects);
                if !has_stages {
                    self.succeed_by_boot(now, id, Some(before), effects);
                }
            }
            Resume::Verify if !has_stages => self.succeed_by_boot(now, id, None, effects),
            Resume::Verify if same_boot => self.again(now, id, Phase::Verify, effects),
            // It went down once more while it was looked at: what runs now may be what ran before the change.
            Resume::Verify => self.interrupted(now, id, Phase::Verify, effects),
        }
    }

    /// The machine went down in the middle of a part, and nobody had told it to.
    fn interrupted(&mut self, now: &Now, id: CommandId, phase: Phase, effects: &mut Vec<Effect>) {
        let Some(entry) = self.memory.entries.get(&id) else { return };
        let Some(op) = entry.command.as_ref().map(|command| command.op.clone()) else { return };
        // What is confirmed is confirmed to its end.
        let must_undo = phase != Phase::Commit && plan::must_undo(&op, entry.state.state);
        if !must_undo && plan::is_repeatable(&op, phase) {
            return self.again(now, id, phase, effects);
        }
        self.give_up(now, id, "interrupted", "the machine went down meanwhile", effects);
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
            return self.give_up(now, id, "interrupted", "the agent was interrupted each time", effects);
        };
        let used = started.filter(|_| now.synchronised).map(|started| now.wall.duration_since(started));
        let used = used.and_then(|used| Duration::try_from(used).ok()).unwrap_or_default();
        let left = plan::longest_part(&command, phase).unwrap_or(plan::longest(&command).saturating_sub(used));
        self.bound(now, id, Some(left));
        self.act(now, id, phase, effects);
    }

    /// The machine was told to go down, and it is still the same boot.
    fn go_down_again(&mut self, now: &Now, id: CommandId, effects: &mut Vec<Effect>) {
        let Some((command, _)) = self.count_try(id, effects) else {
            return self.give_up(now, id, "still_up", "the machine was told to go down and did not", effects);
        };
        self.bound(now, id, Some(GOING_DOWN));
        self.begin(id, plan::go_down(&command), effects);
    }

    /// Writes down one more try; none is left after some.
    fn count_try(&mut self, id: CommandId, effects: &mut Vec<Effect>) -> Option<(Command, Option<Timestamp>)> {
        let mut entry = self.memory.entries.get(&id).filter(|entry| entry.tries < TRIES)?.clone();
        let command = entry.command.as_deref()?.clone();
        let started = entry.state.started;
        entry.tries += 1;
        self.write(Record::Command(Box::new(entry)), effects);
        Some((command, started))
    }

    fn give_up(&mut self, now: &Now, id: CommandId, code: &str, why: &str, effects: &mut Vec<Effect>) {
        self.fail(now, id, Fault::new(code, true, why), effects);
    }
}
