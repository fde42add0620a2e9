//! How a command's state moves: one function from a state and what happens to the next state and what must be done.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::{
    reject::Rejection,
    state::{CommandState, Fault, Phase, State, Teller, Wait},
};

/// The shortest time between two messages that tell only of progress.
const PROGRESS_EVERY: SignedDuration = SignedDuration::from_secs(1);
/// The smallest progress that is told, percent.
const PROGRESS_BY: u8 = 5;

/// What happens to a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// It must wait, or for something else.
    Wait(Wait),
    /// Its turn has come; this is its first part.
    Begin(Phase),
    /// Its next part.
    Enter(Phase),
    /// How far its part is, percent.
    Progress(u8),
    /// The node must go down for it.
    Reboot,
    /// The node is back from that.
    Booted,
    /// It was done.
    Succeed(Map<String, Value>),
    /// It could not be done.
    Fail(Fault),
    /// What it changed must be undone; why.
    Undo(Fault),
    /// What it changed is undone.
    RollBack,
    /// It turned out before it began that it must not.
    Reject(Rejection),
    /// Somebody who may calls it off.
    Cancel,
    /// A newer command takes its place.
    Supersede,
    /// It has taken too long.
    TimeOut,
}

/// What must be done after a move, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write the state to the ledger and wait until it is on the disk.
    Store,
    /// Publish the state.
    Publish,
    /// Do this part.
    Act(Phase),
    /// Stop what is being done.
    Stop,
    /// Boot.
    Reboot,
    /// Let the next command of the lane begin.
    Release,
}

/// What an agent that starts does with a command in its ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// Nothing: tell of its end again if the hub has not cleared it.
    Ended,
    /// Judge again whether it may begin.
    Wait,
    /// The agent alone was started anew: look how far the part is, for what did it may still run.
    Ask(Phase),
    /// The machine was started anew in the middle of this part: undo it, or fail.
    Interrupted(Phase),
    /// The boot that was asked for has not happened.
    Reboot,
    /// The boot that was asked for has happened.
    Booted,
    /// Look again whether the node is well.
    Verify,
}

/// A move that is not allowed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadMove {
    /// Nothing follows on the state.
    #[error("the command has ended: {}", .0.as_str())]
    Final(CommandState),
    /// It can be called off before and after this part, not in it.
    #[error("the command cannot be called off now")]
    NotCancelable,
    /// The event does not fit the state.
    #[error("{event} does not fit a command that is {}", .state.as_str())]
    Unfit {
        /// The state.
        state: CommandState,
        /// The event's name.
        event: &'static str,
    },
}

impl State {
    /// The state after `event` at `at`, and what must be done then. Without effects nothing has changed.
    ///
    /// # Errors
    /// If the move is not allowed; the state stays.
    pub fn after(&self, event: Event, at: Timestamp, by: &Teller) -> Result<(Self, Vec<Effect>), BadMove> {
        let (to, then) = self.state.after(&event)?;
        let pct = match event {
            Event::Progress(pct) if !self.tells_progress(pct, at) => return Ok((self.clone(), Vec::new())),
            Event::Progress(pct) => Some(pct.min(100)),
            _ if to == self.state => return Ok((self.clone(), Vec::new())),
            _ => None,
        };
        let begins = self.started.is_none() && matches!(to, CommandState::Running { .. });
        let mut next = Self {
            seq: self.seq.saturating_add(1),
            state: to,
            pct,
            t: at,
            started: if begins { Some(at) } else { self.started },
            boot_id: by.boot_id.clone(),
            agent: by.agent.clone(),
            ..self.clone()
        };
        match event {
            Event::Succeed(result) => next.result = result,
            Event::Fail(fault) | Event::Undo(fault) => next.error = Some(fault),
            Event::Reject(why) => next.error = Some((&why).into()),
            Event::TimeOut => next.error = Some(Fault::new("timed_out", true, "it took longer than it may")),
            _ => {}
        }
        let mut effects = vec![Effect::Store, Effect::Publish];
        effects.extend(then);
        if to.is_final() {
            effects.push(Effect::Release);
        }
        Ok((next, effects))
    }

    /// Progress is told at most once a second and once every five percent.
    fn tells_progress(&self, pct: u8, at: Timestamp) -> bool {
        let by = pct.min(100).saturating_sub(self.pct.unwrap_or(0));
        by >= PROGRESS_BY && at.duration_since(self.t) >= PROGRESS_EVERY
    }

    /// What becomes of the command when the agent finds it in its ledger, in the boot `boot_id`.
    pub fn resumed(&self, boot_id: &str) -> Resume {
        let same_boot = self.boot_id == boot_id;
        match self.state {
            state if state.is_final() => Resume::Ended,
            CommandState::Rebooting if same_boot => Resume::Reboot,
            CommandState::Rebooting => Resume::Booted,
            CommandState::Verifying => Resume::Verify,
            CommandState::Running { phase } if same_boot => Resume::Ask(phase),
            CommandState::Running { phase } => Resume::Interrupted(phase),
            _ => Resume::Wait,
        }
    }
}

impl CommandState {
    /// The state after an event, and what must be done then beside storing and publishing it.
    fn after(self, event: &Event) -> Result<(Self, Option<Effect>), BadMove> {
        use Event as E;
        if self.is_final() {
            return Err(BadMove::Final(self));
        }
        Ok(match (self, event) {
            (Self::Accepted | Self::Queued { .. }, E::Wait(reason)) => (Self::Queued { reason: *reason }, None),
            (Self::Accepted | Self::Queued { .. }, E::Begin(phase)) => {
                (Self::Running { phase: *phase }, Some(Effect::Act(*phase)))
            }
            // The only way out of this part is to be done with it, or not.
            (Self::Running { phase: Phase::Undo }, E::RollBack) => (Self::RolledBack, None),
            (
                Self::Running { phase: Phase::Undo },
                E::Enter(_) | E::Undo(_) | E::Reboot | E::Succeed(_) | E::TimeOut,
            ) => {
                return Err(BadMove::Unfit { state: self, event: event.name() });
            }
            (Self::Running { .. } | Self::Verifying, E::Enter(phase)) => {
                (Self::Running { phase: *phase }, Some(Effect::Act(*phase)))
            }
            (Self::Running { phase: Phase::Activate | Phase::Verify | Phase::Commit }, E::Undo(_))
            | (Self::Rebooting | Self::Verifying, E::Undo(_)) => {
                (Self::Running { phase: Phase::Undo }, Some(Effect::Act(Phase::Undo)))
            }
            (Self::Accepted | Self::Queued { .. }, E::Reject(why)) => (Self::rejected_for(why.code), None),
            (Self::Accepted | Self::Queued { .. }, E::Supersede) => (Self::Superseded, None),
            (Self::Accepted | Self::Queued { .. }, E::Cancel) => (Self::Canceled, None),
            (Self::Running { phase }, E::Cancel) if phase.is_cancelable() => (Self::Canceled, Some(Effect::Stop)),
            (Self::Running { .. } | Self::Rebooting | Self::Verifying, E::Cancel) => {
                return Err(BadMove::NotCancelable);
            }
            (Self::Running { .. }, E::Progress(_)) => (self, None),
            (Self::Running { .. }, E::Reboot) => (Self::Rebooting, Some(Effect::Reboot)),
            (Self::Rebooting, E::Booted) => (Self::Verifying, Some(Effect::Act(Phase::Verify))),
            (Self::Running { .. } | Self::Verifying, E::Succeed(_)) => (Self::Succeeded, None),
            (Self::Running { .. } | Self::Rebooting | Self::Verifying, E::Fail(_)) => (Self::Failed, None),
            (Self::Running { .. } | Self::Rebooting | Self::Verifying, E::TimeOut) => {
                (Self::TimedOut, Some(Effect::Stop))
            }
            _ => return Err(BadMove::Unfit { state: self, event: event.name() }),
        })
    }
}

impl Event {
    fn name(&self) -> &'static str {
        match self {
            Self::Wait(_) => "to wait",
            Self::Begin(_) => "to begin",
            Self::Enter(_) => "a next part",
            Self::Progress(_) => "progress",
            Self::Reboot => "a reboot",
            Self::Booted => "a boot",
            Self::Succeed(_) => "success",
            Self::Fail(_) => "a failure",
            Self::Undo(_) => "a way back",
            Self::RollBack => "the end of a way back",
            Self::Reject(_) => "a rejection",
            Self::Cancel => "a cancellation",
            Self::Supersede => "a newer command",
            Self::TimeOut => "the end of its time",
        }
    }
}

#[cfg(test)]
mod tests;
