//! Whether an attempt gets anywhere: every byte and every step of it is a beat, and one without beats is at a standstill,
//! however alive its processes are.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// How often a step that ends by itself counts as moving.
const BEAT: Duration = Duration::from_secs(1);

/// The beats of one attempt.
#[derive(Clone, Debug, Default)]
pub struct Pulse(Arc<AtomicU64>);

impl Pulse {
    /// Something moved.
    pub fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The attempt is this far: a beat if it was never further.
    pub(crate) fn reached(&self, furthest: &AtomicU64, now: u64) {
        if furthest.fetch_max(now, Ordering::Relaxed) < now {
            self.beat();
        }
    }

    /// Beats since the start.
    pub fn beats(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Does a step that shows nothing of itself and has a time limit of its own: it counts as moving throughout.
    pub async fn during<T>(&self, step: impl Future<Output = T>) -> T {
        let beating = async {
            loop {
                self.beat();
                tokio::time::sleep(BEAT).await;
            }
        };
        tokio::select! {
            done = step => {
                self.beat();
                done
            }
            () = beating => unreachable!("it beats for as long as the step takes"),
        }
    }
}

/// Looks at a pulse again and again, and knows for how long it stood still.
#[derive(Debug)]
pub(crate) struct Watch {
    pulse: Pulse,
    seen: u64,
    still: Duration,
    longest: Duration,
}

impl Watch {
    /// A watch that calls it a standstill when nothing has moved for `longest`.
    pub(crate) fn new(pulse: Pulse, longest: Duration) -> Self {
        Self { seen: pulse.beats(), pulse, still: Duration::ZERO, longest }
    }

    /// A look, `since` after the last one; whether it stood still for too long. Time in which this whole program stood
    /// still is no more than one look, for nothing could move in it.
    pub(crate) fn is_standstill(&mut self, since: Duration) -> bool {
        let beats = self.pulse.beats();
        self.still = if beats == self.seen { self.still + since } else { Duration::ZERO };
        self.seen = beats;
        self.still >= self.longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_goes_further_than_ever_is_a_beat() {
        let (pulse, furthest) = (Pulse::default(), AtomicU64::new(0));
        let beats = [0, 1, 1, 0, 2, 1, 5].map(|now| {
            pulse.reached(&furthest, now);
            pulse.beats()
        });
        assert_eq!(beats, [0, 1, 1, 1, 2, 2, 3]);
    }

    #[test]
    fn a_standstill_is_told_after_its_time_and_not_after_a_beat() {
        let (pulse, second) = (Pulse::default(), Duration::from_secs(1));
        let mut watch = Watch::new(pulse.clone(), 3 * second);
        assert_eq!([watch.is_standstill(second), watch.is_standstill(second)], [false, false]);
        pulse.beat();
        assert_eq!([(); 4].map(|()| watch.is_standstill(second)), [false, false, false, true]);
    }

    #[tokio::test]
    async fn a_step_with_an_end_of_its_own_beats_from_its_start_to_its_end() {
        let pulse = Pulse::default();
        let seen = pulse.clone();
        let step = async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            seen.beats()
        };
        assert_eq!((pulse.during(step).await, pulse.beats()), (1, 2));
    }
}
