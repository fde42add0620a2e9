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

#[cfg(test)]
mod tests {
    use reelmill_api::{JobRequest, Task, job::Job, preset::Settings};

    use super::*;
    use crate::sample;

    struct Setup {
        outbox: Outbox,
        job: Job,
        task: Task,
        _folder: tempfile::TempDir,
    }

    async fn setup() -> Setup {
        let folder = tempfile::tempdir().expect("a folder");
        let db = Db::open(&folder.path().join("hub.sqlite")).await.expect("a database");
        let name = QueueName::default();
        let url = format!("sqlite://{}", folder.path().join("queue.sqlite").display());
        let queue = reelmill_queue::connect(&url, &name).await.expect("a queue");
        let job = sample::job();
        let (input, output, preset) = (job.input.clone(), Some(job.output.clone()), job.preset.clone());
        let task = Task::of(
            job.id,
            JobRequest { input, preset, output, priority: job.priority, settings: Settings::default(), id: None },
        );
        db.submit(&job, &task).await.expect("the database works");
        Setup { outbox: Outbox { db, queue, name }, job, task, _folder: folder }
    }

    impl Setup {
        async fn ready(&self) -> u64 {
            let lane = self.outbox.name.tasks(&self.job.preset);
            self.outbox.queue.depth(&lane).await.expect("the queue answers").ready
        }

        async fn waiting(&self) -> usize {
            self.outbox.db.outgoing(10).await.expect("the database works").len()
        }
    }

    #[tokio::test]
    async fn an_admitted_task_moves_to_its_lane_once() {
        let setup = setup().await;
        assert_eq!((setup.waiting().await, setup.ready().await), (1, 0));
        setup.outbox.publish_all().await.expect("the queue takes it");
        setup.outbox.publish_all().await.expect("nothing is left to do");
        assert_eq!((setup.waiting().await, setup.ready().await), (0, 1));
    }

    #[tokio::test]
    async fn a_crash_between_publishing_and_forgetting_makes_no_second_task() {
        let setup = setup().await;
        let message = NewMessage {
            body: setup.task.to_message(),
            priority: setup.task.priority,
            delay: Duration::ZERO,
            dedupe_key: Some(setup.job.id.to_string()),
        };
        let lane = setup.outbox.name.tasks(&setup.job.preset);
        setup.outbox.queue.publish(&lane, &message).await.expect("the queue takes it");
        setup.outbox.publish_all().await.expect("the queue knows it");
        assert_eq!((setup.waiting().await, setup.ready().await), (0, 1));
    }

    #[tokio::test]
    async fn a_job_that_is_not_stored_has_no_task() {
        let setup = setup().await;
        let other = Job { input: "s3://media-ingest/b.mp4".parse().expect("a literal"), ..setup.job.clone() };
        let submitted = setup.outbox.db.submit(&other, &setup.task).await.expect("the database works");
        assert_eq!((submitted, setup.waiting().await), (crate::db::Submitted::IdTaken, 1));
    }
}
