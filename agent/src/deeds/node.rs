//! The deeds on a real node: by its service manager, its journal and the worker's own examination.

use std::{
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reelmill_api::fleet::{
    CommandId, Op,
    args::{Batch, LogsTail, RestartWorker, SelfTest},
};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::{Deed, Deeds, Outcome, Told, Undone};
use crate::systemd::{
    Error, Inhibitor, Systemd,
    journal::{self, Priority, Query},
    unit::{BatchId, UnitName},
};

/// What this node does; what needs root is not among it.
const ABLE: [&str; 8] = ["drain", "undrain", "restart-worker", "logs-tail", "self-test", "batch", "reboot", "poweroff"];
/// As long as a worker may finish what it has, if nobody says how long.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// As long as a unit may take to start or to stop.
const SOON: Duration = Duration::from_secs(120);
/// How far back a journal is read.
const A_WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Whether the worker is at work just now.
pub type IsBusy = Arc<dyn Fn() -> bool + Send + Sync>;

/// Does it on this node.
pub struct OnNode {
    systemd: Systemd,
    is_busy: IsBusy,
    /// Held while the node is drained: nobody reboots it then by mistake.
    drain: Mutex<Option<Inhibitor>>,
}

impl OnNode {
    /// The node of this service manager. `is_busy` says whether its worker is at work.
    pub fn new(systemd: Systemd, is_busy: IsBusy) -> Self {
        Self { systemd, is_busy, drain: Mutex::new(None) }
    }

    /// Holds off reboots again where the node was drained before the agent started.
    pub async fn hold_again(&self) {
        match self.systemd.hold("drained").await {
            Ok(drain) => self.keep(Some(drain)),
            Err(e) => log::warn!("the node is drained, but reboots are not held off: {e}"),
        }
    }

    fn keep(&self, drain: Option<Inhibitor>) {
        *self.drain.lock().unwrap_or_else(PoisonError::into_inner) = drain;
    }

    fn take(&self) -> Option<Inhibitor> {
        self.drain.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    async fn drain(&self, why: &str, within: Option<Duration>) -> Outcome {
        let drain = self.systemd.drain(why, within.unwrap_or(A_DAY)).await.map_err(undone)?;
        self.keep(Some(drain));
        Ok(Map::new())
    }

    async fn undrain(&self) -> Outcome {
        self.systemd.undrain(self.take(), SOON).await.map_err(undone)?;
        Ok(Map::new())
    }

    async fn act(&self, command: CommandId, op: Op, force: bool) -> Outcome {
        match op {
            Op::Drain(drain) => {
                self.drain("drained by command", drain.deadline_s.map(|s| Duration::from_secs(s.get().into()))).await
            }
            Op::Undrain(_) => self.undrain().await,
            Op::RestartWorker(restart) => self.restart(restart, force).await,
            Op::LogsTail(tail) => tail_of(&tail).await,
            Op::SelfTest(test) => examine(&test).await,
            Op::Batch(batch) => self.batch(command, &batch).await,
            Op::Reboot(_) => {
                // Our own hold would keep us from it.
                drop(self.take());
                self.systemd.reboot().await.map_err(undone)?;
                Ok(Map::new())
            }
            Op::Poweroff(_) => {
                drop(self.take());
                self.systemd.power_off().await.map_err(undone)?;
                Ok(Map::new())
            }
            op => Err(Undone::for_good("not_supported", format!("this node cannot do `{}`", op.as_str()))),
        }
    }

    async fn restart(&self, restart: RestartWorker, force: bool) -> Outcome {
        if restart.slot.is_some_and(|slot| slot > 0) {
            return Err(Undone::for_good("no_such_slot", "this node has one worker, slot 0"));
        }
        if !force && (self.is_busy)() {
            return Err(Undone::for_now("worker_busy", "the worker is at work; drain it first, or use force"));
        }
        self.systemd.restart_worker(SOON).await.map_err(undone)?;
        Ok(Map::new())
    }

    async fn batch(&self, command: CommandId, batch: &Batch) -> Outcome {
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

    async fn clean_up(&self, command: CommandId, op: &Op, resume_work: bool) -> Outcome {
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

impl Deeds for OnNode {
    fn able(&self) -> Vec<&'static str> {
        ABLE.to_vec()
    }

    async fn perform(&self, command: CommandId, deed: Deed, _: Told, stop: CancellationToken) -> Outcome {
        let work = async {
            match deed {
                Deed::FinishWork { within, .. } => self.drain("a command ends the work on this node", within).await,
                Deed::Perform { op, force } => self.act(command, op, force).await,
                Deed::Part { order, .. } => {
                    let op = order.command.op.as_str();
                    Err(Undone::for_good("not_supported", format!("this node cannot do `{op}`")))
                }
                Deed::CleanUp { op, resume_work } => self.clean_up(command, &op, resume_work).await,
            }
        };
        tokio::select! {
            outcome = work => outcome,
            () = stop.cancelled() => Err(Undone::for_now("stopped", "it was asked to end")),
        }
    }
}

fn batch_of(command: CommandId) -> BatchId {
    command.to_string().parse().expect("a ULID is 26 letters and digits")
}

/// What the service manager says, as the command's fault.
fn undone(error: Error) -> Undone {
    let code = match &error {
        Error::Refused { .. } => "refused",
        Error::NotInstalled { .. } => "no_such_unit",
        Error::Failed { .. } => "unit_failed",
        Error::HeldOff { .. } => "held_off",
        Error::TimedOut { .. } => "too_slow",
        Error::Bus { .. } => "no_service_manager",
    };
    Undone::for_now(code, reelmill_daemon::report::render(&error).trim_start_matches("error: ").replace('\n', "; "))
}

/// The end of a unit's journal.
async fn tail_of(tail: &LogsTail) -> Outcome {
    let unit: UnitName = tail.unit.as_str().parse().map_err(|e| Undone::for_good("not_ours", format!("{e}")))?;
    if tail.ttl_s.is_some() {
        return Err(Undone::for_good("not_supported", "this agent does not follow a journal; leave ttl_s out"));
    }
    let query = Query { unit: Some(unit), priority: Priority::Debug, lines: tail.lines.get(), within: A_WEEK };
    let entries = journal::read(&query).await.map_err(|e| Undone::for_now("no_journal", e.to_string()))?;
    // The newest that fit into a message.
    let mut room = 12 * 1024;
    let fits = entries.iter().rev().map(|entry| entry.message.as_str()).take_while(|line| {
        room -= i64::try_from(line.len()).unwrap_or(i64::MAX).saturating_add(8);
        room >= 0
    });
    let mut lines: Vec<Value> = fits.map(Value::from).collect();
    lines.reverse();
    let left_out = entries.len() - lines.len();
    Ok(Map::from_iter([("lines".to_owned(), Value::from(lines)), ("left_out".to_owned(), left_out.into())]))
}

/// A short real encode: the worker examines its machine by one with each engine.
async fn examine(test: &SelfTest) -> Outcome {
    if test.preset.is_some() {
        return Err(Undone::for_good("not_supported", "the worker tests each engine; leave preset out"));
    }
    let mut command = tokio::process::Command::new("reelmill-worker");
    command.args(["doctor", "--json"]).stdin(Stdio::null()).kill_on_drop(true);
    let limit = Duration::from_secs(test.seconds.get().into());
    let output = tokio::time::timeout(limit, command.output()).await;
    let output =
        output.map_err(|_| Undone::for_now("too_slow", format!("it took longer than {} s", limit.as_secs())))?;
    let output = output.map_err(|e| Undone::for_now("no_worker", format!("cannot run reelmill-worker doctor: {e}")))?;
    let Ok(Value::Object(found)) = serde_json::from_slice(&output.stdout) else {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.trim().lines().last().unwrap_or_default();
        return Err(Undone::for_now("no_answer", format!("reelmill-worker doctor --json: {}: {last}", output.status)));
    };
    if output.status.success() {
        return Ok(found);
    }
    let missing = found.get("findings").and_then(Value::as_array).into_iter().flatten();
    let missing =
        missing.filter(|finding| finding["state"] == "missing").filter_map(|finding| finding["what"].as_str());
    Err(Undone::for_now("unfit", format!("missing: {}", missing.collect::<Vec<_>>().join(", "))))
}
