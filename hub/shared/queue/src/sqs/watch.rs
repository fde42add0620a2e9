//! Waiting for messages: one long request for each queue that somebody waits on, which goes on from call to call, since
//! every request costs money. What it brings when nobody waits any more is given back.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;

use super::{
    claims::Moment,
    link::{BATCH, LONGEST_POLL_S, Link, pause},
    note::{Message, Note},
};

/// How long a message is hidden that a long request brought, counted from before the request.
const HIDDEN_S: i32 = LONGEST_POLL_S + 15;
/// How much of that is left to the server.
const MARGIN: Duration = Duration::from_secs(1);
/// How long a message waits for the next call before it is given back.
pub(super) const KEPT: Duration = Duration::from_millis(500);

/// A message that came, and is ours for a while.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) message: Message,
    /// A moment before it was received.
    pub(super) received: Moment,
    /// Until when it is surely ours.
    pub(super) until: Moment,
}

/// The queues that are being waited on.
pub(super) struct Watches {
    link: Arc<Link>,
    queues: Mutex<HashMap<String, Watch>>,
    waiting: AtomicUsize,
    /// Rings when a message came or a request failed.
    pub(super) bell: Notify,
}

enum Watch {
    /// A request is under way.
    Asking,
    /// It brought these.
    Brought(VecDeque<Found>),
}

/// Somebody who waits, for as long as this lives.
pub(super) struct Waiting<'a>(&'a Watches);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Watches {
    pub(super) fn new(link: Arc<Link>) -> Arc<Self> {
        Arc::new(Self { link, queues: Mutex::default(), waiting: AtomicUsize::new(0), bell: Notify::new() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Watch>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the caller among those who wait.
    pub(super) fn enter(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        Waiting(self)
    }

    /// Takes a message that came. If others wait as well, the next is asked for.
    pub(super) fn take(self: &Arc<Self>, queue: &str) -> Option<Found> {
        let mut queues = self.lock();
        let Some(Watch::Brought(brought)) = queues.get_mut(queue) else { return None };
        let found = brought.pop_front();
        if brought.is_empty() {
            queues.remove(queue);
            drop(queues);
            if self.waiting.load(Ordering::SeqCst) > 1 {
                self.start(queue);
            }
        }
        found
    }

    /// Whether a request is under way that gets what comes to this queue.
    pub(super) fn is_asking(&self, queue: &str) -> bool {
        matches!(self.lock().get(queue), Some(Watch::Asking))
    }

    /// How many messages came that nobody took yet.
    pub(super) fn brought(&self, queue: &str) -> u64 {
        match self.lock().get(queue) {
            Some(Watch::Brought(brought)) => brought.len() as u64,
            _ => 0,
        }
    }

    /// Waits on this queue, if nobody does.
    pub(super) fn start(self: &Arc<Self>, queue: &str) {
        let mut queues = self.lock();
        if !queues.contains_key(queue) {
            queues.insert(queue.to_owned(), Watch::Asking);
            tokio::spawn(self.clone().watch(queue.to_owned()));
        }
    }

    async fn watch(self: Arc<Self>, queue: String) {
        let begun = loop {
            let begun = Moment::now();
            let count = self.waiting.load(Ordering::SeqCst).clamp(1, BATCH);
            match self.link.receive(&queue, count, HIDDEN_S, LONGEST_POLL_S).await {
                // Nothing came, and somebody waits still.
                Ok(messages) if messages.is_empty() && self.waiting.load(Ordering::SeqCst) > 0 => {}
                Ok(messages) if !messages.is_empty() => {
                    let until = begun.after(Duration::from_secs(HIDDEN_S.unsigned_abs().into()) - MARGIN);
                    let found = |message| Found { message, received: begun, until };
                    self.lock().insert(queue.clone(), Watch::Brought(messages.into_iter().map(found).collect()));
                    break begun;
                }
                // Whoever waits looks then, and is told what is wrong.
                ended => {
                    if ended.is_err() {
                        pause().await;
                    }
                    self.lock().remove(&queue);
                    return self.bell.notify_waiters();
                }
            }
        };
        self.bell.notify_waiters();
        tokio::time::sleep(KEPT).await;
        for found in self.leftovers(&queue, begun) {
            give_back(&self.link, &queue, found).await;
        }
    }

    /// What nobody took of what came to a request that began then.
    fn leftovers(&self, queue: &str, begun: Moment) -> VecDeque<Found> {
        let mut queues = self.lock();
        match queues.get_mut(queue) {
            Some(Watch::Brought(brought)) if brought.front().is_some_and(|found| found.received == begun) => {
                let left = std::mem::take(brought);
                queues.remove(queue);
                left
            }
            _ => VecDeque::new(),
        }
    }
}

/// Puts a message back as if it had never been delivered: by a copy, since the server counts deliveries.
async fn give_back(link: &Link, queue: &str, found: Found) {
    if Moment::now() >= found.until {
        return;
    }
    let Message { note, text, handle, .. } = &found.message;
    let note = Note { attempts: found.message.attempt().saturating_sub(1), ..note.clone() };
    let done = match link.send(queue, text, &note, 0).await {
        Ok(()) => link.delete(queue, handle).await,
        Err(fault) => Err(fault),
    };
    if let Err(fault) = done {
        log::warn!("{}; it comes back by itself", link.failed(format_args!("give back a message of {queue}"), &fault));
    }
}
