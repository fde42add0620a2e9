//! The node's work: finished, taken again, done in batches; and the end of the machine, which nobody may be in the way of.

use std::time::Duration;

use reelmill_api::fleet::{
    CommandId, Op,
    args::{Batch, Drain, RestartWorker},
};
use serde_json::{Map, Value};

use super::{OnNode, undone};
use crate::{
    deeds::{Outcome, Undone},
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

    pub(super) async fn batch(&self, command: CommandId, batch: &Batch) -> Outcome {
        if *batch != Batch::default() {
            return Err(Undone::for_good("not_supported", "a batch takes the settings of the node's own worker"));
        }
        let outcome = self.systemd.run_batch(&batch_of(command)).await.map_err(undone)?;
        let result = match serde_json::to_value(&outcome) {
            Ok(Value::Object(result)) => result,
            _ => Map::new(),
        };
        if outcome.is_success() {
            return Ok(result);
        }
        Err(Undone::for_now("worker_failed", format!("the batch ended with {}", Value::from(result))))
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

    pub(super) async fn clean_up(&self, command: CommandId, op: &Op, resume_work: bool) -> Outcome {
        if let Op::Batch(_) = op {
            self.systemd.stop_batch(&batch_of(command), SOON).await.map_err(undone)?;
        }
        let stops_work = matches!(op, Op::Drain(_) | Op::Reboot(_) | Op::Poweroff(_));
        if stops_work && resume_work {
            return self.undrain().await;
        }
        Ok(Map::new())
    }
}

fn batch_of(command: CommandId) -> BatchId {
    command.to_string().parse().expect("a ULID is 26 letters and digits")
}
