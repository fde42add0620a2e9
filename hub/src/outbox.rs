//! Takes tasks from the outbox to their lanes: at least once, in order of admission.

use std::time::Duration;

use anyhow::Context;
use reelmill_api::QueueName;
use reelmill_queue::{NewMessage, SharedQueue};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    backoff::Backoff,
    db::{Db, Outgoing},
};

/// Tasks taken out at a time.
const BATCH: u32 = 64;
/// How often to look even if nobody says that there is something; a net under the notification.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// What the outbox needs.
#[derive(Clone)]
pub struct Outbox {
    /// Where the tasks wait.
    pub db: Db,
    /// Where they go.
    pub queue: SharedQueue,
    /// The queue's name.
    pub name: QueueName,
}

impl Outbox {
    /// Publishes until told to stop. `added` says that there is a new task.
    pub async fn run(self, added: &Notify, stop: CancellationToken) {
        let mut backoff = Backoff::new();
        loop {
            let wait = match self.publish_all().await {
                Ok(()) => {
                    backoff.reset();
                    LOOK_AGAIN
                }
                Err(e) => backoff.failed("cannot publish admitted tasks; they stay in the outbox", &e),
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
                // After a failure the wait is a back-off, which a new task does not cut short.
                () = added.notified(), if !backoff.failing() => {}
            }
        }
    }

    /// Publishes all that waits.
    ///
    /// # Errors
    /// At the first task that cannot be published; it and those after it stay.
    pub async fn publish_all(&self) -> anyhow::Result<()> {
        loop {
            let batch = self.db.outgoing(BATCH).await?;
            for outgoing in &batch {
                self.publish(outgoing).await?;
            }
            if batch.len() < BATCH as usize {
                return Ok(());
            }
        }
    }

    /// First the queue, then the row: a crash between the two publishes the task twice, which the dedupe key or else
    /// the worker makes harmless; the other order would lose it.
    async fn publish(&self, outgoing: &Outgoing) -> anyhow::Result<()> {
        let task = &outgoing.task;
        let lane = self.name.tasks(&task.preset);
        let message = NewMessage {
            body: task.to_message(),
            priority: task.priority,
            delay: Duration::ZERO,
            dedupe_key: Some(task.job.to_string()),
        };
        let published = self.queue.publish(&lane, &message).await.with_context(|| format!("job {}", task.job))?;
        log::debug!("job {} is on lane {lane}: {published:?}", task.job);
        Ok(self.db.published(outgoing).await?)
    }
}
