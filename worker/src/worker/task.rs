//! One task: accepted, worked at while its lease is kept, settled.

use std::time::Duration;

use reelmill_api::{
    AttemptId, AttemptNumber, ErrorKind, Failure, JobId, Report, Settlement, Task,
    settle::{Found, MAX_ATTEMPTS, settle, settle_live},
};
use reelmill_queue::{Leased, QueueError};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Stop, Worker, giving_up::Ending};
use crate::{
    admission::Seat,
    attempt::Attempt,
    events::{Audience, Teller},
    lease::{self, Fence, Lapse},
    pulse::{Pulse, Watch},
};

/// How long a lease on a live task holds: its viewers wait until another worker takes over.
const LIVE_LEASE: Duration = Duration::from_secs(6);
/// How long an attempt that was called off may take to sweep what it made; then it is left where it stands.
pub(super) const SWEEPING: Duration = Duration::from_secs(20);

/// Why an attempt was called off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Off {
    /// Its lease is lost.
    Lost,
    /// Nothing moved in it.
    Standstill,
    /// Its job was canceled.
    Canceled,
    /// The worker ends.
    Stopping,
}

/// One try at a task.
struct Try<'a> {
    id: AttemptId,
    seat: &'a Seat,
    stop: &'a CancellationToken,
}

/// How an attempt ended.
struct Ended {
    number: AttemptNumber,
    result: Result<Report, Failure>,
    off: Option<Off>,
    /// Kept until it is settled, but for waits.
    seat: Seat,
}

impl Worker {
    pub(super) async fn work(&self, leased: Leased, seat: Seat, stop: Stop) {
        // Its own allocation, like the attempt's: both together would be too much for a thread's stack.
        let (task, seat) = match Box::pin(self.accept(&leased, seat, &stop.any)).await {
            Ok(Some(accepted)) => accepted,
            Ok(None) => return,
            Err(failure) => return self.settled(self.queue.dead_letter(&leased.receipt, &failure.lines()).await),
        };
        let stop = if task.input.is_live() { stop.live } else { stop.any };
        let id = Self::attempt_id(&leased, &task);
        let teller = self.teller(task.job, id.clone());
        if id.number() > MAX_ATTEMPTS && !task.input.is_live() && self.look(&task).await != Found::Output {
            drop(seat);
            let ending = Ending { leased: &leased, task: &task, number: id.number(), failure: &all_died(task.job) };
            return self.give_up(ending, &teller, &stop).await;
        }
        log::info!("job {}: attempt {id}: {} by {}", task.job, task.input, task.preset);
        // Who asks whether there is work must not hear no before it is told of.
        let number = id.number();
        self.desk.begin(&task, number);
        teller.started().await;
        let (result, off) = self.attempt(&leased, &task, Try { id, seat: &seat, stop: &stop }, &teller).await;
        self.desk.end(&task, result.as_ref().map_err(|f| f.kind), &self.workshop.counters);
        self.settle(&leased, &task, Ended { number, result, off, seat }, &teller, &stop).await;
    }

    pub(super) fn teller(&self, job: JobId, attempt: AttemptId) -> Teller {
        Teller::new(Audience::Queue(self.queue.clone(), self.quiet.clone()), job, attempt, self.workshop.node.clone())
    }

    /// The task in a message, and its seat. `None`: there is nothing to do for it here; it was passed on to the lane where it
    /// belongs, or its job was canceled.
    async fn accept(
        &self,
        leased: &Leased,
        seat: Seat,
        stop: &CancellationToken,
    ) -> Result<Option<(Task, Seat)>, Failure> {
        let task = Task::from_message(&leased.body, leased.lane.as_str(), &leased.message_id)?;
        if self.notices.is_canceled(task.job) {
            self.drop_canceled(leased, &task).await;
            return Ok(None);
        }
        if let Some(lane) = self.lanes.elsewhere(&leased.lane, &task.preset, &self.workshop.presets) {
            drop(seat);
            self.pass_on(leased, &task, &lane, stop).await;
            return Ok(None);
        }
        // What came through the intake says only now how much it may take: where that is not free, it waits on its own lane.
        match self.lanes.proper(&leased.lane, &task.preset) {
            Some(lane) if !self.is_seated(&lane, &seat).await => {
                drop(seat);
                self.move_untried(leased, &task, &lane, Duration::ZERO, stop).await;
                Ok(None)
            }
            _ => Ok(Some((task, seat))),
        }
    }

    /// Nobody works on a canceled job any more: its task is done with, and told to be.
    async fn drop_canceled(&self, leased: &Leased, task: &Task) {
        let failure = Failure::new(ErrorKind::Canceled, format!("job {} was canceled", task.job));
        log::info!("{}: its task is dropped", failure.message);
        if self.teller(task.job, Self::attempt_id(leased, task)).failed(&failure, None).await {
            self.settled(self.queue.ack(&leased.receipt).await);
        }
    }

    /// Works while the lease is kept and nothing calls it off.
    async fn attempt(
        &self,
        leased: &Leased,
        task: &Task,
        this: Try<'_>,
        teller: &Teller,
    ) -> (Result<Report, Failure>, Option<Off>) {
        let Try { id, seat, stop } = this;
        let (done, cancel, pulse) = (CancellationToken::new(), CancellationToken::new(), Pulse::default());
        let watch = Watch::new(pulse.clone(), self.standstill);
        let lasting = self.lasting(task.input.is_live());
        let (queue, quiet) = (self.queue.clone(), self.quiet.clone());
        let keeper = lease::keep(queue, quiet, leased.receipt.clone(), lasting, watch, done.clone());
        let keeper = tokio::spawn(keeper);
        let fence = Fence::new(self.queue.clone(), leased.receipt.clone(), lasting);
        let attempt = Attempt { workshop: &self.workshop, task, id, cancel: cancel.clone(), pulse, fence, seat };
        let mut running = Box::pin(async {
            let running = attempt.run(|progress| {
                self.desk.progress(task.job, progress);
                teller.note(progress);
            });
            tokio::select! {
                result = running => result,
                () = teller.tell_progress() => unreachable!("progress is told for as long as the teller lives"),
            }
        });
        let ended = tokio::select! {
            result = &mut running => (result, None),
            off = self.called_off(keeper, task.job, stop) => {
                cancel.cancel();
                // What is at a standstill is to be told before its lease runs out, which is not extended any more.
                let longest = if off == Off::Standstill { SWEEPING.min(lasting / 3) } else { SWEEPING };
                let swept = tokio::time::timeout(longest, &mut running).await;
                (swept.unwrap_or_else(|_| Err(left(off, longest))).map_err(|failure| self.explain(off, failure)), Some(off))
            }
        };
        done.cancel();
        ended
    }

    async fn called_off(&self, keeper: JoinHandle<Option<Lapse>>, job: JobId, stop: &CancellationToken) -> Off {
        let lapse = async {
            match keeper.await {
                Ok(Some(Lapse::Standstill)) => Off::Standstill,
                Ok(Some(Lapse::Lost) | None) => Off::Lost,
                Err(e) => {
                    log::error!("the lease keeper died: {e}");
                    Off::Lost
                }
            }
        };
        tokio::select! {
            off = lapse => off,
            () = self.notices.canceled(job) => Off::Canceled,
            () = stop.cancelled() => Off::Stopping,
        }
    }

    /// Whatever an attempt says that was called off because nothing moved, that is why it failed.
    fn explain(&self, off: Off, failure: Failure) -> Failure {
        if off != Off::Standstill {
            return failure;
        }
        let message = format!(
            "nothing moved in the attempt for {} s, not a byte read or stored and not a step done: it was called off",
            self.standstill.as_secs()
        );
        Failure::new(ErrorKind::Infrastructure, message)
            .hint("does the store answer, and is the machine overloaded? STUCK_SECONDS sets how long is waited")
    }

    async fn settle(&self, leased: &Leased, task: &Task, ended: Ended, teller: &Teller, stop: &CancellationToken) {
        let Ended { number, result, off, seat } = ended;
        let live = task.input.is_live();
        if result.is_err() && self.is_anothers(leased, live).await {
            return;
        }
        if result.is_err() && self.notices.is_canceled(task.job) {
            return self.drop_canceled(leased, task).await;
        }
        if let Err(failure) = &result
            && let Some(missing) = &failure.missing
            && let Some(lane) = self.lanes.needing(&leased.lane, &task.preset, missing)
        {
            // With its seat: nothing else is leased before it is known here which lanes are left.
            return self.leave_to_others(leased, task, failure, &lane, teller, stop).await;
        }
        if let Err(failure) = &result
            && failure.kind == ErrorKind::NoCapability
            && !live
        {
            drop(seat);
            return self.put_aside(leased, task, failure, teller, stop).await;
        }
        let kind = result.as_ref().err().map(|f| f.kind);
        let settlement = if live { settle_live(kind, number) } else { settle(kind, number) };
        // Events go out before the settlement: a crash in between only tells them twice. An end of which nobody could be told
        // is not settled: the lease runs out, and the next delivery finds it and tells it.
        let told = match &result {
            Ok(report) => {
                log::info!("job {}: published {}", report.job, report.entry);
                teller.done(report).await
            }
            Err(failure) if off == Some(Off::Stopping) && failure.kind == ErrorKind::Canceled => {
                teller.failed(failure, Some(Duration::ZERO)).await;
                return self.settled(self.queue.hand_back(&leased.receipt).await);
            }
            Err(failure) => {
                log::warn!("attempt {number} failed ({}): {}", failure.kind, failure.message);
                match settlement {
                    Settlement::RetryAfter(wait) => {
                        teller.failed(failure, Some(wait)).await;
                        true
                    }
                    Settlement::DeadLetter if !live => {
                        drop(seat);
                        return self.give_up(Ending { leased, task, number, failure }, teller, stop).await;
                    }
                    Settlement::DeadLetter => teller.failed(failure, None).await,
                    Settlement::Ack | Settlement::Leave => true,
                }
            }
        };
        if !told {
            return;
        }
        let reason = || result.as_ref().err().map_or(String::new(), Failure::lines);
        self.settled(match settlement {
            Settlement::Ack => self.queue.ack(&leased.receipt).await,
            Settlement::RetryAfter(wait) if kind == Some(ErrorKind::Busy) => {
                drop(seat);
                return self.put_off(leased, task, wait, stop).await;
            }
            Settlement::RetryAfter(wait) => self.queue.retry_after(&leased.receipt, wait).await,
            Settlement::DeadLetter => self.queue.dead_letter(&leased.receipt, &reason()).await,
            Settlement::Leave => Ok(()),
        });
    }

    /// How long a lease holds: viewers of a live stream cannot wait for another worker as long as a file can.
    pub(super) fn lasting(&self, live: bool) -> Duration {
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
}

/// Why a task is given up that was delivered once more after its last attempt.
fn all_died(job: JobId) -> Failure {
    let message = format!("the worker of each of {MAX_ATTEMPTS} attempts at job {job} died or lost its lease");
    Failure::new(ErrorKind::Bug, message).hint("look at the workers' logs from the time of its attempts")
}

/// An attempt that did not even end when it was called off: it is not known what of it is under way to the store, so what
/// it made is left for the next one to sweep.
fn left(off: Off, after: Duration) -> Failure {
    log::warn!("an attempt that was called off ({off:?}) did not end within {} s: it is left", after.as_secs());
    Failure::new(ErrorKind::Canceled, "the run was called off, and did not end")
}
