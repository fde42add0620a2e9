//! `factory-reset`: what commands and enrolment have made of this node is forgotten. The helper's ledger stays: a node that
//! forgot what it has done would do it again.

use std::{fs, io, path::Path};

use reelmill_api::fleet::args::FactoryReset;
use serde_json::Map;

use super::{helper, keys::Keys, settings::Settings};
use crate::deeds::{Outcome, Undone};

/// What makes the node this one to its farm, in the agent's folder: without its ledger it could not even tell that it was
/// reset.
const IDENTITY: [&str; 6] = ["ca.pem", "cert.pem", "key.pem", "trust.json", "enrolled.toml", "commands"];

/// Forgets. The worker keeps its present settings until it is started again, and the agent must end now: what it knows is
/// not on the disk any more.
///
/// # Errors
/// If the disk refuses; what is gone is gone.
pub fn forget(settings: &Settings, reset: FactoryReset) -> Outcome {
    let keeps = reset.keep_identity;
    empty(&settings.agent_folder, |name| keeps && IDENTITY.contains(&name))?;
    empty(&settings.state_folder, |name| helper::is_ledger(name) || (keeps && name == Keys::file()))?;
    Ok(Map::from_iter([("kept_identity".to_owned(), keeps.into())]))
}

/// Removes all of a folder but what is to be kept. Links are removed, never followed.
fn empty(folder: &Path, keeps: impl Fn(&str) -> bool) -> Result<(), Undone> {
    let failed = |e: io::Error| Undone::for_now("disk", format!("cannot empty {}: {e}", folder.display()));
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed)?,
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if entry.file_name().to_str().is_some_and(&keeps) {
            continue;
        }
        let is_folder = entry.file_type().map_err(failed)?.is_dir();
        if is_folder { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) }.map_err(failed)?;
    }
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// What is left of a node after a reset, sorted.
    fn left(keep_identity: bool) -> Vec<String> {
        let place = tempfile::tempdir().expect("a temporary folder");
        let (exec, agent, outside) =
            (place.path().join("exec"), place.path().join("agent"), place.path().join("outside"));
        for folder in [&exec, &agent, &outside, &agent.join("spool"), &exec.join("trials")] {
            fs::create_dir(folder).expect("ours");
        }
        for name in ["ledger", "ledger.damaged-1", "trust.json", "worker.env", "bad", "trials/x"] {
            fs::write(exec.join(name), name).expect("ours");
        }
        for name in ["key.pem", "cert.pem", "ca.pem", "trust.json", "commands", "tags.json", "spool/x"] {
            fs::write(agent.join(name), name).expect("ours");
        }
        fs::write(outside.join("kept"), "").expect("ours");
        symlink(&outside, agent.join("link")).expect("ours");
        let settings = Settings { state_folder: exec.clone(), agent_folder: agent.clone(), ..Settings::default() };
        let done = forget(&settings, FactoryReset { keep_identity }).expect("the disk is ours");
        assert_eq!(done["kept_identity"], keep_identity);
        forget(&settings, FactoryReset { keep_identity }).expect("it may come again");
        assert!(outside.join("kept").exists(), "a link is not followed");
        let names = |folder: &Path| {
            let entries = fs::read_dir(folder).expect("ours").map(|entry| entry.expect("ours").path());
            entries
                .map(|path| path.strip_prefix(place.path()).expect("below").display().to_string())
                .collect::<Vec<_>>()
        };
        let mut left = [names(&exec), names(&agent)].concat();
        left.sort();
        left
    }

    #[test]
    fn all_is_forgotten_but_what_was_done() {
        assert_eq!(left(false), ["exec/ledger", "exec/ledger.damaged-1"]);
        assert_eq!(
            left(true),
            [
                "agent/ca.pem",
                "agent/cert.pem",
                "agent/commands",
                "agent/key.pem",
                "agent/trust.json",
                "exec/ledger",
                "exec/ledger.damaged-1",
                "exec/trust.json"
            ]
        );
    }
}
