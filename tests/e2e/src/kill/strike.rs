//! What is struck, at which point, and for how long it stays away: all of it drawn from the seed.

use std::time::Duration;

use reelmill_lab::relay::Piece;

use crate::numbers::Numbers;

/// How long a lease of the workers holds; what is away for longer finds its tasks with others.
pub(super) const LEASE_SECONDS: u64 = 3;

/// The longest wait for a point: where nothing passes, it is struck then.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// Pieces between a worker and the queue, and between it and the store, that come by during one job or two.
const QUEUE_PIECES: usize = 40;
const STORE_PIECES: usize = 120;

/// What is struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A worker's process.
    Worker,
    /// The queue's server.
    Server,
    /// The line between a worker and the queue.
    QueueLine,
    /// The line between a worker and the store.
    StoreLine,
    /// The line between the one who submits jobs and the queue.
    OfficeLine,
}

/// Which line is listened to for the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A worker's to the queue.
    Queue,
    /// A worker's to the store.
    Store,
    /// The one of who submits.
    Office,
}

/// When it is struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Point {
    /// When so many pieces have come by on a line.
    Piece(Line, usize, Piece),
    /// After so long.
    Time(Duration),
}

/// One strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Strike {
    pub(super) target: Target,
    /// The worker that it is about.
    pub(super) worker: usize,
    /// Whether it is about the one with the job that was tried most often instead.
    pub(super) hunts: bool,
    pub(super) point: Point,
    /// How long what was struck stays away.
    pub(super) away: Duration,
}

/// What there is to strike.
#[derive(Clone, Copy, Debug)]
pub(super) struct Targets {
    pub(super) workers: usize,
    /// Whether there are lines to the queue at all.
    pub(super) has_server: bool,
    /// Whether its server may be killed.
    pub(super) survives: bool,
}

impl Strike {
    /// Draws the next one.
    pub(super) fn draw(numbers: &mut Numbers, among: Targets) -> Self {
        let target = target(numbers, among);
        let line = match target {
            Target::Worker if among.has_server => numbers.one_of(&[Line::Queue, Line::Store]),
            Target::Server | Target::QueueLine => Line::Queue,
            Target::OfficeLine => Line::Office,
            Target::Worker | Target::StoreLine => Line::Store,
        };
        let (worker, hunts) = (numbers.below(among.workers), target == Target::Worker && numbers.below(2) == 0);
        Self { target, worker, hunts, point: point(numbers, line), away: away(numbers, target) }
    }
}

fn target(numbers: &mut Numbers, among: Targets) -> Target {
    match numbers.below(20) {
        0..10 => Target::Worker,
        10..13 if among.survives => Target::Server,
        10..17 if among.has_server => Target::QueueLine,
        17 if among.has_server => Target::OfficeLine,
        10..15 => Target::Worker,
        _ => Target::StoreLine,
    }
}

fn point(numbers: &mut Numbers, line: Line) -> Point {
    if numbers.below(4) == 0 {
        return Point::Time(Duration::from_millis(numbers.below(1500) as u64));
    }
    let pieces = if line == Line::Store { STORE_PIECES } else { QUEUE_PIECES };
    Point::Piece(line, 1 + numbers.below(pieces), numbers.one_of(&[Piece::Passed, Piece::Lost]))
}

/// A killed worker is replaced at once. Of the others every second is back at once, and some only when leases have run out.
fn away(numbers: &mut Numbers, target: Target) -> Duration {
    let part = Duration::from_millis(numbers.below(1000) as u64);
    match numbers.below(4) {
        _ if target == Target::Worker => Duration::ZERO,
        0 | 1 => Duration::ZERO,
        2 => part,
        _ => Duration::from_secs(LEASE_SECONDS) + part,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(seed: u64, has_server: bool, survives: bool) -> Vec<Strike> {
        let mut numbers = Numbers::from_seed(seed);
        (0..200).map(|_| Strike::draw(&mut numbers, Targets { workers: 3, has_server, survives })).collect()
    }

    #[test]
    fn one_seed_always_draws_the_same_strikes() {
        assert_eq!(drawn(7, true, true), drawn(7, true, true));
        assert_ne!(drawn(7, true, true), drawn(8, true, true));
    }

    #[test]
    fn only_what_there_is_and_may_be_killed_is_struck() {
        let targets = |has_server, survives| {
            let mut found: Vec<_> = drawn(1, has_server, survives).iter().map(|s| format!("{:?}", s.target)).collect();
            found.sort();
            found.dedup();
            found
        };
        assert_eq!(targets(false, false), ["StoreLine", "Worker"]);
        assert_eq!(targets(true, false), ["OfficeLine", "QueueLine", "StoreLine", "Worker"]);
        assert_eq!(targets(true, true), ["OfficeLine", "QueueLine", "Server", "StoreLine", "Worker"]);
        for strike in drawn(1, false, false) {
            assert!(!matches!(strike.point, Point::Piece(Line::Queue | Line::Office, ..)), "{strike:?}");
        }
    }
}
