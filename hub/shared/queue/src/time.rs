//! Durations as the milliseconds that servers count in, and when a wait ends.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// The longest time that is worth telling apart; more is as good as for ever, and sums of it never overflow.
const LONGEST_MS: i64 = 100 * 365 * 24 * 3_600_000;

/// `duration` in milliseconds, a started one counted whole, bounded by a hundred years.
pub(crate) fn millis(duration: Duration) -> i64 {
    let whole = duration.as_nanos().div_ceil(1_000_000);
    i64::try_from(whole).map_or(LONGEST_MS, |ms| ms.min(LONGEST_MS))
}

/// `ms` as a duration; what lies in the past is none at all.
pub(crate) fn from_millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

/// Unix time in seconds, by this machine's clock.
pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The end of a wait that begins now; a wait beyond all reason ends in a year.
pub(crate) fn deadline(wait: Duration) -> Instant {
    Instant::now() + wait.min(Duration::from_secs(365 * 24 * 3600))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_cuts_a_wait_to_nothing_nor_overflows() {
        for (duration, ms) in [
            (Duration::ZERO, 0),
            (Duration::from_nanos(1), 1),
            (Duration::from_millis(7), 7),
            (Duration::MAX, LONGEST_MS),
        ] {
            assert_eq!(millis(duration), ms, "{duration:?}");
        }
        assert_eq!(from_millis(-5), Duration::ZERO);
    }
}
