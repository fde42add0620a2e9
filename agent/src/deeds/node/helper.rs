//! Parts of commands that need root: handed on to the helper, with the message that it judges itself.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reelmill_api::fleet::{Op, Trust, args::NewTrust, state::Phase};
use serde_json::Map;
use tokio_util::sync::CancellationToken;

use super::OnNode;
use crate::{
    deeds::{Order, Outcome, Told, Undone},
    exec::{
        client,
        files::{self, PRIVATE},
        wire::Request,
    },
};

/// How often a helper that goes away in the middle of a part is asked again: the new system may bring a new one.
const TRIES: u32 = 5;
/// And after how long.
const PAUSE: Duration = Duration::from_secs(2);

impl OnNode {
    /// Has a part done. A part may be asked for again, so a helper that is gone is asked once it is back.
    pub(super) async fn part(&self, order: &Order, phase: Phase, told: &Told, stop: &CancellationToken) -> Outcome {
        let request =
            Request::Part { topic: order.topic.to_string(), message: BASE64_STANDARD.encode(&order.message), phase };
        let mut tries = 0;
        let result = loop {
            tries += 1;
            match client::ask(&self.reach.helper, &request, told, stop).await {
                Err(undone) if tries < TRIES && is_gone(&undone) => {
                    log::warn!("{phase:?} of {}: {undone}; it is asked again", order.command.op.as_str());
                    tokio::time::sleep(PAUSE).await;
                }
                outcome => break outcome?,
            }
        };
        if let (Op::Trust(new), Phase::Act) = (&order.command.op, phase) {
            self.keep_trust(new)?;
        }
        Ok(result)
    }

    /// What the helper may still have in hand of a command that is over, it puts back.
    pub(super) async fn give_back(&self, order: &Order) -> Outcome {
        let told: Told = std::sync::Arc::new(|_| ());
        match self.part(order, Phase::Undo, &told, &CancellationToken::new()).await {
            // It came to its end there, and left nothing.
            Err(undone) if undone.code == "ended" => Ok(Map::new()),
            outcome => outcome,
        }
    }

    /// The keys that the helper has taken are the agent's too.
    fn keep_trust(&self, new: &NewTrust) -> Result<(), Undone> {
        let path = &self.reach.trust;
        let document = new.document.payload();
        Trust::parse(document).map_err(|why| Undone::for_good(why.code.as_str(), why.reason.as_str()))?;
        files::replace(path, document, PRIVATE)
            .map_err(|e| Undone::for_now("not_kept", format!("cannot write {}: {e}", path.display())))
    }
}

/// Whether the helper ended, or was not there: another one may come.
fn is_gone(undone: &Undone) -> bool {
    matches!(undone.code.as_str(), "no_helper" | "helper_died")
}
