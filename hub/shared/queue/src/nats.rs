//! The NATS JetStream driver. JetStream's own acknowledgements name only the message, so that who lost a delivery could
//! end the next one; leases are therefore records of ours, each written under the condition that nobody wrote since. See
//! docs/decisions/0019. `names.rs` says what lies where.

mod address;
mod dead;
mod events;
mod index;
mod leases;
mod link;
mod names;
mod notices;
mod record;
mod streams;
mod sweep;
mod trouble;
mod watch;

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_nats::jetstream::message::PublishMessage;
use async_trait::async_trait;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reelmill_api::{Lane, Notice, QueueName};
use tokio::{
    sync::{Notify, OnceCell},
    task::JoinHandle,
    time::Instant,
};
use uuid::Uuid;

use crate::{
    Cursor, DeadLetter, Depth, Events, Leased, Limits, NewMessage, Published, Queue, QueueError, Receipt, time::millis,
    turns::Turns,
};
use address::Address;
use link::{Link, Which};
use names::{CALL, DELAY, Names};
use trouble::Wrote;
use watch::Watch;

/// How much of the largest message that the server takes is left for headers.
const HEADERS: usize = 1024;

/// A queue on a NATS server with JetStream.
pub(crate) struct NatsQueue {
    watch: Arc<Watch>,
    /// What keeps the watch, once somebody needs it.
    keeping: OnceLock<[Task; 2]>,
    turns: Turns,
    /// Rings for each event, once somebody listens.
    bell: Arc<Notify>,
    listener: OnceCell<Task>,
}

/// A task that ends with its owner.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl NatsQueue {
    /// Connects to the server at `url` (`nats://...` or `tls://...`).
    pub(crate) async fn open(url: &str, farm: &QueueName) -> Result<Self, QueueError> {
        let link = Link::open(Address::parse(url)?).await?;
        let names = Names::of(farm);
        streams::ensure(&link, &names).await.map_err(|e| link.explained(e))?;
        Ok(Self {
            watch: Arc::new(Watch::new(link, names)),
            keeping: OnceLock::new(),
            turns: Turns::default(),
            bell: Arc::default(),
            listener: OnceCell::new(),
        })
    }

    /// The watch, kept from now on. Who only publishes needs none.
    fn watching(&self) -> &Watch {
        self.keeping.get_or_init(|| {
            let (kept, swept) = (self.watch.clone(), self.watch.clone());
            [Task(tokio::spawn(kept.keep())), Task(tokio::spawn(swept.sweep()))]
        });
        &self.watch
    }

    /// Has strangers' messages taken for this lane.
    async fn open_lane(&self, lane: &Lane) -> Result<(), QueueError> {
        let watch = &self.watch;
        let is_open = watch.known().opened.contains(lane);
        if !is_open {
            streams::open(&watch.link, &watch.names, lane).await?;
            watch.known().opened.insert(lane.clone());
        }
        Ok(())
    }

    /// Whether the message with this number was published by `call`.
    async fn is_of(&self, number: u64, call: &str, doing: impl Fn() -> String) -> Result<bool, QueueError> {
        let stored = self.watch.link.read(doing, &self.watch.names.tasks, &Which::Number(number)).await?;
        Ok(stored.is_some_and(|stored| stored.headers.get(CALL).is_some_and(|name| name.as_str() == call)))
    }
}

#[async_trait]
impl Queue for NatsQueue {
    fn limits(&self) -> Limits {
        let largest_body = self.watch.link.client().max_payload().saturating_sub(HEADERS);
        Limits { largest_body, ..Limits::NONE }
    }

    async fn publish(&self, lane: &Lane, message: &NewMessage) -> Result<Published, QueueError> {
        let (doing, link) = (|| format!("publish to lane {lane}"), &self.watch.link);
        let largest = self.limits().largest_body;
        if message.body.len() > largest {
            let size = message.body.len();
            return Err(
                link.failed(doing(), &format!("its {size} bytes are more than the {largest} that go into one message"))
            );
        }
        self.open_lane(lane).await?;
        // Drawn once for all tries, so that a repetition is recognised.
        let call = Uuid::new_v4().to_string();
        let id = match &message.dedupe_key {
            Some(key) => format!("{lane}:{}", utf8_percent_encode(key, NON_ALPHANUMERIC)),
            None => call.clone(),
        };
        let mut new = PublishMessage::build().payload(message.body.clone().into()).message_id(id).header(CALL, &*call);
        if !message.delay.is_zero() {
            new = new.header(DELAY, millis(message.delay).to_string());
        }
        match link.store(doing, &self.watch.names.task(lane, message.priority), new).await? {
            Wrote::At(_) => Ok(Published::Stored),
            Wrote::Before { .. } if message.dedupe_key.is_none() => Ok(Published::Stored),
            Wrote::Before { number, tried_before: true } if self.is_of(number, &call, doing).await? => {
                Ok(Published::Stored)
            }
            Wrote::Before { .. } => Ok(Published::Duplicate),
            Wrote::Conflict => Err(link.failed(doing(), "the server speaks of a condition that was not made")),
        }
    }

    async fn lease(&self, lanes: &[Lane], lasting: Duration, wait: Duration) -> Result<Option<Leased>, QueueError> {
        self.lease_or_wait(lanes, lasting, wait).await
    }

    async fn extend(&self, receipt: &Receipt, lasting: Duration) -> Result<(), QueueError> {
        self.settle(receipt, "extend a lease", |record, call| record.extended(call, lasting)).await
    }

    async fn ack(&self, receipt: &Receipt) -> Result<(), QueueError> {
        self.settle(receipt, "acknowledge a message", |record, call| record.done(call)).await
    }

    async fn retry_after(&self, receipt: &Receipt, delay: Duration) -> Result<(), QueueError> {
        self.settle(receipt, "put back a message", |record, call| record.given_back(call, delay, 0)).await
    }

    async fn hand_back(&self, receipt: &Receipt) -> Result<(), QueueError> {
        self.settle(receipt, "hand back a message", |record, call| record.given_back(call, Duration::ZERO, 1)).await
    }

    async fn dead_letter(&self, receipt: &Receipt, reason: &str) -> Result<(), QueueError> {
        self.settle(receipt, "keep a dead letter", |record, call| record.dead(call, reason)).await
    }

    async fn depth(&self, lane: &Lane) -> Result<Depth, QueueError> {
        let watch = self.watching();
        watch.catch_up(&|| format!("measure lane {lane}")).await?;
        let clock = watch.clock();
        Ok(watch.known().index.depth(lane, Instant::now(), clock))
    }

    async fn dead_letters(&self, lane: &Lane, limit: usize) -> Result<Vec<DeadLetter>, QueueError> {
        self.buried(lane, limit).await
    }

    async fn retry_dead(&self, lane: &Lane, message_id: &str) -> Result<bool, QueueError> {
        self.exhume(lane, message_id, true).await
    }

    async fn drop_dead(&self, lane: &Lane, message_id: &str) -> Result<bool, QueueError> {
        self.exhume(lane, message_id, false).await
    }

    async fn post(&self, notice: &Notice) -> Result<(), QueueError> {
        self.put(notice, true).await
    }

    async fn withdraw(&self, notice: &Notice) -> Result<(), QueueError> {
        self.put(notice, false).await
    }

    async fn notices(&self) -> Result<BTreeSet<Notice>, QueueError> {
        Ok(self.up().await?.into_iter().collect())
    }

    async fn emit(&self, body: &[u8]) -> Result<(), QueueError> {
        let event = PublishMessage::build().payload(body.to_vec().into());
        self.watch.link.store(|| "emit an event".to_owned(), &self.watch.names.event(), event).await.map(drop)
    }

    async fn events(&self, after: &Cursor, wait: Duration) -> Result<Events, QueueError> {
        self.read_events(after, wait).await
    }
}
