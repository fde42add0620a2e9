//! Keeping a lease while an attempt gets somewhere, and no longer; and asking whether it is still ours.

use std::{sync::Arc, time::Duration};

use reelmill_api::{ErrorKind, Failure};
use reelmill_queue::{Queue, QueueError, Receipt, SharedQueue};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    pulse::Watch,
    quiet::{Asked, QuietLog},
};

/// How often a lease is extended within the time that it holds.
const EXTENSIONS: u32 = 3;

/// Why a lease is not kept any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lapse {
    /// It has gone to another worker; or the queue could not be reached for as long as it holds, and then it may have.
    Lost,
    /// Nothing moves in the attempt.
    Standstill,
}

/// Extends `receipt` until `done` (`None`), or until it is lost or `watch` sees a standstill. It is extended for progress,
/// not for a process that lives.
pub(crate) async fn keep(
    queue: SharedQueue,
    quiet: Arc<QuietLog>,
    receipt: Receipt,
    lasting: Duration,
    mut watch: Watch,
    done: CancellationToken,
) -> Option<Lapse> {
    let mut holds_until = Instant::now() + lasting;
    loop {
        tokio::select! {
            () = done.cancelled() => return None,
            () = tokio::time::sleep(lasting / EXTENSIONS) => {}
        }
        if watch.is_standstill(lasting / EXTENSIONS) {
            return Some(Lapse::Standstill);
        }
        let asked = Instant::now();
        match quiet.heard(Asked::Extension, queue.extend(&receipt, lasting).await) {
            Ok(()) => holds_until = asked + lasting,
            Err(_) if done.is_cancelled() => return None,
            Err(e @ QueueError::LeaseLost { .. }) => {
                log::warn!("{e}: this attempt is called off");
                return Some(Lapse::Lost);
            }
            Err(e) if Instant::now() >= holds_until => {
                log::warn!("{e}: the lease has run out meanwhile, this attempt is called off");
                return Some(Lapse::Lost);
            }
            // It is tried again before the lease runs out.
            Err(_) => {}
        }
    }
}

/// Keeps a lease for so long while nothing is done under it; whether it is still ours then.
pub(crate) async fn hold(
    queue: &dyn Queue,
    quiet: &QuietLog,
    receipt: &Receipt,
    lasting: Duration,
    longest: Duration,
) -> bool {
    let end = Instant::now() + longest;
    loop {
        if let Err(e @ QueueError::LeaseLost { .. }) =
            quiet.heard(Asked::Extension, queue.extend(receipt, lasting).await)
        {
            log::warn!("{e}: its job is for another to go on with");
            return false;
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        tokio::time::sleep(left.min(lasting / EXTENSIONS)).await;
    }
}

/// Asks whether an attempt may still write where others do, too.
#[derive(Default)]
pub struct Fence(Option<(SharedQueue, Receipt, Duration)>);

impl Fence {
    /// A fence for the task under `receipt`.
    pub fn new(queue: SharedQueue, receipt: Receipt, lasting: Duration) -> Self {
        Self(Some((queue, receipt, lasting)))
    }

    /// Passes while the lease is ours. Where the queue cannot say, it is: the keeper counts how long that may be believed.
    ///
    /// # Errors
    /// `canceled` if the lease is lost.
    pub async fn check(&self) -> Result<(), Failure> {
        let Some((queue, receipt, lasting)) = &self.0 else { return Ok(()) };
        match queue.extend(receipt, *lasting).await {
            Err(e @ QueueError::LeaseLost { .. }) => {
                Err(Failure::new(ErrorKind::Canceled, format!("nothing is published: {e}")))
            }
            Err(e) => {
                log::warn!("{e}: it is published without being asked whether the lease is still ours");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}
