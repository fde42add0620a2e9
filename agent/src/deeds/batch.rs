//! A batch with its own settings. The agent may not say how a unit is run, so it leaves an order in its folder below `/run`;
//! the batch's unit begins with `reelmill-agent batch`, which runs as the worker's user, reads the order, believes only what
//! it understands of it, and becomes the worker. systemd's own `EnvironmentFile=` would let a captured agent set any variable
//! of the worker's, also `LD_PRELOAD`.

use std::{
    fs::OpenOptions,
    io::{self, Read as _},
    os::unix::{fs::OpenOptionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, UNIX_EPOCH},
};

use anyhow::{Context as _, bail};
use reelmill_api::fleet::args::Batch;
use rustix::fs::OFlags;
use serde_json::{Map, Value};

use super::{Outcome, Undone, undone};
use crate::{
    exec::files::{self, PUBLIC},
    systemd::{Activity, Systemd, unit::BatchId},
};

/// The folder that systemd makes for the agent's service, and the agent alone may write to.
pub const ORDERS: &str = "/run/reelmill-agent";
/// The longest order that is read.
const LONGEST: u64 = 64 * 1024;
/// As long as a worker may take to hand back what it has.
const STOP_LIMIT: Duration = Duration::from_secs(120);

/// Runs a batch to its end, or to its limit.
///
/// # Errors
/// If it cannot be run, its worker fails, or it reaches its limit; then it is stopped.
pub async fn run(systemd: &Systemd, id: &BatchId, batch: &Batch, orders: &Path) -> Outcome {
    order(orders, id, batch).map_err(|e| {
        let path = order_of(orders, id);
        Undone::for_now("no_order", format!("cannot write {}: {e}", path.display()))
    })?;
    let limit = batch.limit_s.map(|s| Duration::from_secs(s.get().into()));
    let left = match limit {
        Some(limit) => limit.saturating_sub(has_run_for(systemd, id).await),
        None => Duration::MAX,
    };
    let Ok(outcome) = tokio::time::timeout(left, systemd.run_batch(id)).await else {
        systemd.stop_batch(id, STOP_LIMIT).await.map_err(undone)?;
        let seconds = limit.unwrap_or_default().as_secs();
        return Err(Undone::for_now(
            "too_slow",
            format!("it was stopped after {seconds} s, with its work handed back"),
        ));
    };
    let outcome = outcome.map_err(undone)?;
    let result = match serde_json::to_value(&outcome) {
        Ok(Value::Object(result)) => result,
        _ => Map::new(),
    };
    if outcome.is_success() {
        return Ok(result);
    }
    Err(Undone::for_now("worker_failed", format!("the batch ended with {}", Value::from(result))))
}

/// How long it runs already, where the agent finds it again after a start.
async fn has_run_for(systemd: &Systemd, id: &BatchId) -> Duration {
    let state = systemd.state(id.unit().as_str()).await.ok();
    let state = state.filter(|state| matches!(state.activity, Activity::Active | Activity::Activating));
    let since = state.and_then(|state| state.since_unix_micros).map(Duration::from_micros);
    since.and_then(|since| (UNIX_EPOCH + since).elapsed().ok()).unwrap_or_default()
}

/// Leaves the order of a batch where its unit finds it.
pub(super) fn order(orders: &Path, id: &BatchId, batch: &Batch) -> io::Result<()> {
    if (&batch.queue, &batch.presets[..], batch.concurrency) == (&None, &[][..], None) {
        // As a batch by hand: all as the node's worker.
        return forget(orders, id);
    }
    // A batch that is just being started sees all of it, as the worker's user; there is no secret in it.
    files::replace(&order_of(orders, id), &serde_json::to_vec(batch)?, PUBLIC)
}

/// Removes the order of a batch that has ended.
///
/// # Errors
/// If it is there and cannot be removed.
pub fn forget(orders: &Path, id: &BatchId) -> io::Result<()> {
    files::forget(&order_of(orders, id))
}

/// The same at a batch's end, where nothing more can be done about it.
pub fn forget_quietly(orders: &Path, id: &BatchId) {
    if let Err(e) = forget(orders, id) {
        log::warn!("cannot remove {}: {e}", order_of(orders, id).display());
    }
}

fn order_of(orders: &Path, id: &BatchId) -> PathBuf {
    orders.join(format!("batch-{}.json", id.as_str()))
}

/// Becomes `command`, which is the worker with its arguments, with what the order of the batch says. Returns only if that
/// cannot be.
///
/// # Errors
/// If there is an order that is none, or the worker cannot be run. What is in the order is not told: it may be a link to
/// something that the agent may not read.
pub fn become_worker(orders: &Path, id: &BatchId, command: &[String]) -> anyhow::Result<std::convert::Infallible> {
    let mut worker = worker(orders, id, command)?;
    let failed = worker.exec();
    Err(failed).with_context(|| format!("cannot run {}", worker.get_program().display()))
}

/// `command` with what the order says.
pub(super) fn worker(orders: &Path, id: &BatchId, command: &[String]) -> anyhow::Result<Command> {
    let Some((program, args)) = command.split_first() else { bail!("which program is to be run is not said") };
    let path = order_of(orders, id);
    let order = read(&path).with_context(|| format!("cannot use the order {}", path.display()))?;
    let variables = order.map(|order| variables(&order)).unwrap_or_default();
    let mut worker = Command::new(program);
    worker.args(args).envs(variables);
    Ok(worker)
}

fn read(path: &Path) -> anyhow::Result<Option<Batch>> {
    let Some(json) = read_small(path, LONGEST)? else { return Ok(None) };
    let order = serde_json::from_slice(&json);
    order.map(Some).map_err(|e| anyhow::anyhow!("it is no order (line {}, column {})", e.line(), e.column()))
}

/// The first bytes of a plain file that another user may have made; `None` if it is not there.
pub(super) fn read_small(path: &Path, longest: u64) -> anyhow::Result<Option<Vec<u8>>> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    if !file.metadata()?.is_file() {
        bail!("it is no file");
    }
    let mut bytes = Vec::new();
    file.take(longest).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// What of an order the worker is told, in the names of its settings.
fn variables(order: &Batch) -> Vec<(&'static str, String)> {
    let presets: Vec<_> = order.presets.iter().map(ToString::to_string).collect();
    let told = [
        ("QUEUE_NAME", order.queue.as_ref().map(|queue| queue.as_str().to_owned())),
        ("PRESET", (!presets.is_empty()).then(|| presets.join(","))),
        ("CONCURRENCY", order.concurrency.map(|n| n.to_string())),
    ];
    told.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn batch(args: Value) -> Batch {
        serde_json::from_value(args).expect("a batch")
    }

    fn id() -> BatchId {
        "01J8".parse().expect("an id")
    }

    /// What the worker is told after the agent left this order.
    fn told(args: Value) -> Vec<(&'static str, String)> {
        let folder = tempfile::tempdir().expect("a folder");
        order(folder.path(), &id(), &batch(args)).expect("written");
        let read = read(&order_of(folder.path(), &id())).expect("an order");
        forget(folder.path(), &id()).expect("it is ours");
        forget(folder.path(), &id()).expect("once more does no harm");
        assert_eq!(fs::read_dir(folder.path()).expect("ours").count(), 0);
        read.map(|order| variables(&order)).unwrap_or_default()
    }

    #[test]
    fn the_worker_is_told_what_the_command_says() {
        assert_eq!(told(json!({})), []);
        assert_eq!(told(json!({"limit_s": 5})), []);
        let all = json!({"queue": "night", "presets": ["hls-ladder", "proxy"], "concurrency": 2, "limit_s": 5});
        let want = [("QUEUE_NAME", "night"), ("PRESET", "hls-ladder,proxy"), ("CONCURRENCY", "2")];
        assert_eq!(told(all), want.map(|(name, value)| (name, value.to_owned())));
    }

    fn check_no_order(make: impl FnOnce(&Path), want: &str) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = order_of(folder.path(), &id());
        make(&path);
        let error = become_worker(folder.path(), &id(), &["/bin/false".to_owned()]).expect_err("refused");
        let told = format!("{error:#}").replace(&path.display().to_string(), "ORDER");
        assert_eq!(told, format!("cannot use the order ORDER: {want}"));
    }

    #[test]
    fn what_is_no_order_is_refused_and_not_told() {
        let write = |text: &'static str| move |path: &Path| fs::write(path, text).expect("written");
        check_no_order(write("KEY=topsecret"), "it is no order (line 1, column 1)");
        check_no_order(write(r#"{"queue": "a b; topsecret"}"#), "it is no order (line 1, column 27)");
        check_no_order(write(r#"{"concurrency": 0}"#), "it is no order (line 1, column 17)");
        check_no_order(write(""), "it is no order (line 1, column 0)");
        check_no_order(|path| fs::create_dir(path).expect("made"), "it is no file");
        check_no_order(
            |path| symlink("/etc/hostname", path).expect("made"),
            "Too many levels of symbolic links (os error 40)",
        );
    }

    #[test]
    fn a_program_is_wanted_and_must_be_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let become_it = |command: &[&str]| {
            let command: Vec<_> = command.iter().map(|word| (*word).to_owned()).collect();
            format!("{:#}", become_worker(folder.path(), &id(), &command).expect_err("it returns only then"))
        };
        assert_eq!(become_it(&[]), "which program is to be run is not said");
        let gone = "cannot run /nowhere: No such file or directory (os error 2)";
        assert_eq!(become_it(&["/nowhere", "--drain"]), gone);
    }

    proptest! {
        #[test]
        fn whatever_an_order_says_only_three_variables_are_set(json in "\\PC*", queue in "\\PC*", presets: Vec<String>) {
            let folder = tempfile::tempdir().expect("a folder");
            let path = order_of(folder.path(), &id());
            for text in [json, json!({"queue": queue, "presets": presets, "LD_PRELOAD": "x"}).to_string()] {
                fs::write(&path, text).expect("written");
                let Ok(Some(order)) = read(&path) else { continue };
                for (name, value) in variables(&order) {
                    prop_assert!(["QUEUE_NAME", "PRESET", "CONCURRENCY"].contains(&name));
                    prop_assert!(value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_,".contains(&b)), "{}", value);
                }
            }
        }
    }
}
