//! Takes tasks from the outbox to their lanes: at least once, on each lane in order of admission.

use std::{collections::BTreeSet, time::Duration};

use reelmill_api::{Lane, QueueName, Task};
use reelmill_queue::{NewMessage, QueueError, SharedQueue};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{backoff::Backoff, db::Db};

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

    /// Publishes all that waits. A task that its lane refuses stays, and those behind it on that lane, which keeps their
    /// order; tasks of other lanes pass.
    ///
    /// # Errors
    /// Why the first lane refused one, once all others had their turn.
    pub async fn publish_all(&self) -> anyhow::Result<()> {
        let (mut refused, mut why, mut last) = (BTreeSet::new(), None, 0);
        loop {
            let batch = self.db.outgoing(last, BATCH).await?;
            for outgoing in &batch {
                last = outgoing.seq;
                let (task, lane) = (&outgoing.task, self.name.tasks(&outgoing.task.preset));
                if refused.contains(&lane) {
                    continue;
                }
                // First the queue, then the row: a crash between the two publishes the task twice, which the dedupe key
                // or else the worker makes harmless; the other order would lose it.
                match self.publish(&lane, task).await {
                    Ok(()) => self.db.published(outgoing).await?,
                    Err(e) => {
                        refused.insert(lane);
                        why = why.or_else(|| Some(anyhow::Error::new(e).context(format!("job {}", task.job))));
                    }
                }
            }
            if batch.len() < BATCH as usize {
                return why.map_or(Ok(()), Err);
            }
        }
    }

    async fn publish(&self, lane: &Lane, task: &Task) -> Result<(), QueueError> {
        let message = NewMessage {
            body: task.to_message(),
            priority: task.priority,
            delay: Duration::ZERO,
            dedupe_key: Some(task.job.to_string()),
        };
        let published = self.queue.publish(lane, &message).await?;
        log::debug!("job {} is on lane {lane}: {published:?}", task.job);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use reelmill_api::{JobId, JobRequest, job::Job, preset::Settings};

    use super::*;
    use crate::sample;

    struct Setup {
        outbox: Outbox,
        job: Job,
        task: Task,
        folder: tempfile::TempDir,
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
        Setup { outbox: Outbox { db, queue, name }, job, task, folder }
    }

    impl Setup {
        async fn ready(&self) -> u64 {
            self.ready_for(self.job.preset.as_str()).await
        }

        async fn ready_for(&self, preset: &str) -> u64 {
            let lane = self.outbox.name.tasks(&preset.parse().expect("a name"));
            self.outbox.queue.depth(&lane).await.expect("the queue answers").ready
        }

        async fn admit(&self, number: u128, preset: &str) {
            let (id, preset) = (JobId::new(uuid::Uuid::from_u128(number)), preset.parse().expect("a name"));
            let job = Job { id, preset, ..self.job.clone() };
            let task = Task { job: id, preset: job.preset.clone(), ..self.task.clone() };
            self.outbox.db.submit(&job, &task).await.expect("the database works");
        }

        /// Has the queue do this to itself, behind its driver's back.
        async fn queue_does(&self, sql: String) {
            let url = format!("sqlite://{}", self.folder.path().join("queue.sqlite").display());
            let queue = sqlx::SqlitePool::connect(&url).await.expect("the queue's file");
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&queue).await.expect("it does");
        }

        async fn waiting(&self) -> usize {
            self.outbox.db.outgoing(0, 10).await.expect("the database works").len()
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
    async fn a_lane_that_refuses_its_tasks_holds_up_no_other() {
        let setup = setup().await;
        let others = u128::from(BATCH) + 3;
        for number in 0..others {
            setup.admit(number, "hls-ladder").await;
        }
        setup.admit(others, "proxy").await;
        setup.admit(others + 1, "hls-ladder").await;
        // Only the first is refused: those behind it would be taken, and pass it.
        setup
            .queue_does(format!(
                "CREATE TRIGGER refuse BEFORE INSERT ON messages WHEN CAST(NEW.body AS TEXT) LIKE '%\"job\":\"{}\"%' \
                 BEGIN SELECT RAISE(ABORT, 'not this one'); END",
                setup.job.id
            ))
            .await;
        let refused = format!("{:#}", setup.outbox.publish_all().await.expect_err("one was refused"));
        assert!(
            refused.starts_with(&format!("job {}: ", setup.job.id)) && refused.contains("not this one"),
            "{refused}"
        );
        let waiting = usize::try_from(others).expect("few") + 2;
        let all = setup.outbox.db.outgoing(0, 1000).await.expect("the database works");
        assert_eq!((all.len(), setup.ready().await, setup.ready_for("proxy").await), (waiting, 0, 1));
        setup.queue_does("DROP TRIGGER refuse".to_owned()).await;
        setup.outbox.publish_all().await.expect("the queue takes them");
        assert_eq!((setup.waiting().await, setup.ready().await), (0, u64::try_from(waiting).expect("few")));
    }

    #[tokio::test]
    async fn a_job_that_is_not_stored_has_no_task() {
        let setup = setup().await;
        let other = Job { input: "s3://media-ingest/b.mp4".parse().expect("a literal"), ..setup.job.clone() };
        let submitted = setup.outbox.db.submit(&other, &setup.task).await.expect("the database works");
        assert_eq!((submitted, setup.waiting().await), (crate::db::Submitted::IdTaken, 1));
    }
}
