//! A log that is not flooded by a queue that is away: it is said once when it goes, and once when it is back, by whoever of the
//! worker asks it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use reelmill_queue::QueueError;
use tokio::time::Instant;

/// How long a failure counts that nobody has asked after again: its task may have ended meanwhile.
const REMEMBERED: Duration = Duration::from_secs(20);

/// What the queue is asked for again and again. Each may fail alone: a server may take everything but events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Asked {
    /// The next task.
    Task,
    /// How much waits on a lane.
    Depth,
    /// More time for a lease.
    Extension,
    /// That an event be told.
    Event,
}

/// What one worker says of its queue.
#[derive(Debug, Default)]
pub struct QuietLog(Mutex<Failing>);

/// What fails, and when it did so last.
#[derive(Debug, Default)]
struct Failing(BTreeMap<Asked, Instant>);

impl Failing {
    /// Whether nothing failed before.
    fn failed(&mut self, asked: Asked, now: Instant) -> bool {
        let is_first = self.0.is_empty();
        self.0.insert(asked, now);
        is_first
    }

    /// Whether nothing fails any more.
    fn well(&mut self, asked: Asked, now: Instant) -> bool {
        let failed = !self.0.is_empty();
        self.0.remove(&asked);
        self.0.retain(|_, last| now - *last < REMEMBERED);
        failed && self.0.is_empty()
    }
}

impl QuietLog {
    /// Passes on what the queue answered. A lease that is lost is an answer, too.
    pub(crate) fn heard<T>(&self, asked: Asked, answer: Result<T, QueueError>) -> Result<T, QueueError> {
        let mut failing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &answer {
            Ok(_) | Err(QueueError::LeaseLost { .. }) => {
                if failing.well(asked, Instant::now()) {
                    log::info!("the queue answers again");
                }
            }
            Err(e) if failing.failed(asked, Instant::now()) => log::error!("{e}; trying again until it answers"),
            Err(e) => log::debug!("{e}"),
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_says_it_once_and_whoever_hears_last_that_it_is_over() {
        let (mut failing, now) = (Failing::default(), Instant::now());
        let failed = [Asked::Task, Asked::Event, Asked::Task, Asked::Extension].map(|asked| failing.failed(asked, now));
        assert_eq!(failed, [true, false, false, false]);
        let well = [Asked::Task, Asked::Event, Asked::Extension, Asked::Task].map(|asked| failing.well(asked, now));
        assert_eq!(well, [false, false, true, false]);
        assert!(failing.failed(Asked::Event, now), "the next time");
    }

    #[test]
    fn what_fails_alone_is_not_told_again_for_all_that_is_well_beside_it() {
        let (mut failing, mut now) = (Failing::default(), Instant::now());
        assert!(failing.failed(Asked::Event, now));
        for _ in 0..100 {
            now += Duration::from_secs(1);
            assert!(!failing.well(Asked::Task, now) && !failing.failed(Asked::Event, now));
        }
    }

    #[test]
    fn what_nobody_asks_for_any_more_keeps_nobody_from_saying_that_it_is_over() {
        let (mut failing, now) = (Failing::default(), Instant::now());
        failing.failed(Asked::Extension, now);
        failing.failed(Asked::Task, now);
        assert!(!failing.well(Asked::Task, now + REMEMBERED / 2));
        assert!(failing.well(Asked::Task, now + REMEMBERED));
    }
}
