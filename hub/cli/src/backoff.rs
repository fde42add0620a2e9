//! How long to wait before a program that died is started again, and when to give up.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);
/// A run of at least this length was a good one: its end is not the fault of its start.
const GOOD_RUN: Duration = Duration::from_secs(10);
/// So many short runs in a row mean that it cannot run here.
const TRIES: u32 = 5;

/// How often in a row a program died soon after its start.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    short_runs: u32,
}

impl Backoff {
    /// How long to wait after a run of that length; `None` is to give up.
    pub(crate) fn after(&mut self, run: Duration) -> Option<Duration> {
        self.short_runs = if run >= GOOD_RUN { 1 } else { self.short_runs + 1 };
        let wait = FIRST.saturating_mul(1 << (self.short_runs - 1).min(16)).min(LONGEST);
        (self.short_runs < TRIES).then_some(wait)
    }

    /// How many short runs there were.
    pub(crate) fn short_runs(&self) -> u32 {
        self.short_runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_longer_each_time_and_gives_up_unless_a_run_was_good() {
        let mut backoff = Backoff::default();
        let mut after = |seconds| backoff.after(Duration::from_secs(seconds)).map(|d| d.as_millis());
        assert_eq!([after(1), after(0), after(9)], [Some(500), Some(1000), Some(2000)]);
        assert_eq!(
            [after(10), after(1), after(1), after(1), after(1)],
            [Some(500), Some(1000), Some(2000), Some(4000), None]
        );
    }
}
