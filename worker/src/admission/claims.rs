//! Who may have how much of a thing of which there is only so much, encoder sessions or pixels per second: decided by values.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// How long a task that does not fit is passed by lighter ones. Then nothing that came later begins before it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What one task has or waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claim {
    /// How much: encoder sessions, or pixels per second.
    pub(super) weight: u64,
    /// When it was asked for, in milliseconds since 1970.
    pub(super) since_ms: u64,
    /// Whether it was given.
    pub(super) held: bool,
}

impl Claim {
    /// One that is made now.
    pub(super) fn new(weight: u64) -> Self {
        Self { weight, since_ms: now_ms(), held: false }
    }

    /// The same for so much, given, if there is so much beside `others`; less is always to be had.
    pub(super) fn resized(&self, weight: u64, others: &[Self], total: u64) -> Option<Self> {
        let wanted = Self { weight, held: true, ..self.clone() };
        (self.is_less(weight) || wanted.is_met(others, total, now_ms())).then_some(wanted)
    }

    /// Whether it was given at least so much.
    pub(super) fn is_less(&self, weight: u64) -> bool {
        self.held && weight <= self.weight
    }

    /// Whether it is met beside `others`, where there are `total` in all. One that is heavier than everything runs alone.
    pub(super) fn is_met(&self, others: &[Self], total: u64, now_ms: u64) -> bool {
        let counts = |other: &&Self| {
            let waited = Duration::from_millis(now_ms.saturating_sub(other.since_ms));
            other.held || (other.since_ms < self.since_ms && waited >= PATIENCE)
        };
        let taken = others.iter().filter(counts).fold(0_u64, |sum, other| sum.saturating_add(other.weight));
        taken == 0 || taken.saturating_add(self.weight) <= total
    }
}

pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claim(weight: u64, since_ms: u64, held: bool) -> Claim {
        Claim { weight, since_ms, held }
    }

    #[test]
    fn what_fits_begins_and_what_waited_long_is_not_passed() {
        let [running, heavy, light] = [claim(60, 0, true), claim(90, 1, false), claim(30, 2, false)];
        let soon = 1000;
        let late = u64::try_from(PATIENCE.as_millis()).expect("seconds") + 1;
        assert!(!heavy.is_met(std::slice::from_ref(&running), 100, soon));
        assert!(light.is_met(&[running.clone(), heavy.clone()], 100, soon), "it passes the heavy one");
        assert!(!light.is_met(&[running, heavy.clone()], 100, late), "and no more once that has waited long");
        assert!(heavy.is_met(std::slice::from_ref(&light), 100, late), "which then begins");
        assert!(!light.is_met(&[claim(90, 1, true)], 100, late));
        assert!(claim(500, 3, false).is_met(&[], 100, 3), "one that is heavier than everything runs alone");
        assert!(!claim(500, 3, false).is_met(&[claim(1, 0, true)], 100, 3));
    }

    proptest! {
        /// Lighter tasks come without end, a task runs for a while: whoever waits begins, and never is more taken than there is,
        /// but by one that is alone.
        #[test]
        fn whoever_waits_begins_in_the_end(weights in prop::collection::vec(1_u64..150, 1..12), lasts in 1_u64..40_000) {
            let (mut waiting, mut running): (Vec<Claim>, Vec<(u64, Claim)>) = (Vec::new(), Vec::new());
            let mut begun = 0;
            for step in 0..400 {
                let now = step * 5000;
                let next = weights.get(usize::try_from(step).expect("small")).copied();
                waiting.push(claim(next.unwrap_or(10), now, false));
                running.retain(|(until, _)| *until > now);
                for n in (0..waiting.len()).rev() {
                    let mut others: Vec<_> = running.iter().map(|(_, claim)| claim.clone()).collect();
                    let mine = waiting.remove(n);
                    others.extend(waiting.iter().cloned());
                    if mine.is_met(&others, 100, now) {
                        begun += usize::from(mine.since_ms < weights.len() as u64 * 5000);
                        running.push((now + lasts, Claim { held: true, ..mine }));
                    } else {
                        waiting.insert(n, mine);
                    }
                }
                let taken: u64 = running.iter().map(|(_, claim)| claim.weight).sum();
                prop_assert!(taken <= 100 || running.len() == 1, "{} by {}", taken, running.len());
            }
            prop_assert_eq!(begun, weights.len());
        }
    }
}
