//! What each operation is made of: its parts, what it disturbs, how long it usually may take.

use std::time::Duration;

use reelmill_api::fleet::{
    Command, Op, OpLane,
    args::{AtDeadline, Nothing, Verify},
    command::{DrainFirst, Window},
    state::{CommandState, Phase},
};

use crate::{deeds::Deed, exec::wire};

const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;

/// The parts of a command in their order. A machine that goes down for `reboot` and its like does so after the last.
pub(super) fn parts(command: &Command) -> Vec<Phase> {
    match wire::parts(&command.op) {
        [] => vec![only(command)],
        helpers => helpers.iter().flat_map(|part| with_ours(*part, command)).collect(),
    }
}

/// The part that a command begins with.
pub(super) fn first(command: &Command) -> Phase {
    parts(command).first().copied().unwrap_or(Phase::Act)
}

/// The part that follows on another; on the wait for a window, what disturbs the node first.
pub(super) fn next(command: &Command, phase: Phase) -> Option<Phase> {
    match phase {
        Phase::Window => parts(command).into_iter().find(is_disturbing),
        _ => parts(command).into_iter().skip_while(|part| *part != phase).nth(1),
    }
}

/// Whether the window must be open for it, as it was when the command began: what is fetched may take longer than that.
pub(super) fn needs_the_window(command: &Command, next: Phase) -> bool {
    let fetches = wire::parts(&command.op).contains(&Phase::Fetch);
    let begins = parts(command).into_iter().find(is_disturbing) == Some(next);
    fetches && begins && command.policy.window != Window::Ignore
}

fn is_disturbing(part: &Phase) -> bool {
    matches!(part, Phase::Drain | Phase::Activate)
}

fn only(command: &Command) -> Phase {
    match &command.op {
        Op::Reboot(_) | Op::Poweroff(_) if command.policy.drain == DrainFirst::Skip => Phase::Preflight,
        Op::Reboot(_) | Op::Poweroff(_) | Op::Drain(_) => Phase::Drain,
        Op::SelfTest(_) | Op::Batch(_) => Phase::Encode,
        Op::LogsTail(_) | Op::Diag(_) => Phase::Collect,
        _ => Phase::Act,
    }
}

/// A part of the root helper's, and what the agent does before and after: work is finished before anything changes, and the
/// node is looked at afterwards.
fn with_ours(part: Phase, command: &Command) -> Vec<Phase> {
    let finishes_work = !matches!(command.op, Op::SetConf(_)) && command.policy.drain != DrainFirst::Skip;
    match part {
        Phase::Activate if finishes_work => vec![Phase::Drain, part, Phase::Verify],
        Phase::Activate => vec![part, Phase::Verify],
        _ => vec![part],
    }
}

/// Whether it changes the node in parts, with a look at it before the change stays.
pub(super) fn has_stages(op: &Op) -> bool {
    wire::parts(op).contains(&Phase::Activate)
}

/// Whether what it changed can be undone, from a state in which something may have changed.
pub(super) fn must_undo(op: &Op, state: CommandState) -> bool {
    let changed = match state {
        CommandState::Running { phase } => matches!(phase, Phase::Activate | Phase::Verify | Phase::Commit),
        state => matches!(state, CommandState::Rebooting | CommandState::Verifying),
    };
    changed && wire::parts(op).contains(&Phase::Commit)
}

/// Whether a part can be done again after the machine went down in the middle of it.
pub(super) fn is_repeatable(op: &Op, phase: Phase) -> bool {
    match phase {
        Phase::Preflight | Phase::Fetch | Phase::Check | Phase::Window | Phase::Drain | Phase::Commit | Phase::Undo => {
            true
        }
        // Firmware is there or not, whatever happens while it is looked at.
        Phase::Verify => true,
        // The root helper knows what it has done, and so must who changes a credential.
        Phase::Act => !wire::parts(op).is_empty() || matches!(op, Op::RotateCred(_)),
        _ => false,
    }
}

/// Whether the machine goes down for it, as soon as its work is finished.
pub(super) fn goes_down(op: &Op) -> bool {
    matches!(op, Op::Reboot(_) | Op::Poweroff(_))
}

/// The end of work before a command disturbs it.
pub(super) fn finish_work(command: &Command) -> Deed {
    let within = (command.policy.drain == DrainFirst::Deadline)
        .then(|| Duration::from_secs(command.policy.drain_s.map_or(0, |s| s.get()).into()));
    Deed::FinishWork { within, then: AtDeadline::Requeue }
}

/// The operation itself.
pub(super) fn perform(command: &Command) -> Deed {
    Deed::Perform { op: command.op.clone(), force: command.policy.force }
}

/// The machine goes down for it.
pub(super) fn go_down(command: &Command) -> Deed {
    if goes_down(&command.op) {
        return perform(command);
    }
    Deed::Perform { op: Op::Reboot(Nothing {}), force: command.policy.force }
}

/// Whether it makes the worker stop or gives it more to do, and so waits where a command of the exclusive lane runs.
pub(super) fn disturbs(op: &Op) -> bool {
    matches!(
        op,
        Op::SelfTest(_) | Op::Batch(_) | Op::RestartWorker(_) | Op::PowerMode(_) | Op::Drain(_) | Op::Undrain(_)
    )
}

/// Whether it runs alone among its kind: what it changes, the others change or look at too.
pub(super) fn is_exclusive(op: &Op) -> bool {
    op.lane() == OpLane::Exclusive || has_stages(op)
}

/// Whether it keeps to the node's maintenance window.
pub(super) fn keeps_to_the_window(op: &Op) -> bool {
    op.lane() == OpLane::Exclusive || matches!(op, Op::RestartWorker(_) | Op::PowerMode(_))
}

/// How long it may take once begun, until something has changed.
pub(super) fn longest(command: &Command) -> Duration {
    let usual = match &command.op {
        Op::LogsTail(tail) => MINUTE + tail.ttl_s.map_or(0, |s| u64::from(s.get())),
        Op::SelfTest(test) => MINUTE + u64::from(test.seconds.get()),
        Op::Drain(_) | Op::Batch(_) | Op::Reboot(_) | Op::Poweroff(_) => DAY,
        Op::Switch(_) | Op::Rollback(_) | Op::Firmware(_) => DAY,
        _ => 10 * MINUTE,
    };
    Duration::from_secs(command.ttl_s.map_or(usual, |s| s.get().into()))
}

/// How long a part may take by itself, where something has changed: a node must not stay in between.
pub(super) fn longest_part(command: &Command, phase: Phase) -> Option<Duration> {
    let seconds = match phase {
        // A worker that gets new settings may take ten minutes to hand back its work.
        Phase::Activate | Phase::Commit => 15 * MINUTE,
        Phase::Verify if has_stages(&command.op) => MINUTE + u64::from(verify(&command.op).timeout_s.get()),
        // The old system starts its units, and may have to be booted.
        Phase::Undo => 20 * MINUTE,
        _ => return None,
    };
    Some(Duration::from_secs(seconds))
}

/// What must be well after it.
pub(super) fn verify(op: &Op) -> Verify {
    match op {
        Op::Switch(switch) => switch.verify,
        // New settings are worth no test encode: the worker itself refuses those that it cannot use.
        Op::SetConf(_) => Verify { encode: false, ..Verify::default() },
        _ => Verify::default(),
    }
}
