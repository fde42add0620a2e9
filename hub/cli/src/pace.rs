//! When plain progress lines are due: about every tenth of the work or every five seconds.

use std::time::Duration;

const EVERY: Duration = Duration::from_secs(5);
const SHARE: f64 = 0.1;

/// What was told last.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    at: Duration,
    fraction: f64,
}

impl Pace {
    /// Whether a line is due at `now`, counted from the start, with that fraction done; it counts as told then.
    pub(crate) fn due(&mut self, now: Duration, fraction: Option<f64>) -> bool {
        let fraction = fraction.unwrap_or(self.fraction);
        // Another attempt begins anew.
        self.fraction = self.fraction.min(fraction);
        // A little less than a share, or rounding would skip every other tenth.
        let due = now.saturating_sub(self.at) >= EVERY || fraction - self.fraction >= SHARE - 1e-9;
        if due {
            self.at = now;
            self.fraction = fraction;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reports: &[(u64, Option<f64>)], want: &[usize]) {
        let mut pace = Pace::default();
        let due = |(i, &(seconds, fraction)): (usize, &(u64, Option<f64>))| {
            pace.due(Duration::from_secs(seconds), fraction).then_some(i)
        };
        assert_eq!(reports.iter().enumerate().filter_map(due).collect::<Vec<_>>(), want, "{reports:?}");
    }

    #[test]
    fn a_line_is_due_every_tenth_or_every_five_seconds() {
        check(
            &[(0, Some(0.0)), (1, Some(0.05)), (1, Some(0.1)), (2, Some(0.15)), (2, Some(0.2)), (3, Some(1.0))],
            &[2, 4, 5],
        );
        check(&[(4, Some(0.01)), (5, Some(0.02)), (9, Some(0.03)), (10, Some(0.04))], &[1, 3]);
        check(&[(1, Some(0.5)), (2, Some(0.01)), (3, Some(0.12)), (4, Some(0.3))], &[0, 2, 3]);
        check(&[(1, None), (5, None), (6, None), (11, None)], &[1, 3]);
    }
}
