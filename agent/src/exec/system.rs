//! Another system on this node: fetched, checked, put into force for now, and then for good or undone.

use reelmill_api::fleet::{Command, state::Phase};
use tokio_util::sync::CancellationToken;

use crate::deeds::{Outcome, Told, Undone};

/// The node's systems, as Nix keeps them.
#[derive(Debug, Default)]
pub struct System;

impl System {
    /// Does one part of a `switch` or a `rollback`. The same part may come again after the helper or the machine died in it.
    ///
    /// # Errors
    /// What kept it from being done.
    pub async fn part(&self, command: &Command, phase: Phase, _told: &Told, _stop: &CancellationToken) -> Outcome {
        let what = format!("this node cannot do `{}` ({phase:?})", command.op.as_str());
        Err(Undone::for_good("not_supported", what))
    }
}
