//! What is leased next, while not every task fits beside those that run: a task that does not fit stays in the queue, where
//! another node may take it, and after a while it is its turn.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use reelmill_api::{Failure, Lane};
use reelmill_daemon::Shutdown;
use tokio::time::Instant;

use super::{Pauses, WAIT, Worker, pause};
use crate::{
    admission::{PATIENCE, Seat},
    quiet::Asked,
};

/// How long one wait for a task lasts while lanes are left out: how late it is noticed that their tasks fit.
const SHORT_WAIT: Duration = Duration::from_secs(1);
/// How soon it is looked again where nothing fits.
const LOOK: Duration = Duration::from_millis(250);

/// What may be leased next.
pub(super) struct Turn {
    pub(super) seat: Seat,
    pub(super) lanes: Vec<Lane>,
    /// How long it may be waited for a task on these lanes.
    pub(super) wait: Duration,
}

/// The lanes that are left out because their tasks do not fit, and since when.
#[derive(Debug, Default)]
pub(super) struct LeftOut(BTreeMap<Lane, Instant>);

impl LeftOut {
    /// Of all lanes that are open, those whose tasks fit; the others are left out from `now` on.
    fn fitting(&mut self, open: &[Lane], fits: impl Fn(&Lane) -> bool, now: Instant) -> Vec<Lane> {
        let (fitting, unfit): (Vec<_>, Vec<_>) = open.iter().cloned().partition(fits);
        self.0.retain(|lane, _| unfit.contains(lane));
        for lane in unfit {
            self.0.entry(lane).or_insert(now);
        }
        fitting
    }

    /// Of all lanes that are open, those that others have passed for long enough, longest first.
    fn due(&self, open: &[Lane], now: Instant) -> Vec<Lane> {
        let passed = self.0.iter().filter(|(lane, since)| now - **since >= PATIENCE && open.contains(lane));
        let mut passed: Vec<_> = passed.collect();
        passed.sort_by_key(|(_, since)| **since);
        passed.into_iter().map(|(lane, _)| lane.clone()).collect()
    }

    /// Nothing waits on a lane that others would pass.
    fn is_empty_now(&mut self, lane: &Lane, now: Instant) {
        self.0.insert(lane.clone(), now);
    }
}

impl Worker {
    /// What to lease next; `None` when it is time to stop. `turn` counts, so that another lane comes first each time.
    pub(super) async fn next_turn(&self, turn: usize, left_out: &mut LeftOut, shutdown: &Shutdown) -> Option<Turn> {
        let mut pauses = Pauses::default();
        while !shutdown.graceful().is_cancelled() {
            let found = tokio::select! {
                found = self.find_turn(turn, left_out) => found,
                () = shutdown.graceful().cancelled() => return None,
            };
            match found {
                Ok(turn) => return Some(turn),
                Err(failure) => log::error!("{}", failure.lines()),
            }
            pause(&mut pauses, shutdown).await;
        }
        None
    }

    async fn find_turn(&self, turn: usize, left_out: &mut LeftOut) -> Result<Turn, Failure> {
        loop {
            if !left_out.0.is_empty()
                && let Some(lane) = self.due(&self.open_lanes(turn), left_out).await
            {
                let sessions = self.lanes.sessions(&lane);
                log::info!(
                    "lane {lane} was passed for long enough: {sessions} encoder sessions are kept for its next task"
                );
                tokio::select! {
                    seat = self.seats.reserve(sessions) => {
                        let seat = seat?;
                        if self.open_lanes(turn).contains(&lane) {
                            return Ok(Turn { seat, lanes: vec![lane], wait: WAIT });
                        }
                    }
                    () = self.closed_or_empty(&lane, turn) => left_out.is_empty_now(&lane, Instant::now()),
                }
            }
            let seat = self.seats.free().await?;
            // Only now: lanes may have been paused, or found to be for others, while a seat was waited for.
            let changed = self.notices.changed();
            let open = self.open_lanes(turn);
            if open.is_empty() {
                drop(seat);
                if self.drain.is_on() {
                    self.drain.ended().await;
                } else {
                    changed.await;
                }
                continue;
            }
            let mut fit = BTreeMap::new();
            for sessions in open.iter().map(|lane| self.lanes.sessions(lane)).collect::<BTreeSet<_>>() {
                fit.insert(sessions, seat.fits(sessions).await?);
            }
            let lanes = left_out.fitting(&open, |lane| fit[&self.lanes.sessions(lane)], Instant::now());
            if !lanes.is_empty() {
                let wait = if left_out.0.is_empty() { WAIT } else { SHORT_WAIT };
                return Ok(Turn { seat, lanes, wait });
            }
            drop(seat);
            tokio::time::sleep(LOOK).await;
        }
    }

    /// A lane whose turn it is, as tasks wait there that others have passed for long enough.
    async fn due(&self, open: &[Lane], left_out: &mut LeftOut) -> Option<Lane> {
        for lane in left_out.due(open, Instant::now()) {
            if self.has_ready(&lane).await {
                return Some(lane);
            }
            left_out.is_empty_now(&lane, Instant::now());
        }
        None
    }

    /// Returns when nothing is to be leased from a lane any more, or nothing waits there, or that cannot be said.
    async fn closed_or_empty(&self, lane: &Lane, turn: usize) {
        loop {
            tokio::time::sleep(WAIT).await;
            if !self.open_lanes(turn).contains(lane) || !self.has_ready(lane).await {
                return;
            }
        }
    }

    async fn has_ready(&self, lane: &Lane) -> bool {
        self.quiet.heard(Asked::Depth, self.queue.depth(lane).await).is_ok_and(|depth| depth.ready > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_that_does_not_fit_has_its_turn_once_it_was_passed_for_long_enough() {
        let lanes: Vec<Lane> = ["ladders", "proxies", "intake"].map(|name| name.parse().expect("a lane")).into();
        let light = |lane: &Lane| lane.as_str() != "ladders";
        let (mut left_out, begin) = (LeftOut::default(), Instant::now());
        assert_eq!(left_out.fitting(&lanes, light, begin), lanes[1..]);
        let soon = begin + PATIENCE / 2;
        assert_eq!(left_out.fitting(&lanes, light, soon), lanes[1..]);
        assert!(left_out.due(&lanes, soon).is_empty());
        let late = begin + PATIENCE;
        assert_eq!(left_out.due(&lanes, late), lanes[..1]);
        assert!(left_out.due(&lanes[1..], late).is_empty(), "it is paused");
        left_out.is_empty_now(&lanes[0], late);
        assert!(left_out.due(&lanes, late + PATIENCE / 2).is_empty(), "nobody was passed");
        assert_eq!(left_out.due(&lanes, late + PATIENCE), lanes[..1]);
        assert_eq!(left_out.fitting(&lanes, |_| true, late), lanes);
        assert!(left_out.due(&lanes, late + PATIENCE).is_empty(), "it could have been leased from");
    }
}
