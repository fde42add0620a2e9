//! The Redis driver: streams for what is ready, sorted sets for what is not, and Lua for every change. Its clock is the
//! server's. `common.lua` describes the keys.

mod address;
mod link;
mod scripts;
mod server;

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use ::redis::{
    Script, cmd,
    streams::{StreamId, StreamRangeReply, StreamReadReply},
};
use async_trait::async_trait;
use reelmill_api::{AttemptNumber, Lane, Notice, Priority, QueueName};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    CANCELED_MEMORY, Cursor, DEDUPE_MEMORY, DeadLetter, Depth, EVENTS_KEPT, EVENTS_PER_READ, Events, Leased, Limits,
    NewMessage, Published, Queue, QueueError, Receipt,
    time::{deadline, from_millis, millis, now_s},
    turns::Turns,
};
use address::Address;
use link::{Call, Link};
use scripts::{call, key};

/// How long a wait lasts at most before it looks again: nothing rings when a stranger pushes on the plain list.
const LIST_POLL: Duration = Duration::from_secs(1);
/// How long a wait for events lasts at most before it looks again, should a connection have died unnoticed.
const EVENT_POLL: Duration = Duration::from_secs(20);
/// What a cursor of this driver begins with. A cursor of another one means a reader that was moved here.
const CURSOR: &str = "redis:";

/// A queue on a Redis server.
pub(crate) struct RedisQueue {
    link: Link,
    turns: Turns,
    intake: Lane,
    events: String,
    notices: String,
}

/// The answer of `lease.lua`: whether it leased; the message's id, or the bell's last; the attempt, or the ms until
/// something becomes ready; the body; the lease's nonce.
type LeaseAnswer = (bool, String, i64, Vec<u8>, String);

/// A lane's bell, and the last ring that was heard.
struct Heard {
    bell: String,
    last: String,
}

enum Looked {
    Found(Leased),
    /// Nothing now, but perhaps when the bell rings or the time is over.
    Nothing(Heard, Option<Duration>),
}

impl RedisQueue {
    /// Connects to the server at `url` (`redis://...` or `rediss://...`).
    pub(crate) async fn open(url: &str, farm: &QueueName) -> Result<Self, QueueError> {
        let link = Link::new(Address::parse(url)?)?;
        let _: String = link.run(|| "connect to the queue".to_owned(), || Call::Command(cmd("PING"))).await?;
        let about: Option<String> =
            link.run(|| "ask the queue about itself".to_owned(), || Call::Command(cmd("INFO"))).await.ok();
        about.iter().flat_map(|about| server::warnings(about)).for_each(|warning| log::warn!("{link}: {warning}"));
        let intake = farm.intake();
        let (events, notices) = (key(&intake, "events"), key(&intake, "notices"));
        Ok(Self { link, turns: Turns::default(), intake, events, notices })
    }

    async fn look(&self, lane: &Lane, lasting: Duration) -> Result<Looked, QueueError> {
        let order = self.turns.next(lane).map(name);
        let make = || {
            let mut script = call(&scripts::LEASE, lane);
            // A new id for each try: one that the server has seen may have become the name of a message.
            script.arg(millis(lasting)).arg(Uuid::now_v7().to_string()).arg(&order);
            Call::Script(script)
        };
        let (found, text, number, body, nonce): LeaseAnswer =
            self.link.run(|| format!("lease from lane {lane}"), make).await?;
        if !found {
            let soonest = (number >= 0).then(|| from_millis(number));
            return Ok(Looked::Nothing(Heard { bell: key(lane, "bell"), last: text }, soonest));
        }
        self.turns.taken(lane);
        Ok(Looked::Found(Leased {
            lane: lane.clone(),
            receipt: Receipt::new(lane, &text, &nonce),
            message_id: text,
            attempt: AttemptNumber::try_from(number).unwrap_or(AttemptNumber::MAX),
            body,
        }))
    }

    /// Waits until one of the bells rings or `longest` is over.
    async fn listen(&self, heard: &[Heard], longest: Duration) {
        if heard.is_empty() {
            return tokio::time::sleep(longest).await;
        }
        let mut read = cmd("XREAD");
        read.arg("COUNT").arg(1).arg("BLOCK").arg(millis(longest).max(1)).arg("STREAMS");
        read.arg(heard.iter().map(|lane| &lane.bell).collect::<Vec<_>>());
        read.arg(heard.iter().map(|lane| &lane.last).collect::<Vec<_>>());
        if let Err(e) = self.link.block::<Option<StreamReadReply>>(&read, longest).await {
            // The look that follows tells the caller, if it fails as well.
            log::debug!("a wait for messages broke off: {}", e.category());
            self.link.pause().await;
        }
    }

    /// Makes a call that needs the lease; the script answers whether it held.
    async fn settle(
        &self,
        receipt: &Receipt,
        doing: &str,
        script: &'static Script,
        args: &[String],
    ) -> Result<(), QueueError> {
        let (id, nonce) = receipt.parts();
        // One name for all tries, so that a repetition is recognised.
        let name = Uuid::new_v4().to_string();
        let make = || {
            let mut invocation = call(script, &receipt.lane);
            invocation.arg(id).arg(nonce).arg(&name).arg(args);
            Call::Script(invocation)
        };
        match self.link.run(|| format!("{doing} on lane {}", receipt.lane), make).await? {
            true => Ok(()),
            false => Err(QueueError::LeaseLost { lane: receipt.lane.clone() }),
        }
    }

    /// Takes a dead letter away, or back into its line; the script answers whether it was there.
    async fn exhume(&self, lane: &Lane, id: &str, back: bool) -> Result<bool, QueueError> {
        let call_name = Uuid::new_v4().to_string();
        let make = || {
            let mut invocation = call(&scripts::EXHUME, lane);
            invocation.arg(id).arg(&call_name).arg(u8::from(back));
            Call::Script(invocation)
        };
        let doing = if back { "retry a dead letter" } else { "drop a dead letter" };
        self.link.run(|| format!("{doing} of lane {lane}"), make).await
    }

    /// The events after the entry `id`.
    async fn read_after(&self, id: &str) -> Result<Vec<StreamId>, QueueError> {
        let mut read = cmd("XREAD");
        read.arg("COUNT").arg(EVENTS_PER_READ).arg("STREAMS").arg(&self.events).arg(id);
        let reply: Option<StreamReadReply> =
            self.link.run(|| "read events".to_owned(), || Call::Command(read.clone())).await?;
        Ok(reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids).collect())
    }
}

#[async_trait]
impl Queue for RedisQueue {
    fn limits(&self) -> Limits {
        // The server refuses a larger string.
        Limits { largest_body: 512 << 20, ..Limits::NONE }
    }

    async fn publish(&self, lane: &Lane, message: &NewMessage) -> Result<Published, QueueError> {
        // Drawn once for all tries, so that a repetition is recognised.
        let id = Uuid::now_v7().to_string();
        let make = || {
            let mut script = call(&scripts::PUBLISH, lane);
            script.arg(&id).arg(name(message.priority)).arg(millis(message.delay)).arg(&message.body);
            script.arg(millis(DEDUPE_MEMORY)).arg(message.dedupe_key.as_deref());
            Call::Script(script)
        };
        match self.link.run(|| format!("publish to lane {lane}"), make).await? {
            true => Ok(Published::Stored),
            false => Ok(Published::Duplicate),
        }
    }

    async fn lease(&self, lanes: &[Lane], lasting: Duration, wait: Duration) -> Result<Option<Leased>, QueueError> {
        let deadline = deadline(wait);
        loop {
            let (mut heard, mut longest) = (Vec::new(), LIST_POLL);
            for lane in lanes {
                match self.look(lane, lasting).await? {
                    Looked::Found(leased) => return Ok(Some(leased)),
                    Looked::Nothing(bell, soonest) => {
                        heard.push(bell);
                        longest = soonest.map_or(longest, |soonest| longest.min(soonest));
                    }
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.listen(&heard, longest.min(left)).await;
        }
    }

    async fn extend(&self, receipt: &Receipt, lasting: Duration) -> Result<(), QueueError> {
        self.settle(receipt, "extend a lease", &scripts::EXTEND, &[millis(lasting).to_string()]).await
    }

    async fn ack(&self, receipt: &Receipt) -> Result<(), QueueError> {
        self.settle(receipt, "acknowledge a message", &scripts::ACK, &[]).await
    }

    async fn retry_after(&self, receipt: &Receipt, delay: Duration) -> Result<(), QueueError> {
        self.settle(receipt, "put back a message", &scripts::GIVE_BACK, &[millis(delay).to_string(), "0".to_owned()])
            .await
    }

    async fn hand_back(&self, receipt: &Receipt) -> Result<(), QueueError> {
        self.settle(receipt, "hand back a message", &scripts::GIVE_BACK, &["0".to_owned(), "1".to_owned()]).await
    }

    async fn dead_letter(&self, receipt: &Receipt, reason: &str) -> Result<(), QueueError> {
        self.settle(receipt, "keep a dead letter", &scripts::BURY, &[reason.to_owned()]).await
    }

    async fn depth(&self, lane: &Lane) -> Result<Depth, QueueError> {
        let make = || Call::Script(call(&scripts::DEPTH, lane));
        let (ready, delayed, leased, dead, oldest): (u64, u64, u64, u64, i64) =
            self.link.run(|| format!("measure lane {lane}"), make).await?;
        Ok(Depth {
            ready,
            delayed,
            leased: Some(leased),
            dead,
            oldest_ready: (oldest >= 0).then(|| from_millis(oldest)),
        })
    }

    async fn dead_letters(&self, lane: &Lane, limit: usize) -> Result<Vec<DeadLetter>, QueueError> {
        let mut range = cmd("XRANGE");
        range.arg(key(lane, "dead")).arg("-").arg("+").arg("COUNT").arg(limit);
        let doing = || format!("read the dead letters of lane {lane}");
        let letters: StreamRangeReply = self.link.run(doing, || Call::Command(range.clone())).await?;
        let letter = |entry: StreamId| {
            Some(DeadLetter {
                message_id: entry.get("id")?,
                body: entry.get("body")?,
                reason: entry.get("reason")?,
                attempts: entry.get("attempts")?,
            })
        };
        Ok(letters.ids.into_iter().filter_map(letter).collect())
    }

    async fn retry_dead(&self, lane: &Lane, message_id: &str) -> Result<bool, QueueError> {
        self.exhume(lane, message_id, true).await
    }

    async fn drop_dead(&self, lane: &Lane, message_id: &str) -> Result<bool, QueueError> {
        self.exhume(lane, message_id, false).await
    }

    async fn post(&self, notice: &Notice) -> Result<(), QueueError> {
        // By this machine's clock, which is good enough for days.
        let mut set = cmd("HSETNX");
        set.arg(&self.notices).arg(notice.to_string()).arg(now_s());
        let _: bool = self.link.run(|| "post a notice".to_owned(), || Call::Command(set.clone())).await?;
        Ok(())
    }

    async fn withdraw(&self, notice: &Notice) -> Result<(), QueueError> {
        self.remove_notices(&[notice.to_string()]).await
    }

    async fn notices(&self) -> Result<BTreeSet<Notice>, QueueError> {
        let mut get = cmd("HGETALL");
        get.arg(&self.notices);
        let all: HashMap<String, u64> =
            self.link.run(|| "read the notices".to_owned(), || Call::Command(get.clone())).await?;
        let (kept, old): (Vec<_>, Vec<_>) = all.into_iter().partition(|(text, posted)| is_current(text, *posted));
        if !old.is_empty() {
            self.remove_notices(&old.into_iter().map(|(text, _)| text).collect::<Vec<_>>()).await?;
        }
        // One of a newer Reelmill is for others to heed.
        Ok(kept.into_iter().filter_map(|(text, _)| text.parse().ok()).collect())
    }

    async fn emit(&self, body: &[u8]) -> Result<(), QueueError> {
        let make = || {
            let mut script = call(&scripts::EMIT, &self.intake);
            script.arg(body).arg(EVENTS_KEPT);
            Call::Script(script)
        };
        let _: String = self.link.run(|| "emit an event".to_owned(), make).await?;
        Ok(())
    }

    async fn events(&self, after: &Cursor, wait: Duration) -> Result<Events, QueueError> {
        let deadline = deadline(wait);
        let from = after.0.strip_prefix(CURSOR).filter(|id| is_entry_id(id)).unwrap_or("0-0");
        loop {
            let entries = self.read_after(from).await?;
            let left = deadline.saturating_duration_since(Instant::now());
            if let Some(last) = entries.last() {
                let next = Cursor(format!("{CURSOR}{}", last.id));
                return Ok(Events { bodies: entries.iter().filter_map(|e| e.get("body")).collect(), next });
            }
            if left.is_zero() {
                return Ok(Events { bodies: Vec::new(), next: after.clone() });
            }
            self.listen(&[Heard { bell: self.events.clone(), last: from.to_owned() }], left.min(EVENT_POLL)).await;
        }
    }
}

impl RedisQueue {
    async fn remove_notices(&self, texts: &[String]) -> Result<(), QueueError> {
        let mut remove = cmd("HDEL");
        remove.arg(&self.notices).arg(texts);
        let _: u64 = self.link.run(|| "withdraw a notice".to_owned(), || Call::Command(remove.clone())).await?;
        Ok(())
    }
}

/// Whether a notice that was posted then is still of use.
fn is_current(text: &str, posted_s: u64) -> bool {
    !matches!(text.parse(), Ok(Notice::Canceled(_))) || posted_s + CANCELED_MEMORY.as_secs() > now_s()
}

/// A priority as it stands in the keys.
fn name(priority: Priority) -> &'static str {
    match priority {
        Priority::High => "high",
        Priority::Normal => "normal",
        Priority::Low => "low",
    }
}

/// Whether `text` is the id of a stream's entry.
fn is_entry_id(text: &str) -> bool {
    text.split_once('-').is_some_and(|(ms, n)| ms.parse::<u64>().is_ok() && n.parse::<u64>().is_ok())
}
