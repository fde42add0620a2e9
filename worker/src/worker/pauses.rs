//! Pauses that grow while the queue is away.

use std::time::Duration;

/// The longest that the first pause may be.
const FIRST: Duration = Duration::from_secs(2);
/// And each further one: how late it is noticed that the queue is back.
const LONGEST: Duration = Duration::from_secs(30);

/// Failures in a row.
#[derive(Debug, Default)]
pub(super) struct Pauses(u32);

impl Pauses {
    /// It went well.
    pub(super) fn end(&mut self) {
        self.0 = 0;
    }

    /// It failed: how long to wait. Each pause is twice the last, up to a bound, and `chance` takes up to a half of it, so that
    /// not all workers of a farm come back at once.
    pub(super) fn next(&mut self, chance: u32) -> Duration {
        let longest = FIRST.saturating_mul(1 << self.0.min(10)).min(LONGEST);
        self.0 = self.0.saturating_add(1);
        longest.mul_f64(1.0 - f64::from(chance) / f64::from(u32::MAX) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_grows_up_to_a_bound_and_is_short_again_after_a_success() {
        let mut pauses = Pauses::default();
        assert_eq!([(); 7].map(|()| pauses.next(0).as_secs()), [2, 4, 8, 16, 30, 30, 30]);
        pauses.end();
        assert_eq!([(); 7].map(|()| pauses.next(u32::MAX).as_secs()), [1, 2, 4, 8, 15, 15, 15]);
    }
}
