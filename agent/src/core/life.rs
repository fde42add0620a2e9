//! The life of a command from its turn to its end.

use std::time::Duration;

use reelmill_api::fleet::{
    Command, CommandId, Op,
    admission::Begin,
    event::NodeEvent,
    moves::{self, Event as Move},
    state::{CommandState, Fault, Phase, State},
};
use serde_json::{Map, Value};

use super::{Core, Effect, Entry, Now, Record, plan, turn};
use crate::deeds::{Before, Deed, Outcome, Undone};

/// How long a machine may take to go down once it was told to.
pub(super) const GOING_DOWN: Duration = Duration::from_secs(15 * 60);

impl Core {
    /// Moves a command on, and does what the move asks for. A move that does not fit changes nothing: what has ended stays
    /// ended, whatever is told of it later.
    pub(super) fn move_on(&mut self, now: &Now, id: CommandId, event: Move, effects: &mut Vec<Effect>) {
        let Some(was) = self.memory.entries.get(&id) else { return };
        let Ok((state, asked)) = was.state.after(event, now.wall, &self.own.teller) else { return };
        if asked.is_empty() {
            return;
        }
        let entry = self.moved(now, was, state);
        let (state, command) = (Box::new(entry.state.clone()), was.command.clone());
        let told = self.event_of(now, &was.state, &state);
        if state.state.is_final() {
            self.due.remove(&id);
        }
        self.write(Record::Command(Box::new(entry)), effects);
        for asked in asked {
            match (asked, &command) {
                (moves::Effect::Publish, _) => effects.push(Effect::Publish(state.clone())),
                (moves::Effect::Act(phase), Some(command)) => {
                    self.bound(now, id, plan::longest_part(command, phase));
                    self.act(now, id, phase, effects);
                }
                (moves::Effect::Reboot, Some(command)) => {
                    let deed = plan::go_down(command);
                    self.bound(now, id, Some(GOING_DOWN));
                    self.begin(id, deed, effects);
                }
                // Written above, cleaned up below, and lanes are looked at after each step.
                _ => {}
            }
        }
        effects.extend(told);
        self.clean_up(now, id, effects);
    }

    /// The entry of a command whose state has moved.
    fn moved(&self, now: &Now, was: &Entry, state: State) -> Entry {
        let mut entry = Entry { state, ..was.clone() };
        let begins = was.state.state.is_waiting() && !entry.state.state.is_waiting();
        if begins && was.command.as_ref().is_some_and(|command| plan::has_stages(&command.op)) {
            entry.before = Some(Before { gpu: self.around.gpu, clock: now.synchronised });
        }
        entry.stops_work |= entry.state.state == (CommandState::Running { phase: Phase::Drain });
        // Each part may be taken up some times.
        if entry.state.state != was.state.state {
            entry.tries = u8::from(entry.state.state == CommandState::Rebooting);
        }
        if entry.state.state.is_final() {
            entry.owes = self.leaves_something(was, entry.state.state);
        }
        if entry.is_over() {
            entry.let_go();
        }
        entry
    }

    /// Whether what a command has begun must be cleaned up, now that it has ended so.
    fn leaves_something(&self, was: &Entry, end: CommandState) -> bool {
        let Some(command) = was.command.as_ref().filter(|_| end != CommandState::Succeeded) else { return false };
        let begun = !was.state.state.is_waiting();
        let goes_on = was.state.state == CommandState::Verifying && plan::goes_down(&command.op);
        let holds_work = was.stops_work && !goes_on;
        let helped = begun && end != CommandState::RolledBack && plan::has_stages(&command.op);
        holds_work || helped || self.at_work.contains(&was.state.id)
    }

    /// What a node tells beside a command's state: that a change was undone, or could not be.
    fn event_of(&self, now: &Now, was: &State, is: &State) -> Option<Effect> {
        let undoing = CommandState::Running { phase: Phase::Undo };
        let fault = is.error.as_ref().filter(|_| was.state == undoing && is.state.is_final())?;
        let event = NodeEvent::undone(is, fault, now.wall, &self.own.teller);
        Some(Effect::Tell(Box::new(event)))
    }

    /// By when a command must have ended, if something is said of that.
    pub(super) fn bound(&mut self, now: &Now, id: CommandId, within: Option<Duration>) {
        if let Some(within) = within {
            self.due.insert(id, now.up + within);
        }
    }

    /// Ends what still runs of a command that is over, then clears away what it left.
    pub(super) fn clean_up(&mut self, now: &Now, id: CommandId, effects: &mut Vec<Effect>) {
        let Some(entry) = self.memory.entries.get(&id).filter(|entry| entry.owes) else { return };
        let Some(command) = entry.command.as_deref() else { return };
        if self.at_work.contains(&id) {
            return effects.push(Effect::Stop(id));
        }
        let op = command.op.clone();
        let may_hold = plan::has_stages(&op) && entry.state.state != CommandState::RolledBack;
        let order = may_hold.then(|| self.order(entry, command));
        let stopped_work = entry.stops_work;
        if let Op::Drain(_) = op {
            self.hold(now, None, effects);
        }
        let resume_work = stopped_work && self.memory.held_by.is_none();
        self.cleaning.insert(id);
        self.begin(id, Deed::CleanUp { op, order, resume_work }, effects);
    }

    pub(super) fn begin(&mut self, id: CommandId, deed: Deed, effects: &mut Vec<Effect>) {
        self.at_work.insert(id);
        effects.push(Effect::Begin(id, deed));
    }

    /// A deed has ended.
    pub(super) fn done(&mut self, now: &Now, id: CommandId, outcome: Outcome, effects: &mut Vec<Effect>) {
        let worked = self.at_work.remove(&id);
        let stopped = self.stopping.remove(&id);
        let Some(entry) = self.memory.entries.get(&id).filter(|_| worked) else { return };
        match (entry.state.state, outcome) {
            (state, outcome) if state.is_final() => self.ended(now, id, &outcome, effects),
            // What was in the way of the present part has ended, however it did.
            (CommandState::Running { phase }, _) if stopped => self.act(now, id, phase, effects),
            (CommandState::Running { phase }, Ok(result)) => self.part_done(now, id, phase, result, effects),
            (CommandState::Verifying, Ok(result)) => self.part_done(now, id, Phase::Verify, result, effects),
            // The machine goes down now, or it will be asked why not.
            (_, Ok(_)) => {}
            (_, Err(undone)) => self.fail(now, id, fault(&undone), effects),
        }
    }

    /// Something of a command that is over has ended: what was to be stopped, or the cleaning up after it.
    fn ended(&mut self, now: &Now, id: CommandId, outcome: &Outcome, effects: &mut Vec<Effect>) {
        if !self.cleaning.remove(&id) {
            return self.clean_up(now, id, effects);
        }
        let Some(entry) = self.memory.entries.get(&id) else { return };
        if let Err(undone) = outcome {
            log::error!("cannot clean up after {} {id}: {undone}", entry.state.op);
        }
        let mut entry = entry.clone();
        entry.owes = false;
        entry.let_go();
        self.write(Record::Command(Box::new(entry)), effects);
    }

    /// A command has taken all the time that it may.
    pub(super) fn overdue(&mut self, now: &Now, id: CommandId, effects: &mut Vec<Effect>) {
        self.due.remove(&id);
        let Some(entry) = self.memory.entries.get(&id) else { return };
        let state = entry.state.state;
        let undoable = entry.command.as_ref().is_some_and(|command| plan::must_undo(&command.op, state));
        match state {
            CommandState::Rebooting => {
                let fault = Fault::new("still_up", true, "the machine was told to go down and did not");
                self.fail(now, id, fault, effects);
            }
            state if undoable || state == (CommandState::Running { phase: Phase::Undo }) => {
                self.fail(now, id, Fault::new("timed_out", true, "it took longer than it may"), effects);
            }
            _ => self.move_on(now, id, Move::TimeOut, effects),
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
                self.bound(now, id, Some(plan::longest(command)));
                if let Op::Drain(_) = op {
                    self.hold(now, Some(command.by.clone()), effects);
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
        outcome: Result<Map<String, Value>, Fault>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(entry) = self.memory.entries.get(&id) else { return };
        let Ok((begun, _)) = entry.state.after(Move::Begin(Phase::Act), now.wall, &self.own.teller) else { return };
        let end = outcome.map_or_else(Move::Fail, Move::Succeed);
        let Ok((ended, _)) = begun.after(end, now.wall, &self.own.teller) else { return };
        let mut entry = Entry { state: ended.clone(), ..entry.clone() };
        entry.let_go();
        self.write(Record::Command(Box::new(entry)), effects);
        effects.push(Effect::Publish(Box::new(ended)));
    }
}

fn fault(undone: &Undone) -> Fault {
    Fault::new(&undone.code, undone.retry, &undone.message)
}
