//! The dead-man: what happens to a change that nobody confirms, whether the machine stays up or comes up again.

use std::time::Duration;

use super::{
    change::{self, Changes},
    decide::{self, AfterBoot, OnFire},
    record::Pending,
};
use crate::deeds::Undone;

/// Whoever changes something now ends soon; who hangs must not keep the old system from coming back.
const LOCK_LIMIT: Duration = Duration::from_secs(60);

/// The time is over.
///
/// # Errors
/// If the record cannot be read or written.
pub async fn on_fire(changes: &Changes) -> Result<(), Undone> {
    let _lock = changes.records.lock(LOCK_LIMIT).await?;
    let Some(change) = changes.records.pending()? else { return Ok(()) };
    match decide::on_fire(&change) {
        OnFire::Nothing => Ok(()),
        OnFire::Finish => finish(changes, change).await,
        OnFire::Undo(why) => back_or_boot(changes, change, &why).await,
    }
}

/// A commit that cannot be finished now is undone.
async fn finish(changes: &Changes, change: Pending) -> Result<(), Undone> {
    match changes.commit(change.clone()).await {
        Ok(()) => Ok(()),
        Err(e) => back_or_boot(changes, change, &format!("it could not be confirmed: {e}")).await,
    }
}

/// The old system comes back; where it does not, a boot brings it: the boot loader starts it.
async fn back_or_boot(changes: &Changes, change: Pending, why: &str) -> Result<(), Undone> {
    match changes.undo(change, why, true).await {
        Err(e) if e.code == "undo_failed" => {
            log::error!("{e}");
            change::reboot().await
        }
        done => done,
    }
}

/// The machine has booted.
///
/// # Errors
/// If the record cannot be read or written, or a dead-man cannot be armed.
pub async fn after_boot(changes: &Changes) -> Result<(), Undone> {
    let _lock = changes.records.lock(LOCK_LIMIT).await?;
    let Some(change) = changes.records.pending()? else { return Ok(()) };
    match decide::after_boot(&change, &changes.facts()?) {
        AfterBoot::Nothing => Ok(()),
        AfterBoot::Arm => {
            log::warn!("{} runs on trial: it is undone in {} s unless it is confirmed", change.new, change.deadline_s);
            changes.arm(&change).await
        }
        AfterBoot::Finish | AfterBoot::Undo { .. } => settle(changes).await,
    }
}

/// Ends what a boot has decided. Whoever changes something does this first, whether or not the node has done it at its boot; and
/// has the lock.
///
/// # Errors
/// If the record cannot be read or written.
pub async fn settle(changes: &Changes) -> Result<(), Undone> {
    let Some(change) = changes.records.pending()? else { return Ok(()) };
    match decide::after_boot(&change, &changes.facts()?) {
        AfterBoot::Nothing | AfterBoot::Arm => Ok(()),
        AfterBoot::Finish => finish(changes, change).await,
        AfterBoot::Undo { why, bad } => changes.undo(change, &why, bad).await,
    }
}
