//! The loop: lease, work, settle, until told to stop or, draining, until the lanes are empty.

use std::{sync::Arc, time::Duration};

use reelmill_api::{
    AttemptId, ErrorKind, Failure, Lane, Report, Settlement, Task,
    settle::{MAX_ATTEMPTS, settle, settle_live},
};
use reelmill_daemon::Shutdown;
use reelmill_queue::{Leased, NewMessage, QueueError, SharedQueue};
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    attempt::{Attempt, Workshop},
    desk::Desk,
    events::{Audience, Teller},
    lanes::Lanes,
    lease,
};

/// How long one wait for a task lasts; also how soon an idle worker notices that it should stop.
const WAIT: Duration = Duration::from_secs(2);
/// The pause after the queue failed, with up to as much again by chance.
const QUEUE_PAUSE: Duration = Duration::from_secs(1);

/// How long a lease on a live task holds: its viewers wait until another worker takes over.
const LIVE_LEASE: Duration = Duration::from_secs(6);

/// Calls tasks off.
#[derive(Clone)]
struct Stop {
    /// All of them.
    any: CancellationToken,
    /// Live ones.
    live: CancellationToken,
}

/// A worker on a queue.
pub struct Worker {
    /// What attempts work with.
    pub workshop: Workshop,
    /// The queue.
    pub queue: SharedQueue,
    /// The lanes it leases from.
    pub lanes: Lanes,
    /// What it is doing.
    pub desk: Arc<Desk>,
    /// How long a lease holds.
    pub lease: Duration,
    /// How many tasks run at once.
    pub concurrency: usize,
    /// How long tasks in work may take after the order to stop.
    pub drain_deadline: Duration,
}

/// When the loop ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Never.
    Stopped,
    /// When nothing waits on its lanes.
    Empty,
}

impl Worker {
    /// Works until `shutdown`, or until the lanes are empty.
    pub async fn run(self: Arc<Self>, until: Until, shutdown: &Shutdown) {
        let slots = Arc::new(Semaphore::new(self.concurrency));
        // A live task has no end to wait for: it is handed back at once.
        let (stop_tasks, stop_live) = (CancellationToken::new(), CancellationToken::new());
        let mut tasks = JoinSet::new();
        let mut quiet = QuietLog::default();
        let mut turn = 0;
        while let Some(slot) = free_slot(&slots, shutdown).await {
            while tasks.try_join_next().is_some() {}
            turn += 1;
            match self.queue.lease(&self.lanes.in_turn(turn), self.lease, WAIT).await {
                Ok(Some(leased)) => {
                    quiet.well();
                    let (worker, stop) = (self.clone(), Stop { any: stop_tasks.clone(), live: stop_live.clone() });
                    tasks.spawn(async move {
                        worker.work(leased, stop).await;
                        drop(slot);
                    });
                }
                Ok(None) => {
                    quiet.well();
                    if until == Until::Empty && tasks.is_empty() && self.is_empty().await {
                        log::info!("nothing waits on the lanes any more");
                        break;
                    }
                }
                Err(e) => {
                    quiet.failed(&e);
                    pause(shutdown).await;
                }
            }
        }
        self.desk.drain();
        stop_live.cancel();
        self.finish(tasks, &stop_tasks, shutdown).await;
    }

    async fn is_empty(&self) -> bool {
        for lane in self.lanes.all() {
            match self.queue.depth(&lane).await {
                Ok(depth) if depth.ready + depth.delayed == 0 => {}
                Ok(_) => return false,
                Err(e) => {
                    log::warn!("{e}");
                    return false;
                }
            }
        }
        true
    }

    /// Lets tasks in work finish until the deadline, then has them handed back.
    async fn finish(&self, mut tasks: JoinSet<()>, stop_tasks: &CancellationToken, shutdown: &Shutdown) {
        let all_done = async { while tasks.join_next().await.is_some() {} };
        tokio::pin!(all_done);
        let deadline = async {
            shutdown.graceful().cancelled().await;
            tokio::time::sleep(self.drain_deadline).await;
        };
        tokio::select! {
            () = &mut all_done => return,
            () = deadline => log::warn!("{} s are over: handing back what is in work", self.drain_deadline.as_secs()),
            () = shutdown.forced().cancelled() => log::warn!("handing back what is in work"),
        }
        stop_tasks.cancel();
        all_done.await;
    }

    async fn work(&self, leased: Leased, stop: Stop) {
        let task = match self.accept(&leased).await {
            Ok(Some(task)) => task,
            Ok(None) => return,
            Err(failure) => return self.settled(self.queue.dead_letter(&leased.receipt, &failure.lines()).await),
        };
        let stop = if task.input.is_live() { stop.live } else { stop.any };
        let id = AttemptId::new(leased.attempt, random());
        log::info!("job {}: attempt {id}: {} by {}", task.job, task.input, task.preset);
        let teller = Teller::new(Audience::Queue(self.queue.clone()), task.job, id.clone(), self.workshop.node.clone());
        teller.started().await;
        self.desk.begin(&task, leased.attempt);
        let result = self.attempt(&leased, &task, id, &stop, &teller).await;
        self.desk.end(&task, result.as_ref().map_err(|f| f.kind), &self.workshop.counters);
        self.settle(&leased, result, task.input.is_live(), stop.is_cancelled(), &teller).await;
    }

    /// The task in a message. `None`: it was passed on to the lane where it belongs.
    async fn accept(&self, leased: &Leased) -> Result<Option<Task>, Failure> {
        let task = Task::from_message(&leased.body, leased.lane.as_str(), &leased.message_id)?;
        if leased.attempt > MAX_ATTEMPTS && !task.input.is_live() {
            let message =
                format!("the worker of each of {MAX_ATTEMPTS} attempts at job {} died or lost its lease", task.job);
            let failure =
                Failure::new(ErrorKind::Bug, message).hint("look at the workers' logs from the time of its attempts");
            let teller = Teller::new(
                Audience::Queue(self.queue.clone()),
                task.job,
                AttemptId::new(leased.attempt, random()),
                self.workshop.node.clone(),
            );
            teller.failed(&failure, None).await;
            return Err(failure);
        }
        match self.lanes.elsewhere(&leased.lane, &task.preset, &self.workshop.presets) {
            None => Ok(Some(task)),
            Some(lane) => {
                self.pass_on(leased, &task, &lane).await;
                Ok(None)
            }
        }
    }

    /// A plain job for a preset that this worker does not serve goes to that preset's lane. Acked only once it is there;
    /// a second copy after a crash in between is dropped by its key, or found published.
    async fn pass_on(&self, leased: &Leased, task: &Task, lane: &Lane) {
        let message = NewMessage {
            body: task.to_message(),
            priority: task.priority,
            delay: Duration::ZERO,
            dedupe_key: Some(task.job.to_string()),
        };
        match self.queue.publish(lane, &message).await {
            Ok(_) => self.settled(self.queue.ack(&leased.receipt).await),
            Err(e) => {
                log::warn!("{e}");
                self.settled(self.queue.hand_back(&leased.receipt).await);
            }
        }
    }

    async fn attempt(
        &self,
        leased: &Leased,
        task: &Task,
        id: AttemptId,
        stop: &CancellationToken,
        teller: &Teller,
    ) -> Result<Report, Failure> {
        let (done, cancel) = (CancellationToken::new(), stop.child_token());
        let lasting = self.lasting(task.input.is_live());
        let keeper = lease::keep(self.queue.clone(), leased.receipt.clone(), lasting, done.clone(), cancel.clone());
        let keeper = tokio::spawn(keeper);
        let attempt = Attempt { workshop: &self.workshop, task, id, cancel };
        let running = attempt.run(|progress| {
            self.desk.progress(task.job, progress);
            teller.note(progress);
        });
        let result = tokio::select! {
            result = running => result,
            () = teller.tell_progress() => unreachable!("progress is told for as long as the teller lives"),
        };
        done.cancel();
        if let Err(e) = keeper.await {
            log::error!("the lease keeper died: {e}");
        }
        result
    }

    async fn settle(
        &self,
        leased: &Leased,
        result: Result<Report, Failure>,
        live: bool,
        stopping: bool,
        teller: &Teller,
    ) {
        if result.is_err() && self.is_anothers(leased, live).await {
            return;
        }
        let kind = result.as_ref().err().map(|f| f.kind);
        let settlement = if live { settle_live(kind, leased.attempt) } else { settle(kind, leased.attempt) };
        // Events go out before the settlement: a crash in between only tells them twice.
        match &result {
            Ok(report) => {
                log::info!("job {}: published {}", report.job, report.entry);
                teller.done(report).await;
            }
            Err(failure) if stopping && failure.kind == ErrorKind::Canceled => {
                teller.failed(failure, Some(Duration::ZERO)).await;
                return self.settled(self.queue.hand_back(&leased.receipt).await);
            }
            Err(failure) => {
                log::warn!("attempt {} failed ({}): {}", leased.attempt, failure.kind, failure.message);
                match settlement {
                    Settlement::RetryAfter(wait) => teller.failed(failure, Some(wait)).await,
                    Settlement::DeadLetter => teller.failed(failure, None).await,
                    Settlement::Ack | Settlement::Leave => {}
                }
            }
        }
        let reason = || result.as_ref().err().map_or(String::new(), Failure::lines);
        self.settled(match settlement {
            Settlement::Ack => self.queue.ack(&leased.receipt).await,
            Settlement::RetryAfter(wait) => self.queue.retry_after(&leased.receipt, wait).await,
            Settlement::DeadLetter => self.queue.dead_letter(&leased.receipt, &reason()).await,
            Settlement::Leave => Ok(()),
        });
    }

    /// How long a lease holds: viewers of a live stream cannot wait for another worker as long as a file can.
    fn lasting(&self, live: bool) -> Duration {
        if live { self.lease.min(LIVE_LEASE) } else { self.lease }
    }

    /// Whether the lease was lost, as it is where the whole worker stood still: then the task's end is for another to tell,
    /// and whatever failed here is no news of it.
    async fn is_anothers(&self, leased: &Leased, live: bool) -> bool {
        let lost = self.queue.extend(&leased.receipt, self.lasting(live)).await.err();
        let lost = lost.filter(|e| matches!(e, QueueError::LeaseLost { .. }));
        if let Some(e) = &lost {
            log::warn!("{e}: this attempt's failure is not told");
        }
        lost.is_some()
    }

    /// A lease that could not be settled runs out, and the task is delivered again: to find its output published.
    fn settled(&self, result: Result<(), QueueError>) {
        if let Err(e) = result {
            log::warn!("{e}");
        }
    }
}

/// A free place for one more task; `None` when it is time to stop.
async fn free_slot(slots: &Arc<Semaphore>, shutdown: &Shutdown) -> Option<tokio::sync::OwnedSemaphorePermit> {
    if shutdown.graceful().is_cancelled() {
        return None;
    }
    tokio::select! {
        slot = slots.clone().acquire_owned() => slot.ok(),
        () = shutdown.graceful().cancelled() => None,
    }
}

async fn pause(shutdown: &Shutdown) {
    let jitter = Duration::from_millis(u64::from(random() % 1000));
    tokio::select! {
        () = tokio::time::sleep(QUEUE_PAUSE + jitter) => {}
        () = shutdown.graceful().cancelled() => {}
    }
}

/// Random bits, for names and jitter.
pub fn random() -> u32 {
    uuid::Uuid::new_v4().as_fields().0
}

/// Says once that the queue is gone, and once that it is back.
#[derive(Default)]
struct QuietLog {
    down: bool,
}

impl QuietLog {
    fn failed(&mut self, error: &QueueError) {
        if !self.down {
            log::error!("{error}; trying again until it answers");
        }
        self.down = true;
    }

    fn well(&mut self) {
        if self.down {
            log::info!("the queue answers again");
        }
        self.down = false;
    }
}
