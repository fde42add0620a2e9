//! When a lost broker is tried again: full jitter, so that a farm whose broker restarts does not come back all at once.

use std::time::Duration;

/// The shortest wait, and the range of the first one.
const LEAST: Duration = Duration::from_secs(1);
/// The longest wait.
const MOST: Duration = Duration::from_secs(120);

/// Failures in a row.
#[derive(Debug, Default)]
pub struct Retry(u32);

impl Retry {
    /// The wait after another failure; `dice` is a random number.
    pub fn wait(&mut self, dice: u64) -> Duration {
        let bound = LEAST.saturating_mul(2 << self.0.min(10)).min(MOST);
        self.0 = self.0.saturating_add(1);
        let range = u64::try_from((bound - LEAST).as_millis()).unwrap_or(u64::MAX);
        LEAST + Duration::from_millis(dice % (range + 1))
    }

    /// It worked.
    pub fn reset(&mut self) {
        self.0 = 0;
    }

    /// Whether the last try failed.
    pub fn failing(&self) -> bool {
        self.0 > 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_range_doubles_up_to_two_minutes() {
        let mut retry = Retry::default();
        // The number that takes the whole range of each.
        let widest = [2_u64, 4, 8, 16, 32, 64, 120, 120].map(|s| s * 1000 - 1000);
        let waits: Vec<_> = widest.iter().map(|dice| retry.wait(*dice).as_secs()).collect();
        assert_eq!(waits, [2, 4, 8, 16, 32, 64, 120, 120]);
        retry.reset();
        assert_eq!(retry.wait(0), LEAST);
    }

    proptest! {
        #[test]
        fn is_never_out_of_bounds(failures in 0..100_u32, dice: u64) {
            let wait = Retry(failures).wait(dice);
            prop_assert!((LEAST..=MOST).contains(&wait));
        }
    }
}
