//! The loop: lease, work, settle, until told to stop or, draining, until the lanes are empty.

mod aside;
mod giving_up;
mod moving;
mod pauses;
mod task;
mod turns;

use std::{sync::Arc, time::Duration};

use reelmill_api::{AttemptId, Lane, Task};
use reelmill_daemon::Shutdown;
use reelmill_queue::{Leased, QueueError, SharedQueue};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    admission::{Seat, Seats},
    attempt::Workshop,
    desk::Desk,
    drain::{Drain, Signals},
    lanes::Lanes,
    notices::Notices,
    quiet::{Asked, QuietLog},
};
pub use aside::Aside;
use pauses::Pauses;
use turns::{LeftOut, Turn};

/// How long one wait for a task lasts; also how soon an idle worker notices that it should stop.
const WAIT: Duration = Duration::from_secs(2);

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
    /// What is said of the queue.
    pub quiet: Arc<QuietLog>,
    /// The lanes it leases from.
    pub lanes: Lanes,
    /// Tasks of them that it could not do.
    pub aside: Aside,
    /// What it is doing.
    pub desk: Arc<Desk>,
    /// What all workers are told.
    pub notices: Notices,
    /// How long a lease holds.
    pub lease: Duration,
    /// An attempt in which nothing has moved for so long is called off.
    pub standstill: Duration,
    /// Where tasks that run at once sit.
    pub seats: Arc<Seats>,
    /// How long tasks in work may take after the order to stop.
    pub drain_deadline: Duration,
    /// Whether the node drains.
    pub drain: Arc<Drain>,
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
    /// Works until `shutdown`, or until the lanes are empty; whether it were the lanes.
    pub async fn run(self: Arc<Self>, until: Until, signals: &mut Signals, shutdown: &Shutdown) -> bool {
        let drains = async {
            match until {
                Until::Stopped => self.drain.follow(signals, |on| self.desk.drain(on)).await,
                // It ends by itself, and nobody would wait for it.
                Until::Empty => std::future::pending().await,
            }
        };
        let emptied = tokio::select! {
            emptied = self.clone().go_on(until, shutdown) => emptied,
            () = self.notices.follow(&*self.queue) => unreachable!("notices are read for as long as the worker works"),
            () = drains => unreachable!("and signals heard"),
        };
        self.drain.over();
        emptied
    }

    async fn go_on(self: Arc<Self>, until: Until, shutdown: &Shutdown) -> bool {
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        let emptied = self.lease_until(until, &mut tasks, &stop, shutdown).await;
        self.desk.end_of_leasing();
        // A live task has no end to wait for: it is handed back at once.
        self.drain.call_off_live();
        self.finish(tasks, &stop, shutdown).await;
        emptied
    }

    async fn lease_until(
        self: &Arc<Self>,
        until: Until,
        tasks: &mut JoinSet<()>,
        stop: &CancellationToken,
        shutdown: &Shutdown,
    ) -> bool {
        let (mut pauses, mut left_out, mut turn) = (Pauses::default(), LeftOut::default(), 0);
        // What was paused or canceled before this worker came must be known before it leases.
        unless_stopped(shutdown, self.notices.known()).await;
        while !shutdown.graceful().is_cancelled() {
            while tasks.try_join_next().is_some() {}
            turn += 1;
            let Some(Turn { seat, lanes, wait }) = self.next_turn(turn, &mut left_out, shutdown).await else { break };
            match self.quiet.heard(Asked::Task, self.queue.lease(&lanes, self.lease, wait).await) {
                Ok(Some(leased)) => {
                    pauses.end();
                    // Before it is asked whether the node drains, which calls it off.
                    let stop = Stop { any: stop.clone(), live: self.drain.live() };
                    // Before anything else is leased, or the next task would be given the same session.
                    if self.is_to_work(&leased, &seat).await {
                        let worker = self.clone();
                        tasks.spawn(async move { worker.work(leased, seat, stop).await });
                    } else {
                        self.settled(self.queue.hand_back(&leased.receipt).await);
                    }
                }
                Ok(None) => {
                    pauses.end();
                    if until == Until::Empty && tasks.is_empty() && self.is_empty().await {
                        log::info!("nothing waits on the lanes any more");
                        return true;
                    }
                }
                Err(_) => {
                    drop(seat);
                    pause(&mut pauses, shutdown).await;
                }
            }
        }
        false
    }

    /// Whether nothing is to be leased from a lane: it is paused, or its preset is.
    fn is_paused(&self, lane: &Lane) -> bool {
        self.notices.is_paused(lane) || self.lanes.own(lane).is_some_and(|own| self.notices.is_paused(&own))
    }

    /// The lanes that may be leased from now.
    fn open_lanes(&self, turn: usize) -> Vec<Lane> {
        if self.drain.is_on() {
            return Vec::new();
        }
        let (paused, open) = self.lanes.in_turn(turn).into_iter().partition::<Vec<_>, _>(|l| self.is_paused(l));
        self.desk.pause(paused, open.is_empty());
        open
    }

    /// Whether a task that was leased has its seat now, or is for others.
    async fn is_to_work(&self, leased: &Leased, seat: &Seat) -> bool {
        // A drain may have begun or the lane been paused while it was waited for a task; another task may have turned out to
        // need all the encoder sessions.
        !self.drain.is_on() && !self.is_paused(&leased.lane) && self.is_seated(&leased.lane, seat).await
    }

    /// Whether a task of a lane has as many encoder sessions now as it may take.
    async fn is_seated(&self, lane: &Lane, seat: &Seat) -> bool {
        let seated = seat.occupy(self.lanes.sessions(lane)).await;
        seated.inspect_err(|failure| log::error!("{}", failure.lines())).unwrap_or(false)
    }

    async fn is_empty(&self) -> bool {
        for lane in self.lanes.all() {
            match self.quiet.heard(Asked::Depth, self.queue.depth(&lane).await) {
                Ok(depth) if depth.ready == 0 && depth.delayed <= self.aside.of(&lane, Instant::now()) => {}
                Ok(_) | Err(_) => return false,
            }
        }
        true
    }

    /// Lets tasks in work finish until the deadline, then has them handed back. Whoever stops a worker that drains has
    /// waited for as long as they would.
    async fn finish(&self, mut tasks: JoinSet<()>, stop_tasks: &CancellationToken, shutdown: &Shutdown) {
        let all_done = async { while tasks.join_next().await.is_some() {} };
        tokio::pin!(all_done);
        let deadline = async {
            shutdown.graceful().cancelled().await;
            if self.drain.is_on() {
                return log::warn!("stopped while it drains: handing back what is in work");
            }
            tokio::time::sleep(self.drain_deadline).await;
            log::warn!("{} s are over: handing back what is in work", self.drain_deadline.as_secs());
        };
        tokio::select! {
            () = &mut all_done => return,
            () = deadline => {}
            () = shutdown.forced().cancelled() => log::warn!("handing back what is in work"),
        }
        stop_tasks.cancel();
        all_done.await;
    }

    /// A lease that could not be settled runs out, and the task is delivered again: to find its output published.
    fn settled(&self, result: Result<(), QueueError>) {
        if let Err(e) = result {
            log::warn!("{e}");
        }
    }

    /// A new name for a try at a task.
    fn attempt_id(leased: &Leased, task: &Task) -> AttemptId {
        AttemptId::new(leased.attempt.saturating_add(task.tried), random())
    }
}

async fn unless_stopped(shutdown: &Shutdown, wait: impl Future<Output = ()>) {
    tokio::select! {
        () = wait => {}
        () = shutdown.graceful().cancelled() => {}
    }
}

async fn pause(pauses: &mut Pauses, shutdown: &Shutdown) {
    unless_stopped(shutdown, tokio::time::sleep(pauses.next(random()))).await;
}

/// Random bits, for names and jitter.
pub fn random() -> u32 {
    uuid::Uuid::new_v4().as_fields().0
}
