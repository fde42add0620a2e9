//! Keeping the index: one task per connection that reads what is stored, and reads all of it again whenever it may have
//! missed something.
//!
//! Times are the server's, but no clock is compared while the watch runs: what is stored now lasts from now. Only for what
//! was stored before does the watch ask the server's clock, by a record that it writes itself.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_nats::jetstream::{
    Message,
    consumer::{Consumer, DeliverPolicy, push},
    message::StreamMessage,
};
use futures::StreamExt as _;
use reelmill_api::{Lane, Notice};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, timeout},
};
use uuid::Uuid;

use super::{
    index::Index,
    link::{CALL, Link, Which, jittered},
    names::{About, DELAY, Names},
    notices::Board,
    record::{Nanos, Record, State},
    streams,
    sweep::Trash,
};
use crate::{QueueError, time::from_millis};

/// The wait before all is read again after something went wrong, of which a random half is taken off.
const PAUSE: Duration = Duration::from_millis(400);
/// How often a load asks whether anything is left, should the last message have been removed meanwhile.
const ASK: Duration = Duration::from_millis(500);
/// How long a wait for news lasts before it asks again.
const NEWS: Duration = Duration::from_millis(500);

/// What is known, and news of it.
pub(super) struct Watch {
    pub(super) link: Link,
    pub(super) names: Names,
    known: Mutex<Known>,
    /// Rings when anything changed.
    pub(super) news: Notify,
    phase: watch::Sender<Phase>,
    /// Has everything read again.
    again: Notify,
    tasks_read: AtomicU64,
    state_read: AtomicU64,
}

/// Everything that is kept of the streams.
#[derive(Default)]
pub(super) struct Known {
    pub(super) index: Index,
    pub(super) board: Board,
    pub(super) trash: Trash,
    /// The lanes that strangers can publish to.
    pub(super) opened: HashSet<Lane>,
    /// What the server's clock showed then.
    clock: Option<(Instant, Nanos)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Loading,
    Live,
    /// It went wrong, and is tried again.
    Failed(String),
}

type Feed = push::Ordered;

impl Watch {
    pub(super) fn new(link: Link, names: Names) -> Self {
        let (phase, _) = watch::channel(Phase::Loading);
        let (tasks_read, state_read) = (AtomicU64::new(0), AtomicU64::new(0));
        let (news, again) = (Notify::new(), Notify::new());
        Self { link, names, known: Mutex::default(), news, phase, again, tasks_read, state_read }
    }

    /// Has everything read again: what is known is not what the server has.
    pub(super) fn read_again(&self) {
        self.again.notify_one();
    }

    /// What is known; never to be held over an await.
    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server's clock, or this machine's before it was asked.
    pub(super) fn clock(&self) -> Nanos {
        match self.known().clock {
            Some((then, shown)) => shown.saturating_add(nanos(then.elapsed())),
            None => crate::time::now_s().saturating_mul(1_000_000_000),
        }
    }

    /// Waits until the index is whole: as long as a call may take, and longer while there is still more coming.
    pub(super) async fn live(&self, doing: &(impl Fn() -> String + Sync)) -> Result<(), QueueError> {
        let mut phase = self.phase.subscribe();
        let mut read = self.read();
        loop {
            let waited = timeout(CALL, phase.wait_for(|phase| *phase == Phase::Live)).await;
            if waited.is_ok_and(|phase| phase.is_ok()) {
                return Ok(());
            }
            let more = self.read();
            if *self.phase.borrow() != Phase::Loading || more == read {
                break;
            }
            read = more;
        }
        let cause = match self.phase.borrow().clone() {
            Phase::Failed(cause) => cause,
            Phase::Loading | Phase::Live => {
                format!("the server did not tell what lies on the lanes within {} s", CALL.as_secs())
            }
        };
        Err(self.link.failed(doing(), &cause))
    }

    /// How far the streams were read.
    fn read(&self) -> (u64, u64) {
        (self.tasks_read.load(Ordering::SeqCst), self.state_read.load(Ordering::SeqCst))
    }

    pub(super) fn is_live(&self) -> bool {
        *self.phase.borrow() == Phase::Live
    }

    /// Waits until everything is known that was stored before this call.
    pub(super) async fn catch_up(&self, doing: &(impl Fn() -> String + Sync)) -> Result<(), QueueError> {
        tokio::try_join!(
            self.catch_up_with(doing, &self.names.tasks, &self.tasks_read),
            self.catch_up_with(doing, &self.names.state, &self.state_read),
        )?;
        Ok(())
    }

    async fn catch_up_with(
        &self,
        doing: &(impl Fn() -> String + Sync),
        stream: &str,
        read: &AtomicU64,
    ) -> Result<(), QueueError> {
        loop {
            self.live(doing).await?;
            let from = Which::NextFrom(read.load(Ordering::SeqCst) + 1);
            let Some(next) = self.link.read(doing, stream, &from).await? else { return Ok(()) };
            while read.load(Ordering::SeqCst) < next.sequence {
                let news = self.news.notified();
                if read.load(Ordering::SeqCst) >= next.sequence {
                    break;
                }
                if timeout(NEWS, news).await.is_err() {
                    break;
                }
            }
        }
    }

    /// Keeps the index until the task is aborted.
    pub(super) async fn keep(self: Arc<Self>) {
        loop {
            let why = match self.follow().await {
                Ok(()) => "the connection was lost, or another server is there".to_owned(),
                Err(e) => e.to_string(),
            };
            log::debug!("{}: reading the lanes again: {why}", self.link);
            self.phase.send_replace(Phase::Failed(why));
            self.news.notify_waiters();
            tokio::time::sleep(jittered(PAUSE)).await;
        }
    }

    /// Reads everything, then follows; ends when something may have been missed.
    async fn follow(&self) -> Result<(), QueueError> {
        let mut losses = self.link.losses();
        losses.mark_unchanged();
        let reading = async {
            streams::ensure(&self.link, &self.names).await?;
            let (mut tasks, mut state) =
                tokio::try_join!(self.feed(&self.names.tasks, true), self.feed(&self.names.state, false))?;
            self.load(&mut tasks, &mut state).await?;
            self.phase.send_replace(Phase::Live);
            self.news.notify_waiters();
            loop {
                let told = tokio::select! {
                    message = tasks.next() => self.hear_task(message, Duration::ZERO),
                    message = state.next() => self.hear_state(message),
                };
                if let Err(why) = told {
                    return Err(self.link.failed("follow the lanes".to_owned(), &why));
                }
                self.news.notify_waiters();
            }
        };
        tokio::select! {
            ended = reading => ended,
            _ = losses.changed() => Ok(()),
            () = self.again.notified() => Ok(()),
        }
    }

    async fn feed(&self, stream: &str, headers_only: bool) -> Result<Feed, QueueError> {
        let failed = |cause: String| self.link.failed(format!("follow the stream {stream}"), &cause);
        let config = push::OrderedConfig {
            deliver_subject: self.link.client().new_inbox(),
            deliver_policy: DeliverPolicy::All,
            headers_only,
            ..Default::default()
        };
        let consumer: Result<Consumer<push::OrderedConfig>, _> =
            self.link.jetstream().create_consumer_on_stream(config, stream).await;
        let consumer = consumer.map_err(|e| failed(e.to_string()))?;
        consumer.messages().await.map_err(|e| failed(e.to_string()))
    }

    /// Reads everything that was there before. The states come first, with the server's clock at their end, then the
    /// bodies, whose delays need that clock.
    async fn load(&self, tasks: &mut Feed, state: &mut Feed) -> Result<(), QueueError> {
        self.phase.send_replace(Phase::Loading);
        *self.known() = Known::default();
        self.tasks_read.store(0, Ordering::SeqCst);
        self.state_read.store(0, Ordering::SeqCst);
        let failed = |why: String| self.link.failed("read the lanes".to_owned(), &why);

        let name = Uuid::new_v4().to_string();
        self.ask_clock(&name).await;
        let (mut before, mut marker) = (Vec::new(), None);
        while self.has_more(&self.names.state, &self.state_read).await? {
            while let Ok(message) = timeout(ASK, state.next()).await {
                let message = message.ok_or_else(|| failed("the feed ended".to_owned()))?;
                let message = message.map_err(|e| failed(e.to_string()))?;
                let (number, stored, pending) = told(&message).map_err(failed)?;
                match self.names.read_state(&message.subject) {
                    About::Clock(clock) if clock == name => marker = Some((number, stored)),
                    _ => before.push(message),
                }
                self.state_read.store(number, Ordering::SeqCst);
                if pending == 0 {
                    break;
                }
            }
        }
        self.known().clock = marker.map(|(_, shown)| (Instant::now(), shown));
        for message in before {
            let (_, stored, _) = told(&message).map_err(failed)?;
            // What is there already is never news.
            let ago = self.clock().saturating_sub(stored).max(1);
            self.take_state(&message, Duration::from_nanos(ago)).map_err(failed)?;
        }
        if let Some((number, _)) = marker {
            self.link.remove(|| "ask the server's clock".to_owned(), &self.names.state, number).await?;
        }
        self.load_tasks(tasks).await?;
        let mut known = self.known();
        // Every record is of a body that was stored before it, and all those were seen by now.
        let ghosts = known.index.exorcise();
        ghosts.into_iter().for_each(|version| known.trash.found_record(Instant::now(), Duration::ZERO, version));
        Ok(())
    }

    /// Stores a record to see when the server does that. One that is full stores nothing; then this machine's clock must
    /// do.
    async fn ask_clock(&self, name: &str) {
        let doing = || "ask the server's clock".to_owned();
        let asked = self.link.replace(doing, &self.names.clock(name), 0, Vec::new()).await;
        if let Err(e) = asked {
            log::debug!("{e}: this machine's clock serves instead");
        }
    }

    /// Whether there is anything after what was read.
    async fn has_more(&self, stream: &str, read: &AtomicU64) -> Result<bool, QueueError> {
        let from = Which::NextFrom(read.load(Ordering::SeqCst) + 1);
        Ok(self.link.read(|| "read the lanes".to_owned(), stream, &from).await?.is_some())
    }

    async fn load_tasks(&self, tasks: &mut Feed) -> Result<(), QueueError> {
        while self.has_more(&self.names.tasks, &self.tasks_read).await? {
            while let Ok(message) = timeout(ASK, tasks.next()).await {
                let last = self.hear_task(message, Duration::MAX);
                if last.map_err(|why| self.link.failed("read the lanes".to_owned(), &why))? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Takes in a body's headers; whether it was the last for now. `longest_ago` bounds how long ago it may have been
    /// stored.
    fn hear_task(
        &self,
        message: Option<Result<Message, push::OrderedError>>,
        longest_ago: Duration,
    ) -> Result<bool, String> {
        let message = message.ok_or("the feed ended")?.map_err(|e| e.to_string())?;
        let (number, stored, pending) = told(&message)?;
        if let Some((lane, priority)) = self.names.read_task(&message.subject) {
            let ago = Duration::from_nanos(self.clock().saturating_sub(stored)).min(longest_ago);
            let record = Record::fresh(stored, priority, delay(&message));
            self.known().index.arrived(number, lane, record, ago, Instant::now());
        }
        self.tasks_read.store(number, Ordering::SeqCst);
        Ok(pending == 0)
    }

    fn hear_state(&self, message: Option<Result<Message, push::OrderedError>>) -> Result<bool, String> {
        let message = message.ok_or("the feed ended")?.map_err(|e| e.to_string())?;
        let (number, _, pending) = told(&message)?;
        self.take_state(&message, Duration::ZERO)?;
        self.state_read.store(number, Ordering::SeqCst);
        Ok(pending == 0)
    }

    fn take_state(&self, message: &Message, ago: Duration) -> Result<(), String> {
        let (version, stored, _) = told(message)?;
        let now = Instant::now();
        let mut known = self.known();
        match self.names.read_state(&message.subject) {
            About::Lease(lane, number) => {
                let Some(record) = Record::parse(&message.payload) else {
                    known.index.hide(number, version);
                    return Ok(());
                };
                match record.state {
                    // What is found done when everything is read may have been left behind by one who died.
                    State::Done if !ago.is_zero() => known.trash.found(now, ago, (number, record.born), version),
                    State::Done => known.trash.heard(now, number, version),
                    State::Ready | State::Delayed | State::Leased | State::Dead => {}
                }
                known.index.changed(number, lane, version, record, ago, now);
            }
            About::Notice(notice) => self.take_notice(&mut known, notice, message, version, stored),
            About::Clock(_) if !ago.is_zero() => known.trash.found_record(now, ago, version),
            About::Clock(_) | About::Other => {}
        }
        Ok(())
    }

    fn take_notice(&self, known: &mut Known, notice: Notice, message: &Message, version: u64, stored: Nanos) {
        known.board.heard(notice, version, stored, super::notices::is_up(&message.payload));
    }
}

/// The number of a message in its stream, when the server stored it, and how many more there are.
fn told(message: &Message) -> Result<(u64, Nanos, u64), String> {
    let info = message.info().map_err(|e| e.to_string())?;
    let stored = Nanos::try_from(info.published.unix_timestamp_nanos()).unwrap_or(0);
    Ok((info.stream_sequence, stored, info.pending))
}

/// The delay with which it was published. A stranger's nonsense is none.
fn delay(message: &Message) -> Duration {
    let header = message.headers.as_ref().and_then(|headers| headers.get(DELAY));
    header.and_then(|ms| ms.as_str().parse().ok()).map_or(Duration::ZERO, from_millis)
}

/// When the server stored a message.
pub(super) fn stored(message: &StreamMessage) -> Nanos {
    Nanos::try_from(message.time.unix_timestamp_nanos()).unwrap_or(0)
}

/// `duration` in nanoseconds, as far as they can be counted.
pub(super) fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}
