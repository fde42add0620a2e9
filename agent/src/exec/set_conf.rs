//! `set-conf`: the worker's settings. New ones are tried by the worker itself before they are put in force, and the old ones
//! stay beside them until the node was found well.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use reelmill_api::fleet::{args::SetConf, state::Phase};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::{
    files::{self, PRIVATE, PUBLIC},
    settings::Settings,
    worker_env::WorkerEnv,
};
use crate::{
    deeds::{Outcome, Undone},
    systemd::{
        Activity, Error, Systemd,
        journal::{self, Priority, Query},
        unit::UnitName,
    },
};

/// The settings in force, in the state folder; the worker's units read them as `EnvironmentFile=-`.
pub const IN_FORCE: &str = "worker.env";
/// Those that are tried; the unit below reads them.
const PENDING: &str = "worker.env.pending";
/// Those that were in force before, until the new ones are there for good. Empty: there were none.
const BEFORE: &str = "worker.env.before";
/// The unit that runs the worker's own check with the pending settings, as the worker's user.
const CHECK: &str = "reelmill-exec-check.service";
/// Reading settings takes no time.
const CHECK_LIMIT: Duration = Duration::from_secs(120);
/// A worker hands back what it has within its own time limit, and proving a GPU takes a while.
const RESTART_LIMIT: Duration = Duration::from_secs(600);

/// The files of it.
struct Files {
    in_force: PathBuf,
    pending: PathBuf,
    before: PathBuf,
}

/// Does one part.
///
/// # Errors
/// What kept it from being done.
pub async fn part(settings: &Settings, set: &SetConf, part: Phase, stop: &CancellationToken) -> Outcome {
    let of = |name| settings.state(name);
    let files = Files { in_force: of(IN_FORCE), pending: of(PENDING), before: of(BEFORE) };
    match part {
        Phase::Check => files.check(set, stop).await,
        Phase::Activate => files.activate(set).await,
        Phase::Commit => files.commit(set),
        _ => files.undo().await,
    }
}

/// The version of the settings that came by command; 0: none did.
pub fn version(settings: &Settings) -> u64 {
    version_in(&settings.state(IN_FORCE))
}

/// The same from the file with the settings in force, which the agent reads too.
pub fn version_in(file: &Path) -> u64 {
    let text = std::fs::read_to_string(file).ok();
    text.and_then(|text| text.parse().ok()).map_or(0, |env: WorkerEnv| env.ver.get())
}

impl Files {
    async fn check(&self, set: &SetConf, stop: &CancellationToken) -> Outcome {
        let now = self.now()?;
        let next = WorkerEnv::after(now.as_ref(), set).map_err(|e| Undone::for_good("old_version", e.to_string()))?;
        files::replace(&self.pending, next.to_string().as_bytes(), PUBLIC).map_err(|e| disk(&self.pending, &e))?;
        let tried = tokio::select! {
            tried = try_pending() => tried,
            () = stop.cancelled() => Err(Undone::for_now("stopped", "the check was asked to end")),
        };
        if tried.is_err() {
            files::forget(&self.pending).map_err(|e| disk(&self.pending, &e))?;
        }
        tried.map(|()| Map::new())
    }

    async fn activate(&self, set: &SetConf) -> Outcome {
        let pending = files::read(&self.pending).map_err(|e| disk(&self.pending, &e))?;
        if pending.is_some() {
            let old = files::read(&self.in_force).map_err(|e| disk(&self.in_force, &e))?.unwrap_or_default();
            files::replace(&self.before, &old, PRIVATE).map_err(|e| disk(&self.before, &e))?;
            files::take_over(&self.pending, &self.in_force).map_err(|e| disk(&self.in_force, &e))?;
        } else if self.now()?.is_none_or(|now| now.ver.get() != set.ver) {
            return Err(Undone::for_good("not_checked", "the settings that were checked are not there any more"));
        }
        result(set, restart_worker().await?)
    }

    fn commit(&self, set: &SetConf) -> Outcome {
        files::forget(&self.before).map_err(|e| disk(&self.before, &e))?;
        Ok(Map::from_iter([("conf_ver".to_owned(), set.ver.into())]))
    }

    async fn undo(&self) -> Outcome {
        files::forget(&self.pending).map_err(|e| disk(&self.pending, &e))?;
        match files::read(&self.before).map_err(|e| disk(&self.before, &e))? {
            None => return Ok(Map::new()),
            Some(old) if old.is_empty() => files::forget(&self.in_force).map_err(|e| disk(&self.in_force, &e))?,
            // A copy: whoever dies before the worker was restarted finds the old ones here again.
            Some(old) => files::replace(&self.in_force, &old, PUBLIC).map_err(|e| disk(&self.in_force, &e))?,
        }
        let restarted = restart_worker().await?;
        files::forget(&self.before).map_err(|e| disk(&self.before, &e))?;
        Ok(Map::from_iter([("restarted".to_owned(), restarted.into())]))
    }

    fn now(&self) -> Result<Option<WorkerEnv>, Undone> {
        let Some(bytes) = files::read(&self.in_force).map_err(|e| disk(&self.in_force, &e))? else { return Ok(None) };
        let read = String::from_utf8_lossy(&bytes).parse().map(Some);
        read.map_err(|e| Undone::for_good("not_ours", format!("{}: {e}", self.in_force.display())))
    }
}

/// Has the worker look at the pending settings.
async fn try_pending() -> Result<(), Undone> {
    let unit: UnitName = CHECK.parse().expect("a unit of ours");
    match Systemd::new(unit.clone()).restart_worker(CHECK_LIMIT).await {
        Ok(()) => Ok(()),
        Err(Error::Failed { .. }) => {
            let said = last_words(unit).await;
            Err(Undone::for_good("bad_settings", format!("the worker cannot use these settings: {said}")))
        }
        Err(e) => Err(undone(&e)),
    }
}

/// What the check said, as far as the journal has it.
async fn last_words(unit: UnitName) -> String {
    if let Err(e) = journal::sync().await {
        log::debug!("the last lines may be missing: {e}");
    }
    let query = Query { unit: Some(unit), priority: Priority::Debug, lines: 20, within: CHECK_LIMIT };
    let entries = journal::read(&query).await.unwrap_or_default();
    let said = entries.iter().filter(|entry| entry.identifier.as_deref() != Some("systemd"));
    let said: Vec<&str> = said.map(|entry| entry.message.as_str()).collect();
    if said.is_empty() {
        return format!("see `journalctl -u {CHECK}`");
    }
    said[said.len().saturating_sub(3)..].join("; ")
}

/// Gives a worker its settings; whether there was one. One that was stopped on purpose stays so, and reads them when it is
/// started.
async fn restart_worker() -> Result<bool, Undone> {
    let systemd = Systemd::new(UnitName::worker());
    let state = systemd.worker_state().await.map_err(|e| undone(&e))?;
    if !state.installed || matches!(state.activity, Activity::Inactive | Activity::Deactivating) {
        return Ok(false);
    }
    systemd.restart_worker(RESTART_LIMIT).await.map_err(|e| undone(&e))?;
    Ok(true)
}

fn result(set: &SetConf, restarted: bool) -> Outcome {
    Ok(Map::from_iter([("conf_ver".to_owned(), set.ver.into()), ("restarted".to_owned(), Value::Bool(restarted))]))
}

fn undone(error: &Error) -> Undone {
    let told = reelmill_daemon::report::render(error);
    Undone::for_now("service_manager", told.trim_start_matches("error: ").replace('\n', "; "))
}

fn disk(file: &Path, error: &io::Error) -> Undone {
    Undone::for_now("disk", format!("cannot keep {}: {error}", file.display()))
}
