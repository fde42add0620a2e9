//! Tasks that are for other lanes, other nodes or another time. What is moved so does not count as tried.

use std::time::Duration;

use reelmill_api::{ErrorKind, Failure, JobId, Lane, Task};
use reelmill_queue::{Leased, NewMessage};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Worker;
use crate::{events::Teller, lease};

/// How long a task waits that could not be put on its lane, so that it does not come back at once.
const MOVE_AGAIN: Duration = Duration::from_secs(10);

impl Worker {
    /// A plain job for a preset that this worker does not serve goes to that preset's lane. Acked only once it is there;
    /// a second copy after a crash in between is dropped by its key, or found published.
    pub(super) async fn pass_on(&self, leased: &Leased, task: &Task, lane: &Lane, stop: &CancellationToken) {
        let (priority, dedupe_key) = (task.priority, Some(task.job.to_string()));
        let message = NewMessage { body: task.to_message(), priority, delay: Duration::ZERO, dedupe_key };
        self.move_to(lane, leased, task, message, stop).await;
    }

    /// Puts a task on a lane, as `message`, and takes it off its own. One that the server does not take is given up if it is
    /// too large for it; otherwise it comes again, uncounted and not at once.
    async fn move_to(&self, lane: &Lane, leased: &Leased, task: &Task, message: NewMessage, stop: &CancellationToken) {
        let error = match self.queue.publish(lane, &message).await {
            Ok(_) => return self.settled(self.queue.ack(&leased.receipt).await),
            Err(e) => e,
        };
        if let Some(failure) = too_large(task.job, lane, message.body.len(), self.queue.limits().largest_body) {
            log::warn!("{}", failure.message);
            if self.teller(task.job, Self::attempt_id(leased, task)).failed(&failure, None).await {
                self.settled(self.queue.dead_letter(&leased.receipt, &failure.lines()).await);
            }
            return;
        }
        log::warn!("job {}: {error}; trying again in {} s", task.job, MOVE_AGAIN.as_secs());
        if *lane != leased.lane {
            return Box::pin(self.put_off(leased, task, MOVE_AGAIN, stop)).await;
        }
        // Its own lane does not take it either.
        tokio::select! {
            held = self.hold(leased, task.input.is_live(), MOVE_AGAIN) => if !held { return },
            () = stop.cancelled() => {}
        }
        self.settled(self.queue.hand_back(&leased.receipt).await);
    }

    /// Keeps a lease for so long while nothing is done under it; whether it is still ours then.
    pub(super) async fn hold(&self, leased: &Leased, live: bool, longest: Duration) -> bool {
        lease::hold(&*self.queue, &self.quiet, &leased.receipt, self.lasting(live), longest).await
    }

    /// A task that needs more than this node has goes to the lane that names what is missing, where a node leases that has
    /// it, and waits there if there is none. It does not count as tried. Acked only once it is there; a second copy after a
    /// crash in between is dropped by its key.
    pub(super) async fn leave_to_others(
        &self,
        leased: &Leased,
        task: &Task,
        failure: &Failure,
        lane: &Lane,
        teller: &Teller,
        stop: &CancellationToken,
    ) {
        log::warn!("job {}: {}; it waits on lane {lane} for a node that can", task.job, failure.message);
        let message = format!("{}; it waits on lane {lane} for a node that can", failure.message);
        teller.failed(&Failure { message, ..failure.clone() }, Some(Duration::ZERO)).await;
        failure.missing.iter().for_each(|missing| self.lanes.leave(missing));
        if *lane == leased.lane {
            return self.settled(self.queue.hand_back(&leased.receipt).await);
        }
        self.move_untried(leased, task, lane, Duration::ZERO, stop).await;
    }

    /// A task that this node cannot do, where no lane names what is missing, waits on its own lane, longer each time that it
    /// comes here: for another node, or for what is missing. It does not count as tried, and no number of nodes that cannot
    /// do it makes it a dead letter.
    pub(super) async fn put_aside(
        &self,
        leased: &Leased,
        task: &Task,
        failure: &Failure,
        teller: &Teller,
        stop: &CancellationToken,
    ) {
        let wait = self.aside.put(&leased.lane, task.job, Instant::now());
        let message = format!("{}; it waits for a node that can", failure.message);
        log::warn!("job {}: {message}, and may come again in {} s", task.job, wait.as_secs());
        teller.failed(&Failure { message, ..failure.clone() }, Some(wait)).await;
        self.put_off(leased, task, wait, stop).await;
    }

    /// A task for which there was no room comes again on its own lane, and does not count as tried: room may be long in coming.
    pub(super) async fn put_off(&self, leased: &Leased, task: &Task, wait: Duration, stop: &CancellationToken) {
        self.move_untried(leased, task, &leased.lane, wait, stop).await;
    }

    pub(super) async fn move_untried(
        &self,
        leased: &Leased,
        task: &Task,
        lane: &Lane,
        delay: Duration,
        stop: &CancellationToken,
    ) {
        let tried = task.tried.saturating_add(leased.attempt.saturating_sub(1));
        let moved = Task { tried, ..task.clone() };
        let dedupe_key = Some(format!("{}-{}", task.job, leased.message_id));
        let message = NewMessage { body: moved.to_message(), priority: task.priority, delay, dedupe_key };
        self.move_to(lane, leased, task, message, stop).await;
    }
}

/// Why a task is given up that was not taken by a lane, if it is too large for the server. A message grows when it is moved: its
/// job's id and what its sender left out are put down in it.
fn too_large(job: JobId, lane: &Lane, size: usize, largest: usize) -> Option<Failure> {
    let message =
        format!("job {job} must go to lane {lane}: its {size} bytes are more than the {largest} that go there");
    let failure = Failure::new(ErrorKind::BadRequest, message);
    (size > largest).then(|| failure.hint("give it shorter settings, or publish it on that lane yourself"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_larger_than_the_server_takes_is_given_up_for_its_size() {
        let (job, lane) = (JobId::new(uuid::Uuid::from_u128(7)), "reelmill-proxy".parse::<Lane>().expect("a lane"));
        assert_eq!(too_large(job, &lane, 190_000, 190_000), None);
        let failure = too_large(job, &lane, 190_001, 190_000).expect("it is");
        assert_eq!(
            (failure.kind, failure.lines().as_str()),
            (
                ErrorKind::BadRequest,
                "job 00000000-0000-0000-0000-000000000007 must go to lane reelmill-proxy: its 190001 bytes are more than \
                 the 190000 that go there\nhint: give it shorter settings, or publish it on that lane yourself"
            )
        );
    }
}
