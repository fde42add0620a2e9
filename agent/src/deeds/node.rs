//! The deeds on a real node, each party in a file of its own; here is who does what.

use std::sync::{Mutex, PoisonError};

use reelmill_api::fleet::{CommandId, Op};
use tokio_util::sync::CancellationToken;

use super::{Deed, Deeds, Outcome, Told, Undone};
use crate::{
    enrol::{self, renew},
    exec::client,
    systemd::{Error, Inhibitor, Systemd},
};

mod helper;
mod own;
mod reach;
mod verify;
mod work;

pub use own::{Parts, Say};
pub use reach::{Reach, See, Sight};

/// What this node does without root.
const ABLE: [&str; 10] =
    ["drain", "undrain", "restart-worker", "logs-tail", "self-test", "batch", "reboot", "poweroff", "tags", "diag"];

/// What it does where there is a root helper.
const ABLE_WITH_HELPER: [&str; 7] =
    ["switch", "rollback", "firmware", "set-conf", "power-mode", "trust", "factory-reset"];

/// What it does where a hub has made its certificate.
const ABLE_ENROLLED: [&str; 1] = ["rotate-cred"];

/// Does it on this node.
pub struct OnNode {
    systemd: Systemd,
    reach: Reach,
    parts: Parts,
    /// Held while the node is drained: nobody reboots it then by mistake.
    drain: Mutex<Option<Inhibitor>>,
}

impl OnNode {
    /// The node of this service manager.
    pub fn new(systemd: Systemd, reach: Reach, parts: Parts) -> Self {
        Self { systemd, reach, parts, drain: Mutex::new(None) }
    }

    fn keep(&self, drain: Option<Inhibitor>) {
        *self.drain.lock().unwrap_or_else(PoisonError::into_inner) = drain;
    }

    fn take(&self) -> Option<Inhibitor> {
        self.drain.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// One line for each operation that the agent does by itself.
    async fn act(&self, command: CommandId, op: Op, force: bool, told: &Told) -> Outcome {
        match op {
            Op::Drain(drain) => self.drain(drain).await,
            Op::Undrain(_) => self.undrain().await,
            Op::RestartWorker(restart) => self.restart(restart, force).await,
            Op::LogsTail(tail) => self.tail(command, &tail).await,
            Op::Tags(tags) => self.change_tags(&tags),
            Op::Diag(diag) => self.diagnose(&diag, told).await,
            Op::SelfTest(test) => self.self_test(command, &test).await,
            Op::Batch(batch) => self.batch(command, &batch).await,
            Op::Reboot(_) => self.reboot().await,
            Op::Poweroff(_) => self.power_off().await,
            Op::RotateCred(_) => renew::rotate(&self.reach.state_folder, &self.reach).await,
            op => Err(not_supported(&op)),
        }
    }
}

impl Deeds for OnNode {
    fn able(&self) -> Vec<&'static str> {
        let helped: &[_] = if client::is_there(&self.reach.helper) { &ABLE_WITH_HELPER } else { &[] };
        let enrolled: &[_] = if enrol::is_enrolled(&self.reach.state_folder).is_some() { &ABLE_ENROLLED } else { &[] };
        [&ABLE[..], helped, enrolled].concat()
    }

    async fn perform(&self, command: CommandId, deed: Deed, told: Told, stop: CancellationToken) -> Outcome {
        let work = async {
            match deed {
                Deed::FinishWork { within, then } => {
                    self.finish_work("a command ends the work on this node", within, then).await
                }
                Deed::Perform { op, force } => self.act(command, op, force, &told).await,
                Deed::Part { order, phase } => self.part(&order, phase, &told, &stop).await,
                Deed::Verify { op, verify, before, takes_work } => self.verify(&op, verify, before, takes_work).await,
                Deed::CleanUp { op, order, resume_work } => {
                    self.clean_up(command, &op, order.as_deref(), resume_work).await
                }
            }
        };
        tokio::select! {
            outcome = work => outcome,
            () = stop.cancelled() => Err(Undone::for_now("stopped", "it was asked to end")),
        }
    }
}

fn not_supported(op: &Op) -> Undone {
    Undone::for_good("not_supported", format!("this node cannot do `{}`", op.as_str()))
}

/// What the service manager says, as the command's fault.
pub(super) fn undone(error: Error) -> Undone {
    let code = match &error {
        Error::Refused { .. } => "refused",
        Error::NotInstalled { .. } => "no_such_unit",
        Error::Failed { .. } => "unit_failed",
        Error::HeldOff { .. } => "held_off",
        Error::TimedOut { .. } => "too_slow",
        Error::Bus { .. } => "no_service_manager",
    };
    Undone::for_now(code, in_words(&error))
}

/// An error with its causes and hints on one line.
pub(super) fn in_words(error: &(dyn std::error::Error + 'static)) -> String {
    reelmill_daemon::report::render(error).trim_start_matches("error: ").replace('\n', "; ")
}
