//! The embedded driver: a SQLite file that many processes of one machine share. Its clock is the machine's.

mod bell;
mod events;
mod file;
mod messages;
mod notices;

use std::{
    collections::{BTreeSet, HashSet},
    sync::Mutex,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use reelmill_api::{Lane, Notice, QueueName};
use sqlx::{Connection as _, Sqlite, Transaction};
use tokio::time::Instant;

use crate::{
    Cursor, DeadLetter, Depth, Events, Leased, Limits, NewMessage, Published, Queue, QueueError, Receipt,
    time::deadline, turns::Turns,
};

pub use file::sqlite_url;

/// How often a waiting call looks again, should time alone have made something ready.
const POLL: Duration = Duration::from_millis(50);
/// How long after a look it looks again at the soonest; and how often it looks whether the bell was rung where the kernel does
/// not tell.
const GLANCE: Duration = Duration::from_millis(8);

/// A queue in a SQLite file.
pub(crate) struct SqliteQueue {
    file: file::File,
    at: String,
    farm: QueueName,
    turns: Turns,
    /// Lanes on which the last look found something.
    lively: Mutex<HashSet<Lane>>,
    emitted: std::sync::atomic::AtomicU64,
}

impl SqliteQueue {
    /// Opens the queue at `url` (`sqlite:...`).
    pub(crate) async fn open(url: &str, farm: &QueueName) -> Result<Self, QueueError> {
        let path = file::path_of(url)?;
        let file = file::open(&path).await?;
        let (at, farm, turns, lively) = (sqlite_url(&path), farm.clone(), Turns::default(), Mutex::default());
        Ok(Self { file, at, farm, turns, lively, emitted: 0.into() })
    }

    fn failed(&self, doing: impl Into<String>) -> impl FnOnce(sqlx::Error) -> QueueError {
        let (doing, at) = (doing.into(), self.at.clone());
        move |e| QueueError::Failed { doing, at, cause: e.to_string() }
    }
}

/// Begins a write: from here on nobody else writes, and the time that comes with it is not older than theirs.
async fn begin(writers: &mut file::Writers) -> Result<(Transaction<'_, Sqlite>, i64), sqlx::Error> {
    let tx = writers.lasting().await?.begin_with("BEGIN IMMEDIATE").await?;
    Ok((tx, now_ms()))
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn now_ms() -> i64 {
    i64::try_from(since_epoch().as_millis()).unwrap_or(i64::MAX)
}

fn now_us() -> i64 {
    i64::try_from(since_epoch().as_micros()).unwrap_or(i64::MAX)
}

impl SqliteQueue {
    /// Whether a waiting call should look again, and waits until then: until the bell was rung after `last`, or the time has
    /// come. The last look is at the deadline itself.
    async fn look_again(&self, deadline: Instant, last: Option<SystemTime>) -> bool {
        let (now, bell) = (Instant::now(), &self.file.bell);
        if now >= deadline {
            return false;
        }
        let (soonest, latest) = (deadline.min(now + GLANCE), deadline.min(now + POLL));
        // Of what another was told here, the file itself tells.
        while Instant::now() < latest && bell.last() == last {
            tokio::select! {
                rang = bell.rung() => match rang {
                    Some(true) => break,
                    Some(false) => {}
                    None => tokio::time::sleep_until(latest.min(Instant::now() + GLANCE)).await,
                },
                () = tokio::time::sleep_until(latest) => {}
            }
        }
        tokio::time::sleep_until(soonest).await;
        true
    }
}

#[async_trait]
impl Queue for SqliteQueue {
    fn limits(&self) -> Limits {
        // SQLite's own limit on a value.
        Limits { largest_body: 1_000_000_000, ..Limits::NONE }
    }

    async fn publish(&self, lane: &Lane, message: &NewMessage) -> Result<Published, QueueError> {
        self.insert(lane, message).await.map_err(self.failed(format!("publish to lane {lane}")))
    }

    async fn lease(&self, lanes: &[Lane], lasting: Duration, wait: Duration) -> Result<Option<Leased>, QueueError> {
        let deadline = deadline(wait);
        loop {
            let last = self.file.bell.before_a_look();
            for lane in lanes {
                let claimed = self.claim(lane, lasting).await;
                if let Some(leased) = claimed.map_err(self.failed(format!("lease from lane {lane}")))? {
                    return Ok(Some(leased));
                }
            }
            if !self.look_again(deadline, last).await {
                return Ok(None);
            }
        }
    }

    async fn extend(&self, receipt: &Receipt, lasting: Duration) -> Result<(), QueueError> {
        let done = self.prolong(receipt, lasting).await;
        self.held(receipt, "extend a lease", done)
    }

    async fn ack(&self, receipt: &Receipt) -> Result<(), QueueError> {
        let done = self.remove(receipt).await;
        self.held(receipt, "acknowledge a message", done)
    }

    async fn retry_after(&self, receipt: &Receipt, delay: Duration) -> Result<(), QueueError> {
        let done = self.give_back(receipt, delay, 0).await;
        self.held(receipt, "put back a message", done)
    }

    async fn hand_back(&self, receipt: &Receipt) -> Result<(), QueueError> {
        let done = self.give_back(receipt, Duration::ZERO, 1).await;
        self.held(receipt, "hand back a message", done)
    }

    async fn dead_letter(&self, receipt: &Receipt, reason: &str) -> Result<(), QueueError> {
        let done = self.bury(receipt, reason).await;
        self.held(receipt, "keep a dead letter", done)
    }

    async fn depth(&self, lane: &Lane) -> Result<Depth, QueueError> {
        self.count(lane).await.map_err(self.failed(format!("measure lane {lane}")))
    }

    async fn dead_letters(&self, lane: &Lane, limit: usize) -> Result<Vec<DeadLetter>, QueueError> {
        self.buried(lane, limit).await.map_err(self.failed(format!("read the dead letters of lane {lane}")))
    }

    async fn retry_dead(&self, lane: &Lane, message_id: &str) -> Result<bool, QueueError> {
        self.revive(lane, message_id).await.map_err(self.failed(format!("retry a dead letter of lane {lane}")))
    }

    async fn drop_dead(&self, lane: &Lane, message_id: &str) -> Result<bool, QueueError> {
        self.discard(lane, message_id).await.map_err(self.failed(format!("drop a dead letter of lane {lane}")))
    }

    async fn post(&self, notice: &Notice) -> Result<(), QueueError> {
        self.put_up(notice).await.map_err(self.failed("post a notice"))
    }

    async fn withdraw(&self, notice: &Notice) -> Result<(), QueueError> {
        self.take_down(notice).await.map_err(self.failed("withdraw a notice"))
    }

    async fn notices(&self) -> Result<BTreeSet<Notice>, QueueError> {
        self.read_notices().await.map_err(self.failed("read the notices"))
    }

    async fn emit(&self, body: &[u8]) -> Result<(), QueueError> {
        self.append_event(body).await.map_err(self.failed("emit an event"))
    }

    async fn events(&self, after: &Cursor, wait: Duration) -> Result<Events, QueueError> {
        let deadline = deadline(wait);
        loop {
            let last = self.file.bell.before_a_look();
            let events = self.read_events(after).await.map_err(self.failed("read events"))?;
            if !events.bodies.is_empty() || !self.look_again(deadline, last).await {
                return Ok(events);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// A limit on the file's size, which is a connection's own.
    const FULL: &str = "PRAGMA max_page_count = 40";

    /// Says this to both connections that write.
    async fn tell(queue: &SqliteQueue, pragma: &'static str) {
        let mut writers = queue.file.writers().await.expect("nobody writes");
        let writers = &mut *writers;
        // After an error it may be another one.
        writers.lasting().await.expect("it can be had");
        for writer in [&mut writers.lasting, &mut writers.fleeting] {
            sqlx::raw_sql(pragma).execute(writer).await.expect("a pragma");
        }
    }

    #[tokio::test]
    async fn a_full_file_takes_nothing_new_and_loses_nothing() {
        let folder = TempDir::new().expect("a temporary folder");
        let url = sqlite_url(&folder.path().join("q.sqlite"));
        let queue = SqliteQueue::open(&url, &QueueName::default()).await.expect("a new file");
        let lane = QueueName::default().intake();
        let lanes = std::slice::from_ref(&lane);
        let message = |body: Vec<u8>| NewMessage {
            body,
            priority: reelmill_api::Priority::Normal,
            delay: Duration::ZERO,
            dedupe_key: None,
        };
        let hour = Duration::from_secs(3600);
        let mut held = Vec::new();
        for _ in 0..3 {
            queue.publish(&lane, &message(b"held".to_vec())).await.expect("there is room");
            held.push(queue.lease(lanes, hour, Duration::ZERO).await.expect("an answer").expect("a message").receipt);
        }
        tell(&queue, FULL).await;
        let mut stored = 0;
        while queue.publish(&lane, &message(vec![0; 4096])).await.is_ok() {
            stored += 1;
            assert!(stored < 100, "it is never full");
        }
        // And again, for the same reason.
        for _ in 0..2 {
            tell(&queue, FULL).await;
            let error = queue.publish(&lane, &message(vec![0; 4096])).await.expect_err("there is no room");
            let told = error.to_string();
            assert!(told.starts_with("cannot publish to lane reelmill at sqlite:") && told.contains("full"), "{told}");
            assert!(error.hint().is_some_and(|hint| hint.contains("is the disk full")), "{error:?}");
        }
        // What needs no room goes on.
        tell(&queue, FULL).await;
        queue.extend(&held[0], hour).await.expect("ours");
        queue.retry_after(&held[1], hour).await.expect("ours");
        queue.ack(&held[2]).await.expect("ours");
        let depth = queue.depth(&lane).await.expect("a depth");
        assert_eq!((depth.ready, depth.delayed, depth.leased), (stored, 1, Some(1)));

        tell(&queue, "PRAGMA max_page_count = 1000000").await;
        queue.publish(&lane, &message(b"new".to_vec())).await.expect("there is room");
        queue.ack(&held[0]).await.expect("still ours");
        for _ in 0..=stored {
            let leased = queue.lease(lanes, hour, Duration::ZERO).await.expect("an answer").expect("a message");
            queue.ack(&leased.receipt).await.expect("ours");
        }
        let depth = queue.depth(&lane).await.expect("a depth");
        assert_eq!((depth.ready, depth.delayed, depth.leased), (0, 1, Some(0)));
    }
}
