//! Keeping a lease while an attempt runs, and calling the attempt off when the lease is lost.

use std::time::Duration;

use reelmill_queue::{QueueError, Receipt, SharedQueue};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often a lease is extended within the time that it holds.
const EXTENSIONS: u32 = 3;

/// Extends `receipt` until `done`. Cancels `lost` when the lease has gone to another worker, or when the queue could not
/// be reached for as long as the lease holds: then it may have.
///
/// A run that makes no progress is killed by its engine's stall watch, so an extended lease means that work goes on.
pub async fn keep(
    queue: SharedQueue,
    receipt: Receipt,
    lasting: Duration,
    done: CancellationToken,
    lost: CancellationToken,
) {
    let mut holds_until = Instant::now() + lasting;
    loop {
        tokio::select! {
            () = done.cancelled() => return,
            () = tokio::time::sleep(lasting / EXTENSIONS) => {}
        }
        let asked = Instant::now();
        match queue.extend(&receipt, lasting).await {
            Ok(()) => holds_until = asked + lasting,
            Err(e @ QueueError::LeaseLost { .. }) => {
                log::warn!("{e}: this attempt is called off");
                return lost.cancel();
            }
            Err(e) if Instant::now() >= holds_until => {
                log::warn!("{e}: the lease has run out meanwhile, this attempt is called off");
                return lost.cancel();
            }
            Err(e) => log::warn!("{e}: trying again before the lease runs out"),
        }
    }
}
