//! How long a loop that failed waits before it tries again, and when it says so.

use std::time::Duration;

use uuid::Uuid;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(15);

/// Failures in a row.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// No failure yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// It worked. Says so if it had failed before.
    pub(crate) fn reset(&mut self) {
        if self.failures > 0 {
            log::info!("it works again after {} failures", self.failures);
        }
        self.failures = 0;
    }

    /// Whether the last try failed.
    pub(crate) fn failing(&self) -> bool {
        self.failures > 0
    }

    /// It failed: warns the first time, and returns how long to wait.
    pub(crate) fn failed(&mut self, what: &str, error: &anyhow::Error) -> Duration {
        let level = if self.failures == 0 { log::Level::Warn } else { log::Level::Debug };
        log::log!(level, "{what}: {error:#}");
        let longest = longest(self.failures);
        self.failures = self.failures.saturating_add(1);
        jittered(longest, Uuid::new_v4().as_fields().0)
    }
}

/// How long the wait after so many failures is at most.
fn longest(failures: u32) -> Duration {
    FIRST.saturating_mul(1 << failures.min(10)).min(LONGEST)
}

/// Between a half and the whole of a wait, by `chance`, so that not all who lost a server come back to it at once.
fn jittered(wait: Duration, chance: u32) -> Duration {
    wait.mul_f64(0.5 + f64::from(chance) / f64::from(u32::MAX) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_a_bound_and_starts_anew_after_a_success() {
        let waits = [0, 1, 2, 3, 4, 5, 6, u32::MAX].map(|failures| longest(failures).as_millis());
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 15000, 15000, 15000]);
        let mut backoff = Backoff::new();
        let mut failed = || backoff.failed("cannot", &anyhow::anyhow!("away"));
        assert!((0..8).map(|_| failed()).all(|wait| wait <= LONGEST) && failed() >= LONGEST / 2);
        backoff.reset();
        assert!(backoff.failed("cannot", &anyhow::anyhow!("away")) <= FIRST);
    }

    #[test]
    fn half_of_a_wait_is_left_to_chance() {
        let waits = [0, u32::MAX / 2, u32::MAX].map(|chance| jittered(LONGEST, chance).as_secs_f64().round());
        assert_eq!(waits, [8.0, 11.0, 15.0]);
    }
}
