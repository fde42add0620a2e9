//! What lies on the lanes, as one connection knows it: a value that is told what the server stored, and answers who comes
//! next. It may be behind; who acts on it writes under a condition, and tells it what came of that.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use reelmill_api::{Lane, Priority};
use tokio::time::Instant;

use super::record::{Nanos, Record, State};
use crate::Depth;

/// The number of a message in the stream of tasks: its name in the farm.
pub(super) type Number = u64;
/// The number of a record in the stream of states; 0: there is none yet.
pub(super) type Version = u64;
/// When a message was born whose record cannot be read.
const HIDDEN: Nanos = 0;

/// All messages of a farm.
#[derive(Debug, Default)]
pub(super) struct Index {
    messages: HashMap<Number, Message>,
    lines: HashMap<Lane, Line>,
    /// When a delay or a lease ends.
    timers: BTreeSet<(Instant, Number)>,
    done: HashMap<Number, (Version, Record)>,
}

#[derive(Debug)]
struct Message {
    lane: Lane,
    version: Version,
    record: Record,
    standing: Standing,
    /// Whether its body was seen.
    body: bool,
}

/// Where a message stands now; other than its record, it knows when time has run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Ready,
    /// Somebody in this process tries to lease it.
    Claimed,
    Delayed(Instant),
    Leased(Instant),
    Dead,
}

/// A lane's messages by where they stand.
#[derive(Debug, Default)]
struct Line {
    ready: HashMap<Priority, BTreeSet<(Nanos, Number)>>,
    /// The ready and the claimed by since when they have been on the lane.
    ages: BTreeSet<(Nanos, Number)>,
    delayed: u64,
    leased: u64,
    dead: BTreeMap<Version, Number>,
}

/// A message and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) number: Number,
    pub(super) version: Version,
    pub(super) record: Record,
}

impl Index {
    /// A body was stored, `ago`.
    pub(super) fn arrived(&mut self, number: Number, lane: Lane, record: Record, ago: Duration, now: Instant) {
        match self.born(number) {
            // Nobody can tell of what a hidden record is.
            Some(born) if born == record.born || born == HIDDEN => {
                if let Some(message) = self.messages.get_mut(&number) {
                    message.body = true;
                }
            }
            // New, or another body had this number in a stream that somebody removed.
            _ => {
                let version = self.version(number).unwrap_or(0);
                self.forget(number);
                let standing = standing(&record, ago, now);
                self.file(number, Message { lane, version, record, standing, body: true });
            }
        }
    }

    fn born(&self, number: Number) -> Option<Nanos> {
        let live = self.messages.get(&number).map(|message| message.record.born);
        live.or(self.done.get(&number).map(|done| done.1.born))
    }

    /// A record was stored, `ago`. One that is not newer than what is known changes nothing.
    pub(super) fn changed(
        &mut self,
        number: Number,
        lane: Lane,
        version: Version,
        record: Record,
        ago: Duration,
        now: Instant,
    ) {
        if self.version(number).is_some_and(|known| known >= version) {
            return;
        }
        let old = self.unfile(number);
        if let Some(old) = old.as_ref().filter(|old| old.body && old.record.born != record.born) {
            // Of the body that had this number before.
            let (lane, record, standing) = (old.lane.clone(), old.record.clone(), old.standing);
            return self.file(number, Message { lane, version, record, standing, body: true });
        }
        let body = old.is_some_and(|old| old.body);
        // Texts of people stay where they are.
        let record = Record { reason: String::new(), ..record };
        if record.state == State::Done {
            self.done.insert(number, (version, record));
        } else {
            let standing = standing(&record, ago, now);
            self.file(number, Message { lane, version, record, standing, body });
        }
    }

    /// The message is gone, body and all.
    pub(super) fn forget(&mut self, number: Number) {
        self.unfile(number);
        self.done.remove(&number);
    }

    /// A record was stored that this build cannot read: the message is for newer ones.
    pub(super) fn hide(&mut self, number: Number, version: Version) {
        if self.version(number).is_none_or(|known| known < version) {
            self.unfile(number);
            self.done.insert(number, (version, Record { born: HIDDEN, ..Record::default() }));
        }
    }

    /// Forgets the records without bodies, once all bodies were seen; their versions. A server that was killed may have
    /// brought back records that were replaced long ago, by others that were removed.
    pub(super) fn exorcise(&mut self) -> Vec<Version> {
        let ghosts: Vec<_> = self.messages.iter().filter(|(_, m)| !m.body).map(|(&n, m)| (n, m.version)).collect();
        ghosts
            .into_iter()
            .map(|(number, version)| {
                self.forget(number);
                version
            })
            .collect()
    }

    /// What is done is removed, or somebody else removes it.
    pub(super) fn forget_done(&mut self, number: Number) {
        self.done.remove(&number);
    }

    /// The next ready message of a lane, to be tried by the caller alone, who then says what came of it.
    pub(super) fn claim(&mut self, lane: &Lane, order: [Priority; 3], now: Instant) -> Option<Known> {
        self.wake(now);
        let line = self.lines.get(lane)?;
        let (_, number) = *order.iter().find_map(|priority| line.ready.get(priority)?.first())?;
        self.stand(number, Standing::Claimed);
        self.known(number)
    }

    /// The claim came to nothing, and nothing newer is known of the message.
    pub(super) fn release(&mut self, number: Number) {
        if self.messages.get(&number).is_some_and(|message| message.standing == Standing::Claimed) {
            self.stand(number, Standing::Ready);
        }
    }

    /// The message if the lease with this nonce holds it.
    pub(super) fn held(&mut self, number: Number, nonce: &str, now: Instant) -> Option<Known> {
        self.wake(now);
        let message = self.messages.get(&number)?;
        let holds = matches!(message.standing, Standing::Leased(_)) && message.record.lease == nonce;
        holds.then(|| self.known(number)).flatten()
    }

    /// Whether `call` wrote the last that is known of the message.
    pub(super) fn is_of(&self, number: Number, call: &str) -> bool {
        let live = self.messages.get(&number).map(|message| &message.record);
        live.or(self.done.get(&number).map(|done| &done.1)).is_some_and(|record| record.is_of(call))
    }

    /// The newest version that is known.
    pub(super) fn version(&self, number: Number) -> Option<Version> {
        let live = self.messages.get(&number).map(|message| message.version);
        live.or(self.done.get(&number).map(|done| done.0))
    }

    /// What is known of a message that is not done.
    pub(super) fn known(&self, number: Number) -> Option<Known> {
        let Message { version, record, .. } = self.messages.get(&number)?;
        Some(Known { number, version: *version, record: record.clone() })
    }

    /// The lane's dead letter with this number.
    pub(super) fn dead(&self, lane: &Lane, number: Number) -> Option<Known> {
        let message = self.messages.get(&number)?;
        (message.standing == Standing::Dead && message.lane == *lane).then(|| self.known(number)).flatten()
    }

    /// The oldest dead letters of a lane.
    pub(super) fn dead_letters(&self, lane: &Lane, limit: usize) -> Vec<Number> {
        self.lines.get(lane).into_iter().flat_map(|line| line.dead.values().copied()).take(limit).collect()
    }

    pub(super) fn depth(&mut self, lane: &Lane, now: Instant, clock: Nanos) -> Depth {
        self.wake(now);
        let none = Line::default();
        let line = self.lines.get(lane).unwrap_or(&none);
        let oldest = line.ages.first().map(|&(published, _)| Duration::from_nanos(clock.saturating_sub(published)));
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        Depth {
            ready: count(line.ages.len()),
            delayed: line.delayed,
            leased: Some(line.leased),
            dead: count(line.dead.len()),
            oldest_ready: oldest,
        }
    }

    /// When the next delay or lease ends.
    pub(super) fn next_timer(&mut self, now: Instant) -> Option<Instant> {
        self.wake(now);
        self.timers.first().map(|&(at, _)| at)
    }

    /// Puts in line what waited out its delay or lost its lease.
    fn wake(&mut self, now: Instant) {
        while let Some((_, number)) = self.timers.first().copied().filter(|&(at, _)| at <= now) {
            self.stand(number, Standing::Ready);
        }
    }

    fn stand(&mut self, number: Number, standing: Standing) {
        if let Some(message) = self.unfile(number) {
            self.file(number, Message { standing, ..message });
        }
    }

    fn file(&mut self, number: Number, message: Message) {
        let line = self.lines.entry(message.lane.clone()).or_default();
        let Record { priority, place, published, .. } = message.record;
        match message.standing {
            Standing::Ready | Standing::Claimed => {
                line.ages.insert((published, number));
                if message.standing == Standing::Ready {
                    line.ready.entry(priority).or_default().insert((place, number));
                }
            }
            Standing::Delayed(until) => {
                line.delayed += 1;
                self.timers.insert((until, number));
            }
            Standing::Leased(until) => {
                line.leased += 1;
                self.timers.insert((until, number));
            }
            Standing::Dead => {
                line.dead.insert(message.version, number);
            }
        }
        self.messages.insert(number, message);
    }

    fn unfile(&mut self, number: Number) -> Option<Message> {
        let message = self.messages.remove(&number)?;
        let line = self.lines.entry(message.lane.clone()).or_default();
        let Record { priority, place, published, .. } = message.record;
        match message.standing {
            Standing::Ready | Standing::Claimed => {
                line.ages.remove(&(published, number));
                line.ready.entry(priority).or_default().remove(&(place, number));
            }
            Standing::Delayed(until) => {
                line.delayed -= 1;
                self.timers.remove(&(until, number));
            }
            Standing::Leased(until) => {
                line.leased -= 1;
                self.timers.remove(&(until, number));
            }
            Standing::Dead => {
                line.dead.remove(&message.version);
            }
        }
        Some(message)
    }
}

fn standing(record: &Record, ago: Duration, now: Instant) -> Standing {
    let until = || now + record.lasting().unwrap_or_default().saturating_sub(ago);
    match record.state {
        State::Ready | State::Done => Standing::Ready,
        State::Delayed => Standing::Delayed(until()),
        State::Leased => Standing::Leased(until()),
        State::Dead => Standing::Dead,
    }
}

#[cfg(test)]
mod tests;
