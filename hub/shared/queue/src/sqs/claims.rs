//! What this process holds under a lease, and until when by its own clock.
//!
//! SQS takes a receipt handle also after its time, and may then change what another holds. So nothing is asked of the
//! server for a claim that is over here, and it is over here a moment before the server gives the message to another. The
//! clock goes on while the process is stopped and while the machine sleeps.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::Duration,
};

use reelmill_api::Priority;
use rustix::time::{ClockId, clock_gettime};

use super::note::Message;

/// How much longer than we believe in a lease the server is told to hide its message.
const MARGIN_S: i32 = 1;

/// A moment of this machine's life, sleep included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(Duration);

impl Moment {
    pub(super) fn now() -> Self {
        let time = clock_gettime(ClockId::Boottime);
        let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
        Self(Duration::new(seconds.unwrap_or(0), nanos.unwrap_or(0)))
    }

    pub(super) fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(wait))
    }

    /// How long it is from now until then.
    pub(super) fn left(self) -> Duration {
        self.0.saturating_sub(Self::now().0)
    }
}

/// How long a message is hidden for a lease, in whole seconds: as the server is told, and as we believe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hidden {
    pub(super) told_s: i32,
    pub(super) believed: Duration,
}

impl Hidden {
    /// For a lease that lasts so long, where a message cannot be hidden for longer than `longest`.
    pub(super) fn lasting(lasting: Duration, longest: Duration) -> Self {
        if lasting.is_zero() {
            return Self { told_s: 0, believed: Duration::ZERO };
        }
        let longest_s = i32::try_from(longest.as_secs()).unwrap_or(i32::MAX) - MARGIN_S;
        let seconds = seconds_of(lasting).clamp(1, longest_s.max(1));
        Self { told_s: seconds + MARGIN_S, believed: Duration::from_secs(seconds.unsigned_abs().into()) }
    }
}

/// Whole seconds, rounded up.
pub(super) fn seconds_of(time: Duration) -> i32 {
    i32::try_from(time.as_millis().div_ceil(1000)).unwrap_or(i32::MAX)
}

/// A message under a lease.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    /// The queue that it lies on.
    pub(super) queue: String,
    /// Whether that queue holds nothing else, because the job is a long one.
    pub(super) alone: bool,
    /// Its place among the waiting, should it wait again.
    pub(super) priority: Priority,
    /// The message.
    pub(super) message: Message,
    /// A moment before it was received.
    pub(super) received: Moment,
    /// When the lease is over.
    pub(super) until: Moment,
    /// Whether a copy lies elsewhere already, and only the message itself is still to be removed.
    pub(super) moved: bool,
    /// Whether it was settled.
    pub(super) settled: bool,
}

impl Claim {
    /// Whether the message is surely still ours.
    pub(super) fn holds(&self) -> bool {
        !self.settled && Moment::now() < self.until
    }
}

/// A claim that calls share; who locks it is alone with its message.
pub(super) type Shared = Arc<tokio::sync::Mutex<Claim>>;

/// All claims of this process, by the nonces in their receipts: a receipt serves on every connection.
static CLAIMS: LazyLock<Mutex<HashMap<String, Shared>>> = LazyLock::new(Mutex::default);

/// Keeps a claim, and forgets those that are over.
pub(super) fn keep(nonce: &str, claim: Claim) {
    let mut claims = CLAIMS.lock().unwrap_or_else(PoisonError::into_inner);
    claims.retain(|_, shared| shared.try_lock().map_or(true, |claim| claim.holds()));
    claims.insert(nonce.to_owned(), Arc::new(tokio::sync::Mutex::new(claim)));
}

/// The claim with this nonce, if it is not long over.
pub(super) fn find(nonce: &str) -> Option<Shared> {
    CLAIMS.lock().unwrap_or_else(PoisonError::into_inner).get(nonce).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_hides_a_message_for_longer_than_we_believe() {
        let check = |lasting_ms, longest_s, told_s, believed_s| {
            let hidden = Hidden::lasting(Duration::from_millis(lasting_ms), Duration::from_secs(longest_s));
            assert_eq!(hidden, Hidden { told_s, believed: Duration::from_secs(believed_s) });
        };
        check(0, 43_200, 0, 0);
        check(1, 43_200, 2, 1);
        check(1000, 43_200, 2, 1);
        check(1001, 43_200, 3, 2);
        check(u64::MAX, 43_200, 43_200, 43_199);
        check(90_000, 6, 6, 5);
    }
}
