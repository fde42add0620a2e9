//! One queue interface for the farm, and its drivers: what a lane, a lease and a dead letter are, whatever server keeps
//! them.

mod address;
mod connect;
mod limits;
mod nats;
mod rabbit;
mod redis;
mod sqlite;
mod sqs;
mod time;
mod turns;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use reelmill_api::{AttemptNumber, Lane, Notice, Priority};

pub use connect::connect;
pub use limits::{Limits, Readers};
pub use sqlite::sqlite_url;
pub use sqs::with_keys;

/// A message to put on a lane.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// The body, JSON by convention.
    pub body: Vec<u8>,
    /// Its place among the waiting: higher first, first in first out within one, but see [`Queue::lease`].
    pub priority: Priority,
    /// How long it stays invisible.
    pub delay: Duration,
    /// A second message with the same key on the same lane is dropped while the key is remembered
    /// (at least [`DEDUPE_MEMORY`]).
    pub dedupe_key: Option<String>,
}

/// How long a dedupe key is remembered at least. SQS remembers five minutes; we promise no more than any driver can.
pub const DEDUPE_MEMORY: Duration = Duration::from_secs(300);

/// What became of a published message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// It lies on the lane, durably.
    Stored,
    /// One with the same dedupe key was there before; nothing was stored.
    Duplicate,
}

/// A claim on one message, to be extended or settled. Opaque: only the driver that gave it can read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub(crate) lane: Lane,
    pub(crate) token: String,
}

impl Receipt {
    /// The claim that `nonce` gives on the message `id`.
    pub(crate) fn new(lane: &Lane, id: &str, nonce: &str) -> Self {
        Self { lane: lane.clone(), token: format!("{id} {nonce}") }
    }

    /// The message's id and the nonce of the claim.
    pub(crate) fn parts(&self) -> (&str, &str) {
        self.token.split_once(' ').unwrap_or((&self.token, ""))
    }
}

/// A message that was leased.
#[derive(Clone, Debug)]
pub struct Leased {
    /// The lane it came from.
    pub lane: Lane,
    /// The server's name for the message; stays the same over redeliveries and retries.
    pub message_id: String,
    /// Which delivery this is, from 1. A lease that ran out and a counted retry each add one.
    pub attempt: AttemptNumber,
    /// The body.
    pub body: Vec<u8>,
    /// The claim.
    pub receipt: Receipt,
}

/// How full a lane is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Messages that could be leased now.
    pub ready: u64,
    /// Messages that are still invisible.
    pub delayed: u64,
    /// Messages under a lease, where the server tells ([`Limits::counts_leased`]).
    pub leased: Option<u64>,
    /// Dead letters.
    pub dead: u64,
    /// How long the oldest ready message has been on the lane, where the server tells ([`Limits::tells_age`]).
    pub oldest_ready: Option<Duration>,
}

/// A message that is not tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The server's name for the message.
    pub message_id: String,
    /// The body as it was published, byte for byte.
    pub body: Vec<u8>,
    /// Why.
    pub reason: String,
    /// How often it was delivered.
    pub attempts: AttemptNumber,
}

/// Where a reader of events stands; opaque, to be stored and given back. Empty: from the oldest that is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor(pub String);

/// Events and where to go on.
#[derive(Clone, Debug, Default)]
pub struct Events {
    /// Bodies, oldest first.
    pub bodies: Vec<Vec<u8>>,
    /// Where the next read begins.
    pub next: Cursor,
}

/// How many events are kept at least; a reader that falls further behind misses the oldest.
pub const EVENTS_KEPT: u64 = 10_000;

/// How long it is remembered at least that a job was canceled. No lease and no delay of ours comes near it.
pub const CANCELED_MEMORY: Duration = Duration::from_secs(7 * 24 * 3600);

/// How many events one read returns at most.
pub(crate) const EVENTS_PER_READ: u32 = 500;

/// Why a queue could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The lease ran out and the message is another's, or settled.
    #[error("the lease on lane {lane} was lost: it ran out, and the task went to another worker or was settled")]
    LeaseLost {
        /// The lane.
        lane: Lane,
    },
    /// The queue's address cannot be used.
    #[error("{message}")]
    BadAddress {
        /// What is wrong with it; never holds a password.
        message: String,
        /// What to do.
        hint: String,
    },
    /// The server cannot be reached or failed.
    #[error("cannot {doing} at {at}: {cause}")]
    Failed {
        /// What was being done, e.g. `lease from lane reelmill-hls-ladder`.
        doing: String,
        /// The address without any password.
        at: String,
        /// The cause.
        cause: String,
    },
}

impl QueueError {
    /// What to do about it, to be shown as a `hint:` line.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::LeaseLost { .. } => None,
            Self::BadAddress { hint, .. } => Some(hint),
            Self::Failed { at, .. } if at.starts_with("sqlite:") => {
                Some("is the disk full, the file another user's, or a program that holds it stopped (state T in `ps`)?")
            }
            Self::Failed { cause, .. } if cause.contains("is down or inaccessible") => Some(
                "is it still so in a minute, the server was killed and has lost its streams: docs/operate/queues.md says how to tell it where they are",
            ),
            Self::Failed { .. } => Some("does the queue server run, can this machine reach it, is the password right?"),
        }
    }
}

/// A queue server, or the embedded one. All calls are safe to repeat after an error.
#[async_trait]
pub trait Queue: Send + Sync {
    /// What is special about this server.
    fn limits(&self) -> Limits;

    /// Puts a message on a lane; when this returns it is durable as far as the server is.
    async fn publish(&self, lane: &Lane, message: &NewMessage) -> Result<Published, QueueError>;

    /// Leases the most urgent ready message of the first lane that has one, waiting up to `wait` for one to come.
    /// `lasting` is how long the claim holds without [`Queue::extend`]. Of eight leases that a connection takes from a
    /// lane, one goes to the least urgent message instead and one to a normal one, so that none waits for ever. A call that is dropped before it answers may
    /// leave a message leased until then.
    async fn lease(&self, lanes: &[Lane], lasting: Duration, wait: Duration) -> Result<Option<Leased>, QueueError>;

    /// Makes the claim hold for another `lasting` from now. [`QueueError::LeaseLost`] if it is no longer ours.
    async fn extend(&self, receipt: &Receipt, lasting: Duration) -> Result<(), QueueError>;

    /// Removes the message: its work is done. [`QueueError::LeaseLost`] if it is no longer ours.
    async fn ack(&self, receipt: &Receipt) -> Result<(), QueueError>;

    /// Gives the message back, to be delivered again after `delay` as the next attempt.
    async fn retry_after(&self, receipt: &Receipt, delay: Duration) -> Result<(), QueueError>;

    /// Gives the message back at once and uncounted: the next delivery has the same attempt number.
    async fn hand_back(&self, receipt: &Receipt) -> Result<(), QueueError>;

    /// Takes the message out of delivery and keeps it with the reason.
    async fn dead_letter(&self, receipt: &Receipt, reason: &str) -> Result<(), QueueError>;

    /// How full a lane is. A lane that nobody has used is empty.
    async fn depth(&self, lane: &Lane) -> Result<Depth, QueueError>;

    /// The oldest dead letters of a lane.
    async fn dead_letters(&self, lane: &Lane, limit: usize) -> Result<Vec<DeadLetter>, QueueError>;

    /// Puts a dead letter back on its lane, as a message that was never delivered; `false` if there is none with this id.
    async fn retry_dead(&self, lane: &Lane, message_id: &str) -> Result<bool, QueueError>;

    /// Removes a dead letter for good; `false` if there is none with this id.
    async fn drop_dead(&self, lane: &Lane, message_id: &str) -> Result<bool, QueueError>;

    /// Puts up a notice for all users of the farm's queue, if it is not up already. That a job was canceled is kept for
    /// [`CANCELED_MEMORY`], a pause until it is withdrawn.
    async fn post(&self, notice: &Notice) -> Result<(), QueueError>;

    /// Takes a notice down, if it is up.
    async fn withdraw(&self, notice: &Notice) -> Result<(), QueueError>;

    /// All notices that are up.
    async fn notices(&self) -> Result<BTreeSet<Notice>, QueueError>;

    /// Tells every reader of events; the last [`EVENTS_KEPT`] are kept. Where the answer is lost, an event may come
    /// twice.
    async fn emit(&self, body: &[u8]) -> Result<(), QueueError>;

    /// Events after `cursor`, waiting up to `wait` for the first. Each reader has its own cursor.
    async fn events(&self, after: &Cursor, wait: Duration) -> Result<Events, QueueError>;
}

/// A queue that tasks share.
pub type SharedQueue = Arc<dyn Queue>;
