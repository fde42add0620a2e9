//! The SQS driver: standard queues, one for each priority of a lane, one for its dead letters, and one each for a farm's
//! events and notices. The server hides what is leased; how a lease is kept beyond what the server can is in `claims.rs`
//! and `hold.rs`, what the queues are called in `names.rs`.

mod address;
mod claims;
mod dead;
mod events;
mod fault;
mod hold;
mod link;
mod names;
mod note;
mod notices;
mod seen;
mod watch;

use std::{collections::BTreeSet, pin::pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use reelmill_api::{AttemptNumber, Lane, Notice, Priority, QueueName};
use tokio::{
    sync::OwnedMutexGuard,
    time::{Instant, timeout_at},
};
use uuid::Uuid;

use crate::{
    Cursor, DeadLetter, Depth, Events, Leased, Limits, NewMessage, Published, Queue, QueueError, Readers, Receipt,
    time::deadline, turns::Turns,
};
use address::Address;
pub use address::with_keys;
use claims::{Claim, Hidden, Moment, seconds_of};
use fault::Fault;
use hold::Holder;
use link::{Link, Repeat, before};
use note::{LARGEST_BODY, LARGEST_TEXT, Message, Note, text_of};
use seen::Seen;
use watch::{Found, Watches};

/// The longest delay that SQS takes.
const LONGEST_DELAY: Duration = Duration::from_secs(900);
/// How long a lease that waits for nothing waits for a request that is under way.
const SETTLING: Duration = Duration::from_millis(300);
const PRIORITIES: [Priority; 3] = [Priority::High, Priority::Normal, Priority::Low];

/// A queue on an SQS server.
pub(crate) struct SqsQueue {
    link: Arc<Link>,
    watches: Arc<Watches>,
    holder: Arc<Holder>,
    turns: Turns,
    events: String,
    reader: events::Reader,
    board: notices::Board,
    seen: Seen,
}

/// A queue of a lane.
struct Place<'a> {
    lane: &'a Lane,
    priority: Priority,
    queue: String,
}

impl<'a> Place<'a> {
    fn new(lane: &'a Lane, priority: Priority) -> Self {
        Self { lane, priority, queue: names::ready(lane, priority) }
    }
}

impl SqsQueue {
    /// Connects to the server at `url`.
    pub(crate) async fn open(url: &str, farm: &QueueName) -> Result<Self, QueueError> {
        let link = Arc::new(Link::new(Address::parse(url, farm)?)?);
        let intake = farm.intake();
        let known = link.existing(&names::ready(&intake, Priority::Normal)).await;
        known.map_err(|fault| link.failed("connect to the queue", &fault))?;
        Ok(Self {
            watches: Watches::new(link.clone()),
            holder: Arc::new(Holder::new(&intake)),
            turns: Turns::default(),
            events: names::events(&intake),
            reader: events::Reader::default(),
            board: notices::Board::new(names::notices(&intake)),
            seen: Seen::default(),
            link,
        })
    }

    /// Takes a message from a queue that has one.
    async fn look(&self, place: &Place<'_>, lasting: Duration) -> Result<Option<Leased>, Fault> {
        if let Some(found) = self.watches.take(&place.queue) {
            return self.adopt(place, found, lasting).await;
        }
        if self.watches.is_asking(&place.queue) {
            return Ok(None);
        }
        let (received, hidden) = (Moment::now(), Hidden::lasting(lasting, self.link.address.longest));
        let message = self.link.receive(&place.queue, 1, hidden.told_s, 0).await?.into_iter().next();
        let until = received.after(hidden.believed);
        // An answer that took longer than the lease lasts is of no use; one that lasts for nothing was asked for so.
        let message = message.filter(|_| lasting.is_zero() || !until.left().is_zero());
        Ok(message.map(|message| self.leased(place, Found { message, received, until })))
    }

    /// Makes a lease of what a long request brought, if it is still ours.
    async fn adopt(&self, place: &Place<'_>, found: Found, lasting: Duration) -> Result<Option<Leased>, Fault> {
        let now = Moment::now();
        if now >= found.until {
            return Ok(None);
        }
        // It has been hidden for a moment already.
        let hidden = Hidden::lasting(lasting, self.link.address.longest.saturating_sub(watch::KEPT * 4));
        let hide = self.link.hide(&place.queue, &found.message.handle, hidden.told_s, Repeat::IfRefused);
        match before(found.until, hide).await {
            Ok(()) => {
                let until = now.after(hidden.believed);
                Ok(Some(self.leased(place, Found { until, ..found })))
            }
            Err(fault) if fault.is_no_delivery() => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    fn leased(&self, place: &Place<'_>, found: Found) -> Leased {
        let Found { message, received, until } = found;
        self.turns.taken(place.lane);
        let token = Uuid::new_v4().to_string();
        let leased = Leased {
            lane: place.lane.clone(),
            message_id: message.note.id.clone(),
            attempt: message.attempt(),
            body: message.body(),
            receipt: Receipt { lane: place.lane.clone(), token: token.clone() },
        };
        let (queue, priority) = (place.queue.clone(), place.priority);
        claims::keep(
            &token,
            Claim { queue, alone: false, priority, message, received, until, moved: false, settled: false },
        );
        leased
    }

    /// The claim of a receipt, for this caller alone.
    async fn claim(&self, receipt: &Receipt) -> Result<OwnedMutexGuard<Claim>, QueueError> {
        let lost = || QueueError::LeaseLost { lane: receipt.lane.clone() };
        let claim = claims::find(&receipt.token).ok_or_else(lost)?.lock_owned().await;
        if claim.holds() { Ok(claim) } else { Err(lost()) }
    }

    /// Ends a lease, if what was to end it is done.
    async fn settle(
        &self,
        receipt: &Receipt,
        doing: &str,
        claim: &mut Claim,
        done: Result<(), Fault>,
    ) -> Result<(), QueueError> {
        match done {
            Ok(()) => {
                claim.settled = true;
                hold::remove_queue(&self.link, claim).await;
                Ok(())
            }
            Err(fault) if fault.is_no_delivery() => {
                claim.settled = true;
                Err(QueueError::LeaseLost { lane: receipt.lane.clone() })
            }
            Err(fault) => Err(self.link.failed(format_args!("{doing} on lane {}", receipt.lane), &fault)),
        }
    }

    /// Puts a copy of a message back on its lane, with so many attempts counted, and then removes it where it lay: so it
    /// lies somewhere at any moment.
    async fn put_back(
        &self,
        lane: &Lane,
        claim: &mut Claim,
        attempts: AttemptNumber,
        delay_s: i32,
    ) -> Result<(), Fault> {
        let note = Note { attempts, lane: None, priority: None, reason: None, ..claim.message.note.clone() };
        if !claim.moved {
            self.link.send(&names::ready(lane, claim.priority), &claim.message.text, &note, delay_s).await?;
            claim.moved = true;
        }
        self.remove(claim).await
    }

    /// Removes a dead letter and the copies of it that a lost answer left.
    async fn remove_letters(&self, queue: &str, letters: &[Message]) -> Result<(), Fault> {
        for letter in letters {
            self.link.delete(queue, &letter.handle).await?;
        }
        Ok(())
    }

    async fn remove(&self, claim: &Claim) -> Result<(), Fault> {
        before(claim.until, self.link.delete(&claim.queue, &claim.message.handle)).await
    }
}

#[async_trait]
impl Queue for SqsQueue {
    fn limits(&self) -> Limits {
        Limits {
            tick: Duration::from_secs(1),
            // A message that a long request brought to a worker that died.
            grace: Duration::from_secs(36),
            longest_hold: Some(self.link.address.longest),
            longest_delay: LONGEST_DELAY,
            largest_body: LARGEST_BODY,
            keeps_order: false,
            may_double: true,
            tells_age: false,
            dedupes_for_all: false,
            readers: Readers::One,
            ..Limits::NONE
        }
    }

    async fn publish(&self, lane: &Lane, message: &NewMessage) -> Result<Published, QueueError> {
        let doing = || format!("publish to lane {lane}");
        let key = message.dedupe_key.clone().map(|key| (lane.clone(), key));
        if key.as_ref().is_some_and(|key| self.seen.has(key)) {
            return Ok(Published::Duplicate);
        }
        let (text, base64) = text_of(&message.body);
        if text.len() > LARGEST_TEXT {
            let cause = format!("its {} bytes are more than SQS takes, {LARGEST_BODY}", message.body.len());
            return Err(QueueError::Failed { doing: doing(), at: self.link.to_string(), cause });
        }
        let note = Note { id: Uuid::now_v7().to_string(), base64, ..Note::default() };
        let delay_s = seconds_of(message.delay.min(LONGEST_DELAY));
        let sent = self.link.send(&names::ready(lane, message.priority), &text, &note, delay_s).await;
        sent.map_err(|fault| self.link.failed(doing(), &fault))?;
        if let Some(key) = key {
            self.seen.remember(key);
        }
        Ok(Published::Stored)
    }

    async fn lease(&self, lanes: &[Lane], lasting: Duration, wait: Duration) -> Result<Option<Leased>, QueueError> {
        let deadline = deadline(wait);
        let _waiting = self.watches.enter();
        let mut settling = wait.is_zero();
        loop {
            let mut bell = pin!(self.watches.bell.notified());
            bell.as_mut().enable();
            let places: Vec<_> = lanes
                .iter()
                .flat_map(|lane| self.turns.next(lane).map(|priority| Place::new(lane, priority)))
                .collect();
            for place in &places {
                let looked = self.look(place, lasting).await;
                let looked =
                    looked.map_err(|f| self.link.failed(format_args!("lease from lane {}", place.lane), &f))?;
                if looked.is_some() {
                    return Ok(looked);
                }
            }
            if std::mem::take(&mut settling) && places.iter().any(|place| self.watches.is_asking(&place.queue)) {
                // Whether it rings or not, there is one more look.
                let _ = timeout_at(Instant::now() + SETTLING, bell).await;
                continue;
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            places.iter().for_each(|place| self.watches.start(&place.queue));
            self.holder.sweep(&self.link).await;
            // The look that follows says what there is.
            let _ = timeout_at(deadline.min(Instant::now() + hold::room(&self.link)), bell).await;
        }
    }

    async fn extend(&self, receipt: &Receipt, lasting: Duration) -> Result<(), QueueError> {
        let mut claim = self.claim(receipt).await?;
        let claim = &mut *claim;
        if Holder::must_move(&self.link, claim, lasting) {
            match self.holder.move_away(&self.link, &receipt.lane, claim, lasting).await {
                Ok(()) => return Ok(()),
                Err(fault) => log::warn!("{}", self.link.failed("hold a long job's task for longer", &fault)),
            }
        }
        let (now, longest) = (Moment::now(), claim.received.after(self.link.address.longest).left());
        let hidden = Hidden::lasting(lasting, longest);
        let hide = self.link.hide(&claim.queue, &claim.message.handle, hidden.told_s, Repeat::Freely);
        match before(claim.until, hide).await {
            Ok(()) => {
                claim.until = now.after(hidden.believed);
                Ok(())
            }
            failed => self.settle(receipt, "extend a lease", claim, failed).await,
        }
    }

    async fn ack(&self, receipt: &Receipt) -> Result<(), QueueError> {
        let mut claim = self.claim(receipt).await?;
        let done = self.remove(&claim).await;
        self.settle(receipt, "acknowledge a message", &mut claim, done).await
    }

    async fn retry_after(&self, receipt: &Receipt, delay: Duration) -> Result<(), QueueError> {
        let mut claim = self.claim(receipt).await?;
        let delay_s = seconds_of(delay.min(LONGEST_DELAY));
        let done = if delay_s == 0 && !claim.alone && !claim.moved {
            before(claim.until, self.link.hide(&claim.queue, &claim.message.handle, 0, Repeat::IfRefused)).await
        } else {
            let attempts = claim.message.attempt();
            self.put_back(&receipt.lane, &mut claim, attempts, delay_s).await
        };
        self.settle(receipt, "put back a message", &mut claim, done).await
    }

    async fn hand_back(&self, receipt: &Receipt) -> Result<(), QueueError> {
        let mut claim = self.claim(receipt).await?;
        let attempts = claim.message.attempt().saturating_sub(1);
        let done = self.put_back(&receipt.lane, &mut claim, attempts, 0).await;
        self.settle(receipt, "hand back a message", &mut claim, done).await
    }

    async fn dead_letter(&self, receipt: &Receipt, reason: &str) -> Result<(), QueueError> {
        let mut claim = self.claim(receipt).await?;
        let buried = match claim.moved {
            true => Ok(()),
            false => dead::bury(&self.link, &names::dead(&receipt.lane), &claim, reason).await,
        };
        claim.moved = buried.is_ok();
        let done = match buried {
            Ok(()) => self.remove(&claim).await,
            failed => failed,
        };
        self.settle(receipt, "keep a dead letter", &mut claim, done).await
    }

    async fn depth(&self, lane: &Lane) -> Result<Depth, QueueError> {
        let failed = |fault| self.link.failed(format_args!("measure lane {lane}"), &fault);
        let (mut depth, mut leased) = (Depth::default(), 0);
        for priority in PRIORITIES {
            let queue = names::ready(lane, priority);
            let counts = self.link.count(&queue).await.map_err(failed)?;
            // What came here and nobody took yet waits still.
            let brought = self.watches.brought(&queue).min(counts.delivered);
            depth.ready += counts.ready + brought;
            depth.delayed += counts.delayed;
            leased += counts.delivered - brought;
        }
        let dead = self.link.count(&names::dead(lane)).await.map_err(failed)?;
        Ok(Depth { leased: Some(leased), dead: dead.ready + dead.delivered, ..depth })
    }

    async fn dead_letters(&self, lane: &Lane, limit: usize) -> Result<Vec<DeadLetter>, QueueError> {
        let listed = dead::list(&self.link, &names::dead(lane), limit).await;
        listed.map_err(|fault| self.link.failed(format_args!("read the dead letters of lane {lane}"), &fault))
    }

    async fn retry_dead(&self, lane: &Lane, message_id: &str) -> Result<bool, QueueError> {
        let failed = |fault| self.link.failed(format_args!("retry a dead letter of lane {lane}"), &fault);
        let dead = names::dead(lane);
        let letters = dead::find(&self.link, &dead, message_id).await.map_err(failed)?;
        let Some(Message { note, text, .. }) = letters.first() else { return Ok(false) };
        let priority = note.priority.unwrap_or(Priority::Normal);
        let note = Note { attempts: 0, priority: None, lane: None, reason: None, ..note.clone() };
        self.link.send(&names::ready(lane, priority), text, &note, 0).await.map_err(failed)?;
        self.remove_letters(&dead, &letters).await.map_err(failed)?;
        Ok(true)
    }

    async fn drop_dead(&self, lane: &Lane, message_id: &str) -> Result<bool, QueueError> {
        let failed = |fault| self.link.failed(format_args!("drop a dead letter of lane {lane}"), &fault);
        let dead = names::dead(lane);
        let letters = dead::find(&self.link, &dead, message_id).await.map_err(failed)?;
        self.remove_letters(&dead, &letters).await.map_err(failed)?;
        Ok(!letters.is_empty())
    }

    async fn post(&self, notice: &Notice) -> Result<(), QueueError> {
        self.board.post(&self.link, notice).await.map_err(|fault| self.link.failed("post a notice", &fault))
    }

    async fn withdraw(&self, notice: &Notice) -> Result<(), QueueError> {
        self.board.withdraw(&self.link, notice).await.map_err(|fault| self.link.failed("withdraw a notice", &fault))
    }

    async fn notices(&self) -> Result<BTreeSet<Notice>, QueueError> {
        self.board.all(&self.link).await.map_err(|fault| self.link.failed("read the notices", &fault))
    }

    async fn emit(&self, body: &[u8]) -> Result<(), QueueError> {
        let (text, base64) = text_of(body);
        let note = Note { id: Uuid::now_v7().to_string(), base64, ..Note::default() };
        let sent = self.link.send(&self.events, &text, &note, 0).await;
        sent.map_err(|fault| self.link.failed("emit an event", &fault))
    }

    async fn events(&self, after: &Cursor, wait: Duration) -> Result<Events, QueueError> {
        let read = self.reader.read(&self.link, &self.events, after, wait).await;
        read.map_err(|fault| self.link.failed("read events", &fault))
    }
}
