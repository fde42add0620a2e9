//! The parts of a command: what is done in each, what follows on it, and the way back from a change that did not go well.

use std::sync::Arc;

use reelmill_api::fleet::{
    Command, CommandId, Op, Topic,
    command::Window,
    moves::Event as Move,
    state::{CommandState, Fault, Phase},
};
use serde_json::{Map, Value};

use super::{Core, Effect, Entry, Now, plan};
use crate::{
    deeds::{Deed, Order},
    exec::wire,
};

impl Core {
    /// Does a part of a command, once nothing else of it is being done.
    pub(super) fn act(&mut self, now: &Now, id: CommandId, phase: Phase, effects: &mut Vec<Effect>) {
        if self.at_work.contains(&id) {
            self.stopping.insert(id);
            return effects.push(Effect::Stop(id));
        }
        if phase == Phase::Window && !self.around.window_open {
            return self.wait_for_the_window(now, id, effects);
        }
        match self.memory.entries.get(&id).and_then(|entry| self.deed(entry, phase)) {
            Some(deed) => self.begin(id, deed, effects),
            None => self.go_on(now, id, effects),
        }
    }

    /// The maintenance window has closed meanwhile. Nothing has changed yet: the command waits for the next one, however long
    /// that takes, unless it was to be done in this one.
    fn wait_for_the_window(&mut self, now: &Now, id: CommandId, effects: &mut Vec<Effect>) {
        let command = self.memory.entries.get(&id).and_then(|entry| entry.command.as_ref());
        if command.is_some_and(|command| command.policy.window == Window::Now) {
            let fault = Fault::new("window_closed", true, "the maintenance window closed before anything was changed");
            return self.fail(now, id, fault, effects);
        }
        self.due.remove(&id);
    }

    /// The window is open: what has waited for it in the midst of a command goes on.
    pub(super) fn pass_the_window(&mut self, now: &Now, effects: &mut Vec<Effect>) {
        let waits = |entry: &&Entry| entry.state.state == CommandState::Running { phase: Phase::Window };
        let waiting = self.memory.entries.values().filter(waits).filter_map(|entry| entry.command.clone());
        for command in waiting.filter(|_| self.awake && self.around.window_open).collect::<Vec<_>>() {
            self.bound(now, command.id, Some(plan::longest(&command)));
            self.act(now, command.id, Phase::Window, effects);
        }
    }

    /// What is done in a part; `None` where there is nothing to be done.
    fn deed(&self, entry: &Entry, phase: Phase) -> Option<Deed> {
        let command = entry.command.as_deref()?;
        let helped = wire::parts(&command.op);
        match (phase, &command.op) {
            (Phase::Undo, _) => Some(Deed::Part { order: self.order(entry, command), phase }),
            (phase, _) if helped.contains(&phase) => Some(Deed::Part { order: self.order(entry, command), phase }),
            (Phase::Verify, op) => plan::has_stages(op).then(|| Deed::Verify {
                op: op.clone(),
                verify: plan::verify(op),
                before: entry.before.unwrap_or_default(),
                takes_work: self.memory.held_by.is_none(),
            }),
            (_, Op::Drain(_)) => Some(plan::perform(command)),
            (Phase::Drain, _) => Some(plan::finish_work(command)),
            (Phase::Window, _) => None,
            (_, op) if plan::goes_down(op) => None,
            _ => Some(plan::perform(command)),
        }
    }

    /// The command with its message, for the root helper. A message on any other topic is no command with stages.
    pub(super) fn order(&self, entry: &Entry, command: &Command) -> Arc<Order> {
        Arc::new(Order {
            command: command.clone(),
            topic: Topic::Command(self.own.node.clone(), command.op.name(), command.id),
            message: entry.message.clone().unwrap_or_default(),
        })
    }

    /// A part without a deed is over as soon as it has begun.
    fn go_on(&mut self, now: &Now, id: CommandId, effects: &mut Vec<Effect>) {
        if let Some(CommandState::Running { phase }) = self.memory.entries.get(&id).map(|entry| entry.state.state) {
            self.part_done(now, id, phase, Map::new(), effects);
        }
    }

    /// A part was done: the next one, or the end.
    pub(super) fn part_done(
        &mut self,
        now: &Now,
        id: CommandId,
        phase: Phase,
        result: Map<String, Value>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(command) = self.memory.entries.get(&id).and_then(|entry| entry.command.clone()) else { return };
        let wants_boot = match command.op {
            // What still runs knows what is forgotten.
            Op::FactoryReset(_) => true,
            _ => phase == Phase::Activate && result.get("boot") == Some(&Value::Bool(true)),
        };
        let event = match plan::next(&command, phase) {
            _ if phase == Phase::Undo => Move::RollBack,
            _ if wants_boot || plan::goes_down(&command.op) => Move::Reboot,
            Some(next)
                if !self.around.window_open && phase != Phase::Window && plan::needs_the_window(&command, next) =>
            {
                Move::Enter(Phase::Window)
            }
            Some(next) => Move::Enter(next),
            None => {
                self.take_effect(now, &command.op, effects);
                Move::Succeed(result)
            }
        };
        self.move_on(now, id, event, effects);
    }

    /// What a command that was done changes for those that follow.
    fn take_effect(&mut self, now: &Now, op: &Op, effects: &mut Vec<Effect>) {
        match op {
            Op::Undrain(_) => self.hold(now, None, effects),
            Op::Trust(new) => match self.own.trust.successor(&new.document) {
                Ok(trust) => self.own.trust = trust,
                // It was taken before the agent started, from its disk.
                Err(why) => log::debug!("the trusted keys stay: {why}"),
            },
            _ => {}
        }
    }

    /// A part was not done. What may have changed is undone first; a way back that fails is told of with its reason.
    pub(super) fn fail(&mut self, now: &Now, id: CommandId, fault: Fault, effects: &mut Vec<Effect>) {
        let Some(entry) = self.memory.entries.get(&id) else { return };
        let state = entry.state.state;
        let event = if entry.command.as_ref().is_some_and(|command| plan::must_undo(&command.op, state)) {
            Move::Undo(fault)
        } else if state == (CommandState::Running { phase: Phase::Undo }) {
            Move::Fail(not_undone(entry.state.error.as_ref(), &fault))
        } else {
            Move::Fail(fault)
        };
        self.move_on(now, id, event, effects);
    }
}

/// The fault of a change that did not go well and could not be undone.
fn not_undone(first: Option<&Fault>, then: &Fault) -> Fault {
    let first = first.map(|fault| format!("{}: {}; ", fault.code, fault.msg.as_str())).unwrap_or_default();
    let msg = format!("{first}and it could not be undone: {}: {}", then.code, then.msg.as_str());
    Fault::new("undo_failed", false, &msg)
}
