//! The node's work: finished, taken again, done in batches; and the end of the machine, which nobody may be in the way of.

use std::{path::Path, time::Duration};

use reelmill_api::fleet::{
    CommandId, Op,
    args::{Drain, RestartWorker},
};
use serde_json::Map;

use super::{OnNode, undone};
use crate::{
    deeds::{
        Order, Outcome, Undone,
        batch::{self, ORDERS},
    },
    systemd::unit::BatchId,
};

/// As long as a worker may finish what it has, if nobody says how long.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// As long as a unit may take to start or to stop.
const SOON: Duration = Duration::from_secs(120);

impl OnNode {
    /// Ends the work on this node and holds off reboots.
    pub(super) async fn finish_work(&self, why: &str, within: Option<Duration>) -> Outcome {
        let drain = self.systemd.drain(why, within.unwrap_or(A_DAY)).await.map_err(undone)?;
        self.keep(Some(drain));
        Ok(Map::new())
    }

    pub(super) async fn drain(&self, drain: Drain) -> Outcome {
        self.finish_work("drained by command", drain.deadline_s.map(|s| Duration::from_secs(s.get().into()))).await
    }

    /// Takes work again.
    pub(super) async fn undrain(&self) -> Outcome {
        self.systemd.undrain(self.take(), SOON).await.map_err(undone)?;
        Ok(Map::new())
    }

    pub(super) async fn restart(&self, restart: RestartWorker, force: bool) -> Outcome {
        if restart.slot.is_some_and(|slot| slot > 0) {
            return Err(Undone::for_good("no_such_slot", "this node has one worker, slot 0"));
        }
        if !force && (self.is_busy)() {
            return Err(Undone::for_now("worker_busy", "the worker is at work; drain it first, or use force"));
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
