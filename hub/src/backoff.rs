//! How long a loop that failed waits before it tries again, and when it says so.

use std::time::Duration;

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
        let wait = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_a_bound_and_starts_anew_after_a_success() {
        let mut backoff = Backoff::new();
        let error = anyhow::anyhow!("away");
        let waits: Vec<_> = (0..8).map(|_| backoff.failed("cannot", &error).as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 15000, 15000, 15000]);
        backoff.reset();
        assert_eq!(backoff.failed("cannot", &error), FIRST);
    }
}
