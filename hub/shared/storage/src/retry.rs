//! How often and after which pause a request is tried again. The decision is a pure function of what happened so far.

use std::time::Duration;

use tokio::time::Instant;

use crate::{Patience, StorageError};

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// The tries of one request.
#[derive(Debug)]
pub(crate) struct Tries {
    patience: Patience,
    begun: Instant,
    last: Instant,
    failed: u32,
}

impl Tries {
    /// No try yet.
    pub(crate) fn new(patience: Patience) -> Self {
        let now = Instant::now();
        Self { patience, begun: now, last: now, failed: 0 }
    }

    /// Waits before the next try, or gives the error back when there is none.
    pub(crate) async fn again(&mut self, error: StorageError) -> Result<(), StorageError> {
        self.failed += 1;
        let now = Instant::now();
        let (spent, lasted) = (now - self.begun, now - self.last);
        match pause(&self.patience, self.failed, &error, spent, lasted, chance()) {
            Some(pause) => {
                log::debug!(
                    "{error}; trying again in {} ms ({} of {})",
                    pause.as_millis(),
                    self.failed,
                    self.patience.attempts
                );
                tokio::time::sleep(pause).await;
                self.last = Instant::now();
                Ok(())
            }
            None => Err(error),
        }
    }
}

/// The pause after the `failed`th failed try, or `None` to give up. `spent` is the time since the first try began,
/// `lasted` that of the last try, `chance` a random number from 0 to 1.
fn pause(
    patience: &Patience,
    failed: u32,
    error: &StorageError,
    spent: Duration,
    lasted: Duration,
    chance: f64,
) -> Option<Duration> {
    if !error.is_transient() || failed >= patience.attempts {
        return None;
    }
    let longest = patience.pause.saturating_mul(1 << (failed - 1).min(10)).min(LONGEST_PAUSE);
    let pause = longest.mul_f64(0.5 + chance / 2.0);
    // The next try will likely last as long as this one did.
    let unreachable = matches!(error, StorageError::Unreachable { .. });
    if unreachable && spent + pause + lasted > patience.unreachable {
        return None;
    }
    Some(pause)
}

/// A random number from 0 to 1.
fn chance() -> f64 {
    let (high, _) = uuid::Uuid::new_v4().as_u64_pair();
    f64::from(u32::try_from(high >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> StorageError {
        StorageError::Failed { what: "read".into(), store: "s".into(), answer: "503".into() }
    }

    fn unreachable() -> StorageError {
        StorageError::Unreachable { what: "read".into(), store: "s".into(), why: "connection refused".into() }
    }

    fn check(error: &StorageError, failed: u32, spent_ms: u64, lasted_ms: u64, want_ms: Option<u128>) {
        let ms = Duration::from_millis;
        let got = pause(&Patience::default(), failed, error, ms(spent_ms), ms(lasted_ms), 1.0);
        assert_eq!(got.map(|d| d.as_millis()), want_ms, "{error}, {failed}, {spent_ms}, {lasted_ms}");
    }

    #[test]
    fn doubles_the_pause_up_to_a_limit_and_gives_up_after_the_last_try() {
        check(&failed(), 1, 0, 0, Some(200));
        check(&failed(), 2, 0, 0, Some(400));
        check(&failed(), 5, 0, 0, Some(3000));
        check(&failed(), 6, 0, 0, None);
        check(&failed(), 1, 60_000, 10_000, Some(200));
    }

    #[test]
    fn gives_an_unreachable_store_five_seconds_in_all() {
        check(&unreachable(), 1, 0, 0, Some(200));
        check(&unreachable(), 4, 3000, 0, Some(1600));
        check(&unreachable(), 5, 4000, 0, None);
        check(&unreachable(), 1, 3000, 3000, None);
    }

    #[test]
    fn does_not_repeat_what_cannot_succeed() {
        check(&StorageError::Changed { what: "read".into() }, 1, 0, 0, None);
    }

    #[test]
    fn cuts_the_pause_by_chance_to_no_less_than_half() {
        let got = pause(&Patience::default(), 1, &failed(), Duration::ZERO, Duration::ZERO, 0.0);
        assert_eq!(got, Some(Duration::from_millis(100)));
        assert!((0..100).all(|_| (0.0..=1.0).contains(&chance())));
    }
}
