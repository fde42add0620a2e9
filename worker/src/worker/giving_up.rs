//! Giving a job up: only where nothing of it is published, and nothing that an earlier attempt has sent can be any more.

use std::time::Duration;

use reelmill_api::{
    AttemptNumber, ErrorKind, Failure, Settlement, Task,
    settle::{Found, settle_end},
};
use reelmill_queue::Leased;
use tokio_util::sync::CancellationToken;

use super::{Worker, task::SWEEPING};
use crate::events::Teller;

/// How long a store may take to do what it was sent: as long as it may stand still.
const ON_ITS_WAY: Duration = Duration::from_secs(10);
/// How long after the end of its lease the commit of an attempt may still appear: until the attempt itself must have ended,
/// and then for what it had sent.
const LATE_COMMIT: Duration = SWEEPING.saturating_add(ON_ITS_WAY);

/// A job that is to be given up.
pub(super) struct Ending<'a> {
    pub(super) leased: &'a Leased,
    pub(super) task: &'a Task,
    /// The attempt that ended last.
    pub(super) number: AttemptNumber,
    /// Why.
    pub(super) failure: &'a Failure,
}

impl Worker {
    /// Makes a dead letter of a job, unless it turns out to be published or the store cannot say. Another delivery's attempt may
    /// have published, and have swept what this one had made; an earlier one may have lost its lease with its commit under
    /// way, which is waited for.
    pub(super) async fn give_up(&self, ending: Ending<'_>, teller: &Teller, stop: &CancellationToken) {
        let Ending { leased, task, number, failure } = ending;
        if number > 1 {
            log::info!(
                "job {}: whether an earlier attempt's output comes is waited for before it is given up",
                task.job
            );
            tokio::select! {
                held = self.hold(leased, false, LATE_COMMIT) => if !held { return },
                () = stop.cancelled() => return self.settled(self.queue.hand_back(&leased.receipt).await),
            }
        }
        let found = self.look(task).await;
        let receipt = &leased.receipt;
        self.settled(match settle_end(found, number) {
            Settlement::RetryAfter(wait) => {
                if found == Found::Unknown {
                    teller.failed(failure, Some(wait)).await;
                }
                self.queue.retry_after(receipt, wait).await
            }
            Settlement::DeadLetter if teller.failed(failure, None).await => {
                self.queue.dead_letter(receipt, &failure.lines()).await
            }
            // An end of which nobody could be told is not settled: the next delivery tells it.
            Settlement::DeadLetter | Settlement::Ack | Settlement::Leave => Ok(()),
        });
    }

    /// What the store says of a task's output.
    pub(super) async fn look(&self, task: &Task) -> Found {
        match self.workshop.published(task).await {
            Ok(Some(_)) => Found::Output,
            Ok(None) => Found::Nothing,
            // Nothing of the job can be where something else is.
            Err(e) if e.kind == ErrorKind::BadRequest => Found::Nothing,
            Err(e) => {
                log::warn!("job {}: whether it is published is not known: {}", task.job, e.message);
                Found::Unknown
            }
        }
    }
}
