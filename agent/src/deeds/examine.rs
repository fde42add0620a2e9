//! An examination of the node by real encodes. The agent's own unit has neither the memory nor the devices for that, and what
//! a media program eats there would end the agent: so it is a unit of the worker's user, begun and given its preset as a batch
//! is. It leaves what it found in a folder that the agent may read.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    time::Duration,
};

use anyhow::Context as _;
use reelmill_api::{PresetName, fleet::args::Batch};
use serde_json::{Map, Value};

use super::{
    Outcome, Undone,
    batch::{self, ORDERS},
    undone,
};
use crate::systemd::{Systemd, unit::BatchId};

/// The folder that systemd makes for examinations, and the worker's user may write to.
pub const ANSWERS: &str = "/run/reelmill-examine";
/// The longest answer that is read.
const LONGEST: u64 = 1 << 20;
/// A unit that is stopped in the middle kills what it runs.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// What the worker finds within `limit`. What is missing is a failure; where a preset is named, also that it cannot be encoded
/// here.
///
/// # Errors
/// If it cannot be run, takes too long, tells nothing, or something is missing.
pub async fn run(systemd: &Systemd, id: &BatchId, preset: Option<&PresetName>, limit: Duration) -> Outcome {
    let (orders, answers) = (Path::new(ORDERS), Path::new(ANSWERS));
    let order = Batch { presets: preset.cloned().into_iter().collect(), ..Batch::default() };
    batch::order(orders, id, &order).map_err(|e| Undone::for_now("no_order", format!("cannot write an order: {e}")))?;
    let ran = tokio::time::timeout(limit, systemd.run_examination(id)).await;
    batch::forget_quietly(orders, id);
    let Ok(ran) = ran else {
        systemd.stop_examination(id, STOP_LIMIT).await.map_err(undone)?;
        return Err(Undone::for_now("too_slow", format!("it took longer than {} s", limit.as_secs())));
    };
    let ended = ran.map_err(undone)?;
    let told = batch::read_small(&answer_of(answers, id), LONGEST).ok().flatten();
    let Some(Ok(Value::Object(found))) = told.map(|json| serde_json::from_slice(&json)) else {
        let how = serde_json::to_string(&ended).unwrap_or_default();
        return Err(Undone::for_now("no_answer", format!("{} told nothing and ended with {how}", id.examination())));
    };
    if ended.is_success() { Ok(found) } else { Err(unfit(&found)) }
}

fn unfit(found: &Map<String, Value>) -> Undone {
    let findings = found.get("findings").and_then(Value::as_array).into_iter().flatten();
    let missing = findings.filter(|finding| finding["state"] == "missing").filter_map(|f| f["what"].as_str());
    Undone::for_now("unfit", format!("missing: {}", missing.collect::<Vec<_>>().join(", ")))
}

/// Runs `command`, which is the worker with its arguments, with the preset of the order, and leaves what it prints where the
/// agent finds it; ends as it does.
///
/// # Errors
/// If there is an order that is none, the worker cannot be run, or its answer cannot be left.
pub fn leave_answer(orders: &Path, answers: &Path, id: &BatchId, command: &[String]) -> anyhow::Result<ExitCode> {
    let path = answer_of(answers, id);
    let cannot = || format!("cannot leave an answer at {}", path.display());
    // One of an earlier examination would be taken for this one's.
    fs::remove_file(&path).or_else(|e| if path.exists() { Err(e) } else { Ok(()) }).with_context(cannot)?;
    let mut worker = batch::worker(orders, id, command)?;
    let ran = worker.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let ran = ran.with_context(|| format!("cannot run {}", worker.get_program().display()))?;
    let half = path.with_extension("half");
    fs::write(&half, &ran.stdout).with_context(cannot)?;
    // The agent's user reads it; there is no secret in it.
    fs::set_permissions(&half, fs::Permissions::from_mode(0o644)).with_context(cannot)?;
    fs::rename(&half, &path).with_context(cannot)?;
    let code = ran.status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

fn answer_of(answers: &Path, id: &BatchId) -> PathBuf {
    answers.join(format!("{}.json", id.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_left_for_all_to_read_and_an_older_one_never_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        let id: BatchId = "01J8".parse().expect("an id");
        let path = answer_of(folder.path(), &id);
        let leave = |script: &str| {
            let command = ["/bin/sh", "-c", script].map(str::to_owned);
            leave_answer(folder.path(), folder.path(), &id, &command)
                .map(|_| fs::read_to_string(&path).expect("an answer"))
        };
        assert_eq!(leave("echo one").expect("left"), "one\n");
        assert_eq!(leave("echo two; exit 1").expect("left"), "two\n");
        assert_eq!(path.metadata().expect("there").permissions().mode() & 0o777, 0o644);
        let gone = leave_answer(folder.path(), folder.path(), &id, &["/nowhere".to_owned()]).expect_err("no program");
        assert!(format!("{gone:#}").starts_with("cannot run /nowhere: ") && !path.exists(), "{gone:#}");
    }
}
