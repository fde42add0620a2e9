//! Deeds on their way: each in a task of its own, so that one that hangs or breaks holds up nothing.

use std::{sync::Arc, time::Duration};

use reelmill_api::fleet::CommandId;
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    core::Event,
    deeds::{Deed, Deeds, Outcome, Told, Undone},
};

/// How long a deed may take to end once it was asked to.
const PATIENCE: Duration = Duration::from_secs(10);

/// Begins a deed; its progress and its end are told to `tell`.
pub(super) fn begin<D: Deeds>(
    deeds: Arc<D>,
    id: CommandId,
    deed: Deed,
    stop: CancellationToken,
    tell: mpsc::Sender<Event>,
) {
    let progress = tell.clone();
    let told: Told = Arc::new(move |percent| {
        // Progress that nobody has time for is not worth waiting.
        let _ = progress.try_send(Event::Told(id, percent));
    });
    let asked = stop.clone();
    let work = tokio::spawn(async move { deeds.perform(id, deed, told, asked).await });
    tokio::spawn(async move {
        let outcome = end(work, stop).await;
        // Nobody listens any more when the agent ends.
        let _ = tell.send(Event::Done(id, outcome)).await;
    });
}

async fn end(mut work: JoinHandle<Outcome>, stop: CancellationToken) -> Outcome {
    let ended = tokio::select! {
        ended = &mut work => ended,
        () = async { stop.cancelled().await; tokio::time::sleep(PATIENCE).await } => {
            work.abort();
            work.await
        }
    };
    ended.unwrap_or_else(|e| {
        let why =
            if e.is_cancelled() { "it did not end when it was asked to" } else { "it broke off by a fault of ours" };
        Err(Undone::for_now("broken_off", why))
    })
}
