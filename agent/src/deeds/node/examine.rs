//! A short real encode, by the worker's own examination of its machine.

use std::{process::Stdio, time::Duration};

use reelmill_api::{PresetName, fleet::args::SelfTest};
use serde_json::{Map, Value};

use crate::deeds::{Outcome, Undone};

/// The worker examines its machine, by an encode with each engine.
pub(super) async fn self_test(test: &SelfTest) -> Outcome {
    doctor(Duration::from_secs(test.seconds.get().into()), test.preset.as_ref()).await
}

/// What the worker's doctor finds within `limit`. What is missing is a failure; where a preset is named, also that it cannot
/// be encoded here.
pub(super) async fn doctor(limit: Duration, preset: Option<&PresetName>) -> Outcome {
    let mut command = tokio::process::Command::new("reelmill-worker");
    command.args(["doctor", "--json"]).stdin(Stdio::null()).kill_on_drop(true);
    command.envs(preset.map(|preset| ("PRESET", preset.to_string())));
    let output = tokio::time::timeout(limit, command.output()).await;
    let output =
        output.map_err(|_| Undone::for_now("too_slow", format!("it took longer than {} s", limit.as_secs())))?;
    let output = output.map_err(|e| Undone::for_now("no_worker", format!("cannot run reelmill-worker doctor: {e}")))?;
    let Ok(Value::Object(found)) = serde_json::from_slice(&output.stdout) else {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.trim().lines().last().unwrap_or_default();
        return Err(Undone::for_now("no_answer", format!("reelmill-worker doctor --json: {}: {last}", output.status)));
    };
    if output.status.success() { Ok(found) } else { Err(unfit(&found)) }
}

fn unfit(found: &Map<String, Value>) -> Undone {
    let findings = found.get("findings").and_then(Value::as_array).into_iter().flatten();
    let missing = findings.filter(|finding| finding["state"] == "missing").filter_map(|f| f["what"].as_str());
    Undone::for_now("unfit", format!("missing: {}", missing.collect::<Vec<_>>().join(", ")))
}
