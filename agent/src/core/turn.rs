//! Whether it is a command's turn.

use reelmill_api::fleet::{
    Code, Command, Rejection, Text,
    admission::{Begin, Clock, may_begin},
    command::Window,
    state::{CommandState, Phase, Wait},
};

use super::{Around, plan};

/// How many commands of the shared lane run at once.
const SHARED: usize = 4;

/// What else is on the node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lanes<'a> {
    /// The command that has the exclusive lane.
    pub(super) exclusive: Option<CommandState>,
    /// How many run in the shared lane.
    pub(super) shared: usize,
    /// Who holds the node.
    pub(super) held_by: Option<&'a Text<128>>,
}

/// Decides over one waiting command.
///
/// # Errors
/// If its turn can never come.
pub(super) fn of(command: &Command, clock: Clock, around: &Around, lanes: Lanes<'_>) -> Result<Begin, Rejection> {
    if let Begin::Wait(wait) = may_begin(command, clock, &around.facts)? {
        return Ok(Begin::Wait(wait));
    }
    if !around.window_open && plan::keeps_to_the_window(&command.op) {
        match command.policy.window {
            Window::Now => return Err(Rejection::new(Code::Precondition, "it is not the node's maintenance window")),
            Window::Next => return Ok(Begin::Wait(Wait::Window)),
            Window::Ignore => {}
        }
    }
    Ok(lane(command, lanes).map_or(Begin::Now, Begin::Wait))
}

fn lane(command: &Command, lanes: Lanes<'_>) -> Option<Wait> {
    let exclusive = plan::is_exclusive(&command.op);
    if exclusive && lanes.held_by.is_some_and(|owner| *owner != command.by) {
        return Some(Wait::Lock);
    }
    match lanes.exclusive {
        Some(CommandState::Running { phase: Phase::Drain }) if plan::disturbs(&command.op) => Some(Wait::Drain),
        Some(_) if exclusive || plan::disturbs(&command.op) => Some(Wait::Busy),
        _ if !exclusive && lanes.shared >= SHARED => Some(Wait::Busy),
        _ => None,
    }
}
