//! Follows the queue's events and keeps the jobs up to date.

use std::time::Duration;

use reelmill_api::Event;
use reelmill_queue::{Cursor, SharedQueue};
use tokio_util::sync::CancellationToken;

use crate::{backoff::Backoff, clock, db::Db, feed::Feed};

/// How long one read of events waits for the first.
const WAIT: Duration = Duration::from_secs(5);

/// What the follower needs.
#[derive(Clone)]
pub struct Follower {
    /// Where events come from.
    pub queue: SharedQueue,
    /// Where they are applied.
    pub db: Db,
    /// Who is told.
    pub feed: Feed,
}

impl Follower {
    /// Follows until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let mut backoff = Backoff::new();
        while !stop.is_cancelled() {
            let step = tokio::select! {
                () = stop.cancelled() => return,
                step = self.step(WAIT) => step,
            };
            let Err(e) = step else {
                backoff.reset();
                continue;
            };
            let wait = backoff.failed("cannot follow the queue's events", &e);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Reads and applies what came after the stored cursor. Dropping it at any point is harmless: cursor and jobs
    /// change in one transaction.
    ///
    /// # Errors
    /// If the queue or the database fails.
    pub async fn step(&self, wait: Duration) -> anyhow::Result<()> {
        let cursor = Cursor(self.db.cursor().await?);
        let events = self.queue.events(&cursor, wait).await?;
        if events.next == cursor {
            return Ok(());
        }
        let known: Vec<Event> = events.bodies.iter().filter_map(|body| parse(body)).collect();
        for job in self.db.apply(&known, &events.next.0, &clock::now()).await? {
            if job.state.is_final() {
                log::info!("job {} is {}", job.id, job.state.as_str());
            }
            self.feed.tell(job.id);
        }
        Ok(())
    }
}

/// The event in a message, or `None` for what this version does not know.
fn parse(body: &[u8]) -> Option<Event> {
    serde_json::from_slice(body)
        .inspect_err(|e| log::debug!("passed over an event that this hub does not know: {e}"))
        .ok()
}
