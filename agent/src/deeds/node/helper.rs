//! Parts of commands that need root: handed on to the helper, with the message that it judges itself.

use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reelmill_api::fleet::{Op, Trust, args::NewTrust, state::Phase};
use serde_json::Map;
use tokio_util::sync::CancellationToken;

use super::OnNode;
use crate::{
    deeds::{Order, Outcome, Told, Undone},
    exec::{client, wire::Request},
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
        replace(path, document)
            .map_err(|e| Undone::for_now("not_kept", format!("cannot write {}: {e}", path.display())))
    }
}

/// Whether the helper ended, or was not there: another one may come.
fn is_gone(undone: &Undone) -> bool {
    matches!(undone.code.as_str(), "no_helper" | "helper_died")
}

/// Replaces a file in one step that a power cut cannot halve.
fn replace(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("trust.json");
        for content in ["one", "longer than one", "2"] {
            replace(&path, content.as_bytes()).expect("there is room");
            assert_eq!(fs::read_to_string(&path).expect("it is there"), content);
        }
        let names: Vec<_> = fs::read_dir(folder.path()).expect("ours").map(|e| e.expect("ours").file_name()).collect();
        assert_eq!(names, ["trust.json"], "nothing is left beside it");
    }
}
