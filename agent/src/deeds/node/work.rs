//! The node's work: finished, taken again, done in batches; and the end of the machine, which nobody may be in the way of.

use std::{path::Path, time::Duration};

use reelmill_api::{
    fleet::{
        CommandId, Op,
        args::{AtDeadline, Drain, RestartWorker},
    },
    status::WorkerState,
};
use serde_json::Map;
use tokio::time::{sleep, timeout};

use super::{OnNode, undone};
use crate::{
    deeds::{
        Order, Outcome, Undone,
        batch::{self, ORDERS},
    },
    systemd::{Activity, Error, unit::BatchId},
    worker_status::{self, Silence},
};

/// As long as a worker may finish what it has, if nobody says how long.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// As long as a unit may take to start or to stop.
const SOON: Duration = Duration::from_secs(120);
/// How often it is looked whether the work is finished.
const LOOK: Duration = Duration::from_millis(500);

impl OnNode {
    /// Ends the work on this node and holds off reboots: the worker takes no more, and is stopped once it has finished what
    /// it has. One that is stopped before that hands it back.
    pub(super) async fn finish_work(&self, why: &str, within: Option<Duration>, then: AtDeadline) -> Outcome {
        let hold = self.systemd.hold(why).await.map_err(undone)?;
        match (timeout(within.unwrap_or(A_DAY), self.finished()).await, then) {
            (Ok(finished), _) => finished?,
            (Err(_), AtDeadline::Requeue) => {
                log::warn!("the deadline is over: the worker hands back what it has in work")
            }
            (Err(_), AtDeadline::Abort) => {
                return Err(Undone::for_now("too_slow", "work was not finished by the deadline, and goes on"));
            }
        }
        self.systemd.stop_worker(SOON).await.map_err(undone)?;
        self.keep(Some(hold));
        Ok(Map::new())
    }

    /// Returns once the worker takes nothing more and has nothing in work, or does not run.
    async fn finished(&self) -> Result<(), Undone> {
        loop {
            match worker_status::read(&self.reach.worker).await {
                Ok(worker) if worker.state != WorkerState::Draining => self.have_worker_drain().await?,
                // One that has much to do hears it before it can say so.
                Err(Silence::Late(_)) => self.have_worker_drain().await?,
                Ok(worker) if worker.running.is_empty() && worker.node_busy != Some(true) => return Ok(()),
                Ok(_) => {}
                // It has not come up, or tells its status elsewhere: it has its own time to stop.
                Err(Silence::Nobody(_)) => return Ok(()),
                // One that runs and does not answer may have work that goes on.
                Err(silence) => {
                    if self.systemd.worker_state().await.map_err(undone)?.activity != Activity::Active {
                        return Ok(());
                    }
                    log::debug!("whether the worker has finished is not known: {silence}");
                }
            }
            sleep(LOOK).await;
        }
    }

    async fn have_worker_drain(&self) -> Result<(), Undone> {
        match self.systemd.tell_worker(true).await {
            Err(refused @ Error::Refused { .. }) => Err(undone(refused)),
            // It may have ended just now.
            Err(e) => {
                log::debug!("the worker was not told to drain: {e}");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    pub(super) async fn drain(&self, drain: Drain) -> Outcome {
        let within = drain.deadline_s.map(|s| Duration::from_secs(s.get().into()));
        self.finish_work("drained by command", within, drain.mode).await
    }

    /// Takes work again.
    pub(super) async fn undrain(&self) -> Outcome {
        self.systemd.undrain(self.take(), SOON).await.map_err(undone)?;
        // One that was not stopped drains still; one that has much to do cannot say so, and minds no second word.
        let drains = match worker_status::read_for_command(&self.reach.worker).await {
            Ok(worker) => worker.state == WorkerState::Draining,
            Err(silence) => matches!(silence, Silence::Late(_)),
        };
        if drains {
            self.systemd.tell_worker(false).await.map_err(undone)?;
        }
        Ok(Map::new())
    }

    /// Holds off reboots again where the node was drained before the agent started.
    pub async fn hold_again(&self) {
        match self.systemd.hold("drained").await {
            Ok(hold) => self.keep(Some(hold)),
            Err(e) => log::warn!("the node is drained, but reboots are not held off: {e}"),
        }
    }

    /// Stops a worker that came up with the machine though the node is drained.
    pub async fn stop_again(&self) {
        // One that drains does not take its time.
        if let Err(e) = self.systemd.tell_worker(true).await {
            log::debug!("the worker was not told to drain: {e}");
        }
        if let Err(e) = self.systemd.stop_worker(SOON).await {
            log::error!("the node is drained, but its worker was not stopped: {e}");
        }
    }

    pub(super) async fn restart(&self, restart: RestartWorker, force: bool) -> Outcome {
        if restart.slot.is_some_and(|slot| slot > 0) {
            return Err(Undone::for_good("no_such_slot", "this node has one worker, slot 0"));
        }
        if !force {
            let why = match worker_status::read_for_command(&self.reach.worker).await {
                Ok(worker) => (!worker.running.is_empty()).then(|| "the worker is at work".to_owned()),
                // It may have too much to do for an answer.
                Err(silence @ Silence::Late(_)) => Some(silence.to_string()),
                Err(_) => None,
            };
            if let Some(why) = why {
                return Err(Undone::for_now("worker_busy", format!("{why}; drain it first, or use force")));
            }
        }
        self.systemd.restart_worker(SOON).await.map_err(undone)?;
        Ok(Map::new())
    }

    pub(super) async fn reboot(&self) -> Outcome {
        // Our own hold would keep us from it.
        drop(self.take());
        self.systemd.reboot().await.map_err(undone)?;
        Ok(Map::new())
    }

    pub(super) async fn power_off(&self) -> Outcome {
        drop(self.take());
        self.systemd.power_off().await.map_err(undone)?;
        Ok(Map::new())
    }

    pub(super) async fn clean_up(
        &self,
        command: CommandId,
        op: &Op,
        order: Option<&Order>,
        resume_work: bool,
    ) -> Outcome {
        let given_back = match order {
            Some(order) => self.give_back(order).await,
            None => Ok(Map::new()),
        };
        if let Op::Batch(_) = op {
            let id = batch_of(command);
            self.systemd.stop_batch(&id, SOON).await.map_err(undone)?;
            batch::forget_quietly(Path::new(ORDERS), &id);
        }
        if resume_work {
            self.undrain().await?;
        }
        given_back
    }
}

pub(super) fn batch_of(command: CommandId) -> BatchId {
    command.to_string().parse().expect("a ULID is 26 letters and digits")
}
