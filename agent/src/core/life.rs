//! The life of a command from its turn to its end.

use std::time::Duration;

use reelmill_api::fleet::{
    Code, Command, CommandId, KeyId, Op, Rejection, Role,
    admission::Begin,
    moves::{self, Event as Move},
    state::{CommandState, Fault, Phase},
};
use serde_json::Map;

use super::{Core, Effect, Entry, Now, Record, plan, turn};
use crate::deeds::{Deed, Outcome, Undone};

/// How long a machine may take to go down once it was told to.
pub(super) const GOING_DOWN: Duration = Duration::from_secs(15 * 60);
impl Core {
    /// Moves a command on, and does what the move asks for. A move that does not fit changes nothing: what has ended stays
    /// ended, whatever is told of it later.
    pub(super) fn move_on(&mut self, now: &Now, id: CommandId, event: Move, effects: &mut Vec<Effect>) {
        let Some(entry) = self.memory.entries.get(&id) else { return };
        let Ok((state, asked)) = entry.state.after(event, now.wall, &self.own.teller) else { return };
        if asked.is_empty() {
            return;
        }
        let mut entry = entry.clone();
        entry.state = state;
        if entry.state.state.is_final() {
            entry.owes =
                entry.state.state != CommandState::Succeeded && (self.at_work.contains(&id) || self.holds_work(id));
            self.due.remove(&id);
        }
        if entry.state.state == CommandState::Rebooting {
            entry.tries += 1;
        }
        let command = entry.command.clone();
        if entry.is_over() {
            entry.command = None;
        }
        let state = Box::new(entry.state.clone());
        self.write(Record::Command(Box::new(entry)), effects);
        for asked in asked {
            match (asked, &command) {
                (moves::Effect::Publish, _) => effects.push(Effect::Publish(state.clone())),
                (moves::Effect::Act(phase), Some(command)) => match plan::deed(command, phase) {
                    Some(deed) => self.begin(id, deed, effects),
                    None => self.go_on(now, id, effects),
                },
                (moves::Effect::Reboot, Some(command)) => {
                    let deed = plan::perform(command);
                    self.due.insert(id, now.up + GOING_DOWN);
                    self.begin(id, deed, effects);
                }
                // Written above, cleaned up below, and lanes are looked at after each step.
                _ => {}
            }
        }
        self.clean_up(id, effects);
    }

    /// Whether the work on the node was stopped for a command that has not come to its end.
    fn holds_work(&self, id: CommandId) -> bool {
        let Some(entry) = self.memory.entries.get(&id) else { return false };
        let stops_work = |op: &Op| plan::goes_down(op) || matches!(op, Op::Drain(_));
        let begun = !entry.state.state.is_waiting() && entry.state.state != CommandState::Verifying;
        begun && entry.command.as_ref().is_some_and(|command| stops_work(&command.op))
    }

    /// Ends what still runs of a command that is over, then clears away what it left.
    pub(super) fn clean_up(&mut self, id: CommandId, effects: &mut Vec<Effect>) {
        let Some(entry) = self.memory.entries.get(&id).filter(|entry| entry.owes) else { return };
        let Some(op) = entry.command.as_ref().map(|command| command.op.clone()) else { return };
        if self.at_work.contains(&id) {
            return effects.push(Effect::Stop(id));
        }
        if let Op::Drain(_) = op {
            self.write(Record::Held(None), effects);
        }
        let resume_work = self.memory.held_by.is_none();
        self.cleaning.insert(id);
        self.begin(id, Deed::CleanUp { op, resume_work }, effects);
    }

    pub(super) fn begin(&mut self, id: CommandId, deed: Deed, effects: &mut Vec<Effect>) {
        self.at_work.insert(id);
        effects.push(Effect::Begin(id, deed));
    }

    /// A deed has ended.
    pub(super) fn done(&mut self, now: &Now, id: CommandId, outcome: Outcome, effects: &mut Vec<Effect>) {
        let worked = self.at_work.remove(&id);
        let Some(entry) = self.memory.entries.get(&id).filter(|_| worked) else { return };
        match (&entry.state.state, outcome) {
            (state, outcome) if state.is_final() => self.ended(id, &outcome, effects),
            (CommandState::Running { .. }, Ok(result)) => self.succeeded(now, id, result, effects),
            // The machine goes down now, or it will be asked why not.
            (_, Ok(_)) => {}
            (_, Err(undone)) => self.move_on(now, id, Move::Fail(fault(&undone)), effects),
        }
    }

    fn succeeded(
        &mut self,
        now: &Now,
        id: CommandId,
        result: Map<String, serde_json::Value>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(command) = self.memory.entries.get(&id).and_then(|entry| entry.command.clone()) else { return };
        if plan::goes_down(&command.op) {
            return self.move_on(now, id, Move::Reboot, effects);
        }
        if let Op::Undrain(_) = command.op {
            self.write(Record::Held(None), effects);
        }
        self.move_on(now, id, Move::Succeed(result), effects);
    }

    /// A part without a deed is over as soon as it has begun.
    pub(super) fn go_on(&mut self, now: &Now, id: CommandId, effects: &mut Vec<Effect>) {
        let state = self.memory.entries.get(&id).map(|entry| entry.state.state);
        if let Some(CommandState::Running { .. }) = state {
            self.succeeded(now, id, Map::new(), effects);
        }
    }

    /// Something of a command that is over has ended: what was to be stopped, or the cleaning up after it.
    fn ended(&mut self, id: CommandId, outcome: &Outcome, effects: &mut Vec<Effect>) {
        if !self.cleaning.remove(&id) {
            return self.clean_up(id, effects);
        }
        let Some(entry) = self.memory.entries.get(&id) else { return };
        if let Err(undone) = outcome {
            log::error!("cannot clean up after {} {id}: {undone}", entry.state.op);
        }
        let mut entry = entry.clone();
        (entry.owes, entry.command) = (false, None);
        self.write(Record::Command(Box::new(entry)), effects);
    }

    /// A command has taken all the time that it may.
    pub(super) fn overdue(&mut self, now: &Now, id: CommandId, effects: &mut Vec<Effect>) {
        self.due.remove(&id);
        match self.memory.entries.get(&id).map(|entry| entry.state.state) {
            Some(CommandState::Rebooting) => {
                let fault = Fault::new("still_up", true, "the machine was told to go down and did not");
                self.move_on(now, id, Move::Fail(fault), effects);
            }
            Some(_) => self.move_on(now, id, Move::TimeOut, effects),
            None => {}
        }
    }

    /// Begins all commands whose turn it is: those that call off others first, then the oldest.
    pub(super) fn begin_what_may(&mut self, now: &Now, effects: &mut Vec<Effect>) {
        if !self.awake {
            return;
        }
        let is_waiting = |entry: &&Entry| entry.state.state.is_waiting();
        let commands = self.memory.entries.values().filter(is_waiting).filter_map(|entry| entry.command.clone());
        let (first, then): (Vec<_>, Vec<_>) = commands.partition(|command| matches!(command.op, Op::Cancel(_)));
        for command in first.into_iter().chain(then) {
            self.look_at(now, &command, effects);
        }
    }

    fn look_at(&mut self, now: &Now, command: &Command, effects: &mut Vec<Effect>) {
        let id = command.id;
        match (&command.op, turn::of(command, self.clock(now), &self.around, self.lanes())) {
            (_, Err(rejection)) => self.move_on(now, id, Move::Reject(rejection), effects),
            // To call off needs no clock: it may be what waits for the clock that is called off.
            (Op::Cancel(cancel), Ok(_)) => self.call_off(now, id, cancel.target, effects),
            (_, Ok(Begin::Wait(reason))) => self.move_on(now, id, Move::Wait(reason), effects),
            (_, Ok(Begin::Now)) if command.policy.dry_run => {
                self.at_once(now, id, Ok(Map::from_iter([("dry_run".to_owned(), true.into())])), effects);
            }
            (op, Ok(Begin::Now)) => {
                self.due.insert(id, now.up + plan::longest(command));
                if let Op::Drain(_) = op {
                    self.write(Record::Held(Some(command.by.clone())), effects);
                }
                self.move_on(now, id, Move::Begin(plan::first(command)), effects);
            }
        }
    }

    /// Begins and ends a command in one step.
    pub(super) fn at_once(
        &mut self,
        now: &Now,
        id: CommandId,
        outcome: Result<Map<String, serde_json::Value>, Fault>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(entry) = self.memory.entries.get(&id) else { return };
        let Ok((begun, _)) = entry.state.after(Move::Begin(Phase::Act), now.wall, &self.own.teller) else { return };
        let end = outcome.map_or_else(Move::Fail, Move::Succeed);
        let Ok((ended, _)) = begun.after(end, now.wall, &self.own.teller) else { return };
        let mut entry = entry.clone();
        (entry.state, entry.command) = (ended.clone(), None);
        self.write(Record::Command(Box::new(entry)), effects);
        effects.push(Effect::Publish(Box::new(ended)));
    }

    /// Calls off another command.
    fn call_off(&mut self, now: &Now, id: CommandId, target: CommandId, effects: &mut Vec<Effect>) {
        let refuse = |code, why: String| Move::Reject(Rejection::new(code, why));
        let Some(found) = self.memory.entries.get(&target) else {
            return self.move_on(now, id, refuse(Code::Precondition, format!("there is no command {target}")), effects);
        };
        if !self.may_call_off(id, found) {
            let why = "only who gave the command, or an admin, may call it off".to_owned();
            return self.move_on(now, id, refuse(Code::Unauthorized, why), effects);
        }
        // The agent may have died between the two records of this.
        let gone = found.state.state == CommandState::Canceled;
        match found.state.after(Move::Cancel, now.wall, &self.own.teller) {
            Ok(_) => self.move_on(now, target, Move::Cancel, effects),
            Err(_) if gone => {}
            Err(why) => return self.at_once(now, id, Err(Fault::new("too_late", false, &why.to_string())), effects),
        }
        self.at_once(now, id, Ok(Map::from_iter([("canceled".to_owned(), target.to_string().into())])), effects);
    }

    /// Whether one of those who signed a cancellation gave the command, or is an admin. The target may have come after it.
    fn may_call_off(&self, id: CommandId, target: &Entry) -> bool {
        let signers = self.memory.entries.get(&id).map(|entry| entry.signers.as_slice()).unwrap_or_default();
        let is_admin = |id: &KeyId| {
            self.own.trust.keys().iter().any(|key| key.key.id() == *id && key.roles.contains(&Role::Admin))
        };
        target.signers.is_empty() || signers.iter().any(|id| target.signers.contains(id) || is_admin(id))
    }
}

fn fault(undone: &Undone) -> Fault {
    Fault::new(&undone.code, undone.retry, &undone.message)
}
