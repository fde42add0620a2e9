//! The RabbitMQ driver: quorum queues for what is ready, what waits and what is dead, streams for what everyone reads, and
//! a lease is an unacknowledged delivery. `names.rs` describes what lies on the server, decision 0018 how a lease is kept.

mod address;
mod bell;
mod board;
mod core;
mod dead;
mod leases;
mod link;
mod names;
mod parcel;
mod seen;
mod socket;
mod stream;
mod topology;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use reelmill_api::{Lane, Notice, QueueName};
use tokio::time::Instant;
use uuid::Uuid;

use self::{
    address::Address,
    core::Core,
    dead::Fate,
    leases::Held,
    link::Trouble,
    names::ready,
    parcel::Parcel,
    stream::{From, Reader},
};
use crate::{
    Cursor, DeadLetter, Depth, Events, Leased, Limits, NewMessage, Published, Queue, QueueError, Readers, Receipt,
    time::deadline, turns::Turns,
};

/// How long a wait lasts at most before it looks again: nobody rings for what a stranger publishes or a delay sets free.
const POLL: Duration = Duration::from_millis(500);
/// What a cursor of this driver begins with. A cursor of another one means a reader that was moved here.
const CURSOR: &str = "rabbit:";
/// How many bytes of events are kept: enough for 10,000 of 20 kB each, and ours are far smaller.
const EVENT_BYTES: i64 = 200_000_000;
/// The largest body that every RabbitMQ takes as it comes: from 4.0 on it refuses more than 16 MiB, before 128 MiB.
const LARGEST_BODY: usize = 16 << 20;

/// A queue on a RabbitMQ server.
pub(crate) struct RabbitQueue {
    core: Arc<Core>,
    turns: Turns,
    events: String,
}

/// What is done with a leased message before its delivery is acknowledged.
#[derive(Clone, Copy)]
enum Deed<'a> {
    Remove,
    /// It comes again after this delay, and is counted.
    Repeat(Duration),
    /// It comes again at once, and is not counted.
    HandBack,
    Bury(&'a str),
}

impl RabbitQueue {
    /// Connects to the server at `url` (`amqp://...` or `amqps://...`).
    pub(crate) async fn open(url: &str, farm: &QueueName) -> Result<Self, QueueError> {
        let core = Core::new(Address::parse(url)?, farm)?;
        let intake = farm.intake();
        // With the intake there, strangers can publish before the first worker has come.
        core.leasing.patiently(|| "connect to the queue".to_owned(), || core.prepare(&intake)).await?;
        Ok(Self { core, turns: Turns::default(), events: format!("{farm}.events") })
    }

    /// Takes the most urgent message of the first lane that has one.
    async fn look(&self, lanes: &[Lane]) -> Result<Option<Held>, Trouble> {
        let (mut order, mut queues) = (Vec::new(), Vec::new());
        for lane in lanes {
            let found = self.core.prepare(lane).await?;
            for priority in self.turns.next(lane) {
                order.push((lane, priority, found[&priority]));
                queues.push(ready(lane, priority));
            }
        }
        // Counting costs the server little; taking is written to its disk even where nothing is there.
        if queues.is_empty() {
            return Ok(None);
        }
        let counts = self.core.counts(&queues).await?;
        for ((lane, priority, found), _) in order.into_iter().zip(counts).filter(|(_, count)| *count > 0) {
            match self.core.fetch(lane, priority, found).await {
                Ok(Some(held)) => return Ok(Some(held)),
                // Another was faster, or its copy is on its way.
                Ok(None) | Err(Trouble::Lost) => {}
                Err(trouble) => return Err(trouble),
            }
        }
        Ok(None)
    }

    async fn leased(&self, held: Held, lasting: Duration) -> Result<Leased, QueueError> {
        let (nonce, parcel) = (Uuid::new_v4().to_string(), &held.parcel);
        self.turns.taken(&parcel.lane);
        let leased = Leased {
            lane: parcel.lane.clone(),
            receipt: Receipt::new(&parcel.lane, &nonce, &parcel.id),
            message_id: parcel.id.clone(),
            attempt: parcel.delivered,
            body: parcel.body.clone(),
        };
        // One that holds for no time at all is put back here, so that it lies there again when this call returns.
        self.core.leases.keep(nonce, held, if lasting.is_zero() { Duration::from_secs(60) } else { lasting });
        if lasting.is_zero() {
            self.retry_after(&leased.receipt, lasting).await.or_else(|e| self.unless_lost(e))?;
        }
        Ok(leased)
    }

    fn unless_lost(&self, error: QueueError) -> Result<(), QueueError> {
        if matches!(error, QueueError::LeaseLost { .. }) { Ok(()) } else { Err(error) }
    }

    /// Ends a claim by this deed, which ends with the delivery's acknowledgement.
    async fn settle(&self, receipt: &Receipt, doing: &str, deed: Deed<'_>) -> Result<(), QueueError> {
        let lost = || QueueError::LeaseLost { lane: receipt.lane.clone() };
        let (nonce, _) = receipt.parts();
        let lease = self.core.leases.get(nonce).ok_or_else(lost)?;
        let mut place = lease.hold().await.map_err(|_| lost())?;
        let held = place.as_ref().ok_or_else(lost)?;
        let doing = || format!("{doing} on lane {}", receipt.lane);
        // What is put elsewhere must be there before the original goes. Until then the claim holds, so that the call can
        // be repeated.
        self.core.publishing.patiently(doing, || self.carry_out(deed, &held.parcel)).await?;
        let acknowledged = held.ack().await;
        let open = held.desk.is_open();
        if let Some(held) = place.take().filter(|_| acknowledged.is_ok()) {
            held.desk.put_back();
        }
        self.core.leases.forget(nonce);
        match acknowledged {
            Ok(()) => Ok(()),
            Err(Trouble::Said(_)) => Err(lost()),
            Err(_) if !open => Err(lost()),
            Err(trouble) => Err(self.core.leasing.failed(doing(), &trouble)),
        }
    }

    async fn carry_out(&self, deed: Deed<'_>, parcel: &Parcel) -> Result<(), Trouble> {
        match deed {
            Deed::Remove => Ok(()),
            Deed::Repeat(delay) => self.core.put(parcel, delay).await,
            Deed::HandBack => {
                let uncounted = Parcel { delivered: parcel.delivered.saturating_sub(1), ..parcel.clone() };
                self.core.put(&uncounted, Duration::ZERO).await
            }
            Deed::Bury(reason) => self.core.bury(parcel, reason).await,
        }
    }

    /// The events after the one at `last`, waiting for the first.
    async fn read_after(&self, last: Option<u64>, wait: Duration) -> Result<Vec<(u64, Vec<u8>)>, Trouble> {
        let core = &self.core;
        core.topology.queue(&core.leasing, &self.events, names::stream(EVENT_BYTES)).await?;
        let mut last = last;
        loop {
            let from = last.map_or(From::First, From::Entry);
            let mut reader = Reader::open(&core.leasing, &self.events, from).await?;
            let mut entries = reader.at_hand()?;
            if entries.is_empty() && last.is_some() {
                // The one that was read last is not there: this is another stream, to be read from its beginning.
                last = None;
                continue;
            }
            entries.retain(|(offset, _)| last.is_none_or(|last| *offset > last));
            if entries.is_empty() && !wait.is_zero() {
                entries = reader.wait(wait).await?;
            }
            return Ok(entries);
        }
    }
}

#[async_trait]
impl Queue for RabbitQueue {
    fn limits(&self) -> Limits {
        Limits {
            receipts_travel: false,
            tick: Duration::from_secs(1),
            // Three heartbeats that are missed, then the time that a renewed lease lies aside.
            grace: Duration::from_secs(3 * u64::from(address::HEARTBEAT_S)) + names::HELD_TTL + Duration::from_secs(2),
            longest_hold: Some(self.core.address.consumer_timeout),
            longest_delay: names::longest_delay(),
            largest_body: LARGEST_BODY,
            keeps_order: false,
            may_double: true,
            counts_leased: false,
            tells_age: false,
            dedupes_for_all: true,
            readers: Readers::Many,
        }
    }

    async fn publish(&self, lane: &Lane, message: &NewMessage) -> Result<Published, QueueError> {
        // Drawn once for all tries: a second copy that a lost answer leaves has the same name.
        let parcel = Parcel::new(lane, message.priority, Uuid::now_v7().to_string(), &message.body);
        let (core, parcel, key) = (&self.core, &parcel, message.dedupe_key.as_deref());
        let once = || async move {
            if let Some(key) = key
                && core.seen.contains(core, lane, key).await?
            {
                return Ok(Published::Duplicate);
            }
            core.put(parcel, message.delay).await?;
            Ok(Published::Stored)
        };
        let published = core.publishing.patiently(|| format!("publish to lane {lane}"), once).await?;
        if let (Published::Stored, Some(key)) = (published, key) {
            let remember = || core.seen.remember(core, lane, key);
            core.publishing.patiently(|| format!("remember a key of lane {lane}"), remember).await?;
        }
        Ok(published)
    }

    async fn lease(&self, lanes: &[Lane], lasting: Duration, wait: Duration) -> Result<Option<Leased>, QueueError> {
        let (deadline, core) = (deadline(wait), &self.core);
        if !wait.is_zero()
            && let Err(trouble) = core.bell.listen(core, lanes).await
        {
            // The look that follows tells the caller, if it fails as well.
            log::debug!("the bell is not heard: {trouble}");
        }
        let rings = core.bell.rings();
        let (mut heard, mut worth_a_look) = (rings.listen(), lanes.to_vec());
        let mut next_poll = Instant::now() + POLL;
        loop {
            // Counted before the look, so that a ring during it leads to another.
            let count = *heard.borrow_and_update();
            if let Some(held) = core.leasing.patiently(|| leasing_from(lanes), || self.look(&worth_a_look)).await? {
                return self.leased(held, lasting).await.map(Some);
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            tokio::select! {
                _ = heard.changed() => worth_a_look = rings.since(lanes, count),
                () = tokio::time::sleep_until(next_poll.min(deadline)) => {
                    worth_a_look = lanes.to_vec();
                    next_poll = Instant::now() + POLL;
                }
            }
        }
    }

    async fn extend(&self, receipt: &Receipt, lasting: Duration) -> Result<(), QueueError> {
        if lasting.is_zero() {
            return self.retry_after(receipt, lasting).await;
        }
        let lost = || QueueError::LeaseLost { lane: receipt.lane.clone() };
        let lease = self.core.leases.get(receipt.parts().0).ok_or_else(lost)?;
        let held = lease.hold().await.map_err(|_| lost())?;
        let held = held.as_ref().ok_or_else(lost)?;
        // A process that stood still learns here whether its connection is still one.
        match held.desk.settle().await {
            Ok(()) => self.core.leases.prolong(&lease, lasting),
            // An error on its channel or connection is the end of both.
            Err(Trouble::Said(_)) => return Err(lost()),
            Err(_) if !held.desk.is_open() => return Err(lost()),
            Err(trouble) => {
                return Err(self.core.leasing.failed(format!("extend a lease on lane {}", receipt.lane), &trouble));
            }
        }
        Ok(())
    }

    async fn ack(&self, receipt: &Receipt) -> Result<(), QueueError> {
        self.settle(receipt, "acknowledge a message", Deed::Remove).await
    }

    async fn retry_after(&self, receipt: &Receipt, delay: Duration) -> Result<(), QueueError> {
        self.settle(receipt, "put back a message", Deed::Repeat(delay)).await
    }

    async fn hand_back(&self, receipt: &Receipt) -> Result<(), QueueError> {
        self.settle(receipt, "hand back a message", Deed::HandBack).await
    }

    async fn dead_letter(&self, receipt: &Receipt, reason: &str) -> Result<(), QueueError> {
        self.settle(receipt, "keep a dead letter", Deed::Bury(reason)).await
    }

    async fn depth(&self, lane: &Lane) -> Result<Depth, QueueError> {
        let core = &self.core;
        let measure = || async move {
            let mut queues: Vec<String> = core.prepare(lane).await?.into_keys().map(|p| ready(lane, p)).collect();
            queues.push(names::dead(lane));
            queues.extend(core.board.delays(core, lane).await?);
            core.counts(&queues).await
        };
        let counts = core.leasing.patiently(|| format!("measure lane {lane}"), measure).await?;
        let sum = |counts: &[u64]| counts.iter().sum();
        Ok(Depth {
            ready: sum(&counts[..3]),
            dead: counts[3],
            delayed: sum(&counts[4..]),
            leased: None,
            oldest_ready: None,
        })
    }

    async fn dead_letters(&self, lane: &Lane, limit: usize) -> Result<Vec<DeadLetter>, QueueError> {
        let core = &self.core;
        let doing = || format!("read the dead letters of lane {lane}");
        core.leasing.patiently(doing, || dead::list(core, lane, limit)).await
    }

    async fn retry_dead(&self, lane: &Lane, message_id: &str) -> Result<bool, QueueError> {
        let core = &self.core;
        let doing = || format!("retry a dead letter of lane {lane}");
        core.leasing.patiently(doing, || dead::exhume(core, lane, message_id, Fate::Retried)).await
    }

    async fn drop_dead(&self, lane: &Lane, message_id: &str) -> Result<bool, QueueError> {
        let core = &self.core;
        let doing = || format!("drop a dead letter of lane {lane}");
        core.leasing.patiently(doing, || dead::exhume(core, lane, message_id, Fate::Dropped)).await
    }

    async fn post(&self, notice: &Notice) -> Result<(), QueueError> {
        let core = &self.core;
        core.publishing.patiently(|| "post a notice".to_owned(), || core.board.post(core, notice)).await
    }

    async fn withdraw(&self, notice: &Notice) -> Result<(), QueueError> {
        let core = &self.core;
        core.publishing.patiently(|| "withdraw a notice".to_owned(), || core.board.withdraw(core, notice)).await
    }

    async fn notices(&self) -> Result<BTreeSet<Notice>, QueueError> {
        let core = &self.core;
        core.leasing.patiently(|| "read the notices".to_owned(), || core.board.notices(core)).await
    }

    async fn emit(&self, body: &[u8]) -> Result<(), QueueError> {
        let core = &self.core;
        let emit = || core.append(&self.events, names::stream(EVENT_BYTES), body);
        core.publishing.patiently(|| "emit an event".to_owned(), emit).await
    }

    async fn events(&self, after: &Cursor, wait: Duration) -> Result<Events, QueueError> {
        let last = after.0.strip_prefix(CURSOR).and_then(|offset| offset.parse::<u64>().ok());
        let read = || self.read_after(last, wait);
        // A wait is no call that takes long: the time that a call may take begins anew with each part of it.
        let entries = self.core.leasing.wait_patiently(|| "read events".to_owned(), wait, read).await?;
        let next = entries.last().map_or_else(|| after.clone(), |(offset, _)| Cursor(format!("{CURSOR}{offset}")));
        Ok(Events { bodies: entries.into_iter().map(|(_, body)| body).collect(), next })
    }
}

/// What a lease was doing, should it fail.
fn leasing_from(lanes: &[Lane]) -> String {
    match lanes {
        [lane] => format!("lease from lane {lane}"),
        [lane, ..] => format!("lease from lane {lane} and {} more", lanes.len() - 1),
        [] => "lease from no lane".to_owned(),
    }
}
