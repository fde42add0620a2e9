//! How a lease settles: one pure function from what came of an attempt to what happens to its task.

use std::time::Duration;

use crate::{AttemptNumber, ErrorKind};

/// How often a task is tried before it becomes a dead letter.
pub const MAX_ATTEMPTS: AttemptNumber = 5;
/// The wait before the second attempt after an infrastructure failure; it doubles with each further one.
pub const FIRST_RETRY: Duration = Duration::from_secs(5);
/// How often a task is delivered before it becomes a dead letter although the store could never say whether it is published.
pub const MAX_LOOKS: AttemptNumber = 3 * MAX_ATTEMPTS;
/// The longest wait between two attempts.
pub const LONGEST_RETRY: Duration = Duration::from_secs(300);
/// How long a live task waits before an able node may take it, so that the unable one does not take it straight back.
pub const HAND_BACK: Duration = Duration::from_secs(2);
/// How long a task that a node cannot do waits for another one at first; it doubles each time that the node meets it again.
pub const UNABLE_RETRY: Duration = Duration::from_secs(10);
/// How long a task waits for a resource that was taken.
pub const BUSY_RETRY: Duration = Duration::from_secs(10);

/// How a lease ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The work is done: remove the task.
    Ack,
    /// Try again after this wait.
    RetryAfter(Duration),
    /// Never try again: keep the task with its reason.
    DeadLetter,
    /// The lease is no longer ours: leave the task alone.
    Leave,
}

/// What the store says of the output of a task that is to be given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// There is none.
    Nothing,
    /// An attempt has published after all.
    Output,
    /// The store cannot say.
    Unknown,
}

/// What happens to a task whose attempt `number` ended with `outcome` (`None`: it was published).
pub fn settle(outcome: Option<ErrorKind>, number: AttemptNumber) -> Settlement {
    let last = number >= MAX_ATTEMPTS;
    match outcome {
        None => Settlement::Ack,
        Some(ErrorKind::BadSource | ErrorKind::BadRequest) => Settlement::DeadLetter,
        Some(ErrorKind::Canceled) => Settlement::Leave,
        // No node's want of something is the task's fault: it is never a dead letter for that.
        Some(ErrorKind::NoCapability) => Settlement::RetryAfter(unable(0)),
        Some(ErrorKind::Busy) => Settlement::RetryAfter(BUSY_RETRY),
        Some(ErrorKind::Infrastructure | ErrorKind::Bug) if !last => Settlement::RetryAfter(back_off(number)),
        Some(ErrorKind::Infrastructure | ErrorKind::Bug) => Settlement::DeadLetter,
    }
}

/// The same for a live task, which is not finished by trying: it never becomes a dead letter for having been taken over,
/// handed back or repeated often, only for what trying again cannot change.
pub fn settle_live(outcome: Option<ErrorKind>, number: AttemptNumber) -> Settlement {
    match outcome {
        // Its viewers cannot wait for as long as a file can.
        Some(ErrorKind::NoCapability) => Settlement::RetryAfter(HAND_BACK),
        _ => settle(outcome, number.min(MAX_ATTEMPTS - 1)),
    }
}

/// How long a task waits for another node that this one could not do so often `before`.
pub fn unable(before: u32) -> Duration {
    UNABLE_RETRY.saturating_mul(1 << before.min(16)).min(LONGEST_RETRY)
}

/// What happens to a task that [`settle`] makes a dead letter of, once the store was asked: none whose output is there is
/// given up, and for an answer it is waited, though not for ever. The next delivery finds the output and tells of it.
pub fn settle_end(found: Found, number: AttemptNumber) -> Settlement {
    match found {
        Found::Output => Settlement::RetryAfter(Duration::ZERO),
        Found::Unknown if number < MAX_LOOKS => {
            Settlement::RetryAfter(back_off(number.saturating_sub(MAX_ATTEMPTS) + 1))
        }
        Found::Nothing | Found::Unknown => Settlement::DeadLetter,
    }
}

fn back_off(number: AttemptNumber) -> Duration {
    let doublings = number.saturating_sub(1).min(16);
    FIRST_RETRY.saturating_mul(1 << doublings).min(LONGEST_RETRY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_error_decides() {
        let table = [
            (None, 1, Settlement::Ack),
            (Some(ErrorKind::BadSource), 1, Settlement::DeadLetter),
            (Some(ErrorKind::BadRequest), 1, Settlement::DeadLetter),
            (Some(ErrorKind::Canceled), 1, Settlement::Leave),
            (Some(ErrorKind::Busy), 99, Settlement::RetryAfter(BUSY_RETRY)),
            (Some(ErrorKind::NoCapability), 1, Settlement::RetryAfter(UNABLE_RETRY)),
            (Some(ErrorKind::NoCapability), 99, Settlement::RetryAfter(UNABLE_RETRY)),
            (Some(ErrorKind::Infrastructure), 1, Settlement::RetryAfter(FIRST_RETRY)),
            (Some(ErrorKind::Infrastructure), 3, Settlement::RetryAfter(FIRST_RETRY * 4)),
            (Some(ErrorKind::Infrastructure), MAX_ATTEMPTS, Settlement::DeadLetter),
            (Some(ErrorKind::Bug), MAX_ATTEMPTS, Settlement::DeadLetter),
        ];
        for (kind, number, want) in table {
            assert_eq!(settle(kind, number), want, "{kind:?} at attempt {number}");
        }
    }

    #[test]
    fn a_live_task_is_tried_for_ever() {
        assert_eq!(settle_live(Some(ErrorKind::Infrastructure), 1), Settlement::RetryAfter(FIRST_RETRY));
        assert_eq!(settle_live(Some(ErrorKind::Infrastructure), 1000), Settlement::RetryAfter(FIRST_RETRY * 8));
        assert_eq!(settle_live(Some(ErrorKind::NoCapability), 1000), Settlement::RetryAfter(HAND_BACK));
        assert_eq!(settle_live(Some(ErrorKind::BadRequest), 1), Settlement::DeadLetter);
        assert_eq!(settle_live(None, 1000), Settlement::Ack);
    }

    #[test]
    fn nothing_is_given_up_that_is_published_or_for_want_of_an_answer() {
        for number in [1, MAX_ATTEMPTS, 1000] {
            assert_eq!(settle_end(Found::Nothing, number), Settlement::DeadLetter);
            assert_eq!(settle_end(Found::Output, number), Settlement::RetryAfter(Duration::ZERO));
        }
        let waits = (1..).map_while(|number| match settle_end(Found::Unknown, number) {
            Settlement::RetryAfter(wait) => Some(wait),
            _ => None,
        });
        let waits: Vec<_> = waits.collect();
        assert_eq!(waits.len(), MAX_LOOKS as usize - 1, "it ends");
        assert!(waits.is_sorted() && waits[0] == FIRST_RETRY, "{waits:?}");
        assert!(
            waits.iter().sum::<Duration>() > Duration::from_secs(20 * 60),
            "longer than a store's restart: {waits:?}"
        );
    }

    #[test]
    fn the_wait_grows_and_is_bounded() {
        assert_eq!(back_off(1), FIRST_RETRY);
        assert_eq!(back_off(u32::MAX), LONGEST_RETRY);
        let waits = [0, 1, 2, 3, 4, 5, u32::MAX].map(|before| unable(before).as_secs());
        assert_eq!(waits, [10, 20, 40, 80, 160, 300, 300]);
    }
}
