//! What each operation is made of: its parts, what it disturbs, how long it usually may take.

use std::time::Duration;

use reelmill_api::fleet::{Command, Op, OpLane, args::AtDeadline, command::DrainFirst, state::Phase};

use crate::deeds::Deed;

/// The part that a command begins with. A machine that goes down does so after it.
pub(super) fn first(command: &Command) -> Phase {
    match &command.op {
        Op::Reboot(_) | Op::Poweroff(_) if command.policy.drain == DrainFirst::Skip => Phase::Preflight,
        Op::Reboot(_) | Op::Poweroff(_) | Op::Drain(_) => Phase::Drain,
        Op::SelfTest(_) | Op::Batch(_) => Phase::Encode,
        Op::LogsTail(_) | Op::Diag(_) => Phase::Collect,
        _ => Phase::Act,
    }
}

/// Whether the machine goes down for it.
pub(super) fn goes_down(op: &Op) -> bool {
    matches!(op, Op::Reboot(_) | Op::Poweroff(_))
}

/// What is done in one part of it; `None` where there is nothing to be done.
pub(super) fn deed(command: &Command, phase: Phase) -> Option<Deed> {
    if !goes_down(&command.op) {
        return Some(perform(command));
    }
    (phase == Phase::Drain).then(|| {
        let within = (command.policy.drain == DrainFirst::Deadline)
            .then(|| Duration::from_secs(command.policy.drain_s.map_or(0, |s| s.get()).into()));
        Deed::FinishWork { within, then: AtDeadline::Requeue }
    })
}

/// The operation itself.
pub(super) fn perform(command: &Command) -> Deed {
    Deed::Perform { op: command.op.clone(), force: command.policy.force }
}

/// Whether it makes the worker stop or gives it more to do, and so waits where a command of the exclusive lane runs.
pub(super) fn disturbs(op: &Op) -> bool {
    matches!(op, Op::SelfTest(_) | Op::Batch(_) | Op::RestartWorker(_) | Op::PowerMode(_) | Op::Undrain(_))
}

/// Whether it keeps to the node's maintenance window.
pub(super) fn keeps_to_the_window(op: &Op) -> bool {
    op.lane() == OpLane::Exclusive || matches!(op, Op::RestartWorker(_) | Op::PowerMode(_))
}

/// How long it may take once begun.
pub(super) fn longest(command: &Command) -> Duration {
    const MINUTE: u64 = 60;
    const DAY: u64 = 24 * 60 * MINUTE;
    let usual = match &command.op {
        Op::LogsTail(tail) => MINUTE + tail.ttl_s.map_or(0, |s| u64::from(s.get())),
        Op::SelfTest(test) => MINUTE + u64::from(test.seconds.get()),
        Op::Drain(_) | Op::Batch(_) | Op::Reboot(_) | Op::Poweroff(_) => DAY,
        _ => 10 * MINUTE,
    };
    Duration::from_secs(command.ttl_s.map_or(usual, |s| s.get().into()))
}
