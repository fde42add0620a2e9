//! One job on a store of its own, done by the real worker, and the only two ways in which it may end.

use std::{ops::Range, path::PathBuf, process::Command};

use reelmill_api::{Event, EventBody, Failure, Report};
use reelmill_e2e::files_under;
use reelmill_lab::{
    fault::{Fault, Op},
    programs::{command, output, store_settings},
    s3::{BUCKET, Server},
};
use tempfile::TempDir;
use tokio::{sync::Semaphore, task::JoinSet};
use uuid::Uuid;

use crate::{
    scene::{FRAMES, Scene},
    whole,
};

/// How many jobs run at once; most of their time is spent in waiting for a store that does not answer.
static TURNS: Semaphore = Semaphore::const_new(6);

/// What a job is done with.
pub(crate) struct Stage {
    /// The store.
    pub(crate) store: Server,
    /// Files of the case's own.
    pub(crate) folder: TempDir,
}

/// How a job ended.
#[derive(Debug)]
pub(crate) enum End {
    /// It was published, and is whole.
    Whole,
    /// It was not published, for this reason.
    Failed(Failure),
}

impl Stage {
    /// A store with a small source.
    pub(crate) async fn new() -> Self {
        Self::with(Scene::Small).await
    }

    /// A store with a source.
    pub(crate) async fn with(scene: Scene) -> Self {
        let store = Server::start().await;
        std::fs::create_dir(store.folder.join("in")).expect("a folder in the store");
        std::fs::copy(scene.source(), store.folder.join("in/source.mp4")).expect("the source goes into the store");
        let folder = tempfile::Builder::new();
        // Media programs run as nobody where the tests run as root.
        let folder = folder_for_all(folder);
        std::fs::create_dir(folder.path().join("presets")).expect("a folder");
        std::fs::write(folder.path().join("presets/tiny.toml"), scene.preset()).expect("a preset");
        Self { store, folder }
    }

    /// The command that does one job.
    pub(crate) fn worker(&self) -> Command {
        let mut worker = command("reelmill-worker");
        worker.arg("one").envs(store_settings(&self.store)).env("PRESET_FOLDER", self.folder.path().join("presets"));
        worker.env("S3_STALL_SECONDS", "1").env("STALL_SECONDS", "60");
        worker
    }

    /// A job's id.
    pub(crate) const JOB: &str = "0191f0a0-0000-7000-8000-000000000001";

    /// Does a job and judges its end.
    pub(crate) async fn play(&self, worker: Command) -> Result<End, String> {
        match self.play_unjudged(worker).await {
            Ok(_) => self.whole().map(|()| End::Whole),
            Err(failure) => {
                self.nothing().map(|()| End::Failed(failure.clone())).map_err(|e| format!("{e} ({failure:?})"))
            }
        }
    }

    /// Does a job of any id.
    pub(crate) async fn play_unjudged(&self, worker: Command) -> Result<Report, Failure> {
        self.play_as(worker, &Uuid::new_v4().to_string()).await
    }

    /// Does the job with this id: what the worker says of its end, which its exit code must agree with.
    pub(crate) async fn play_as(&self, worker: Command, id: &str) -> Result<Report, Failure> {
        let job = format!(
            r#"{{"input":"s3://{BUCKET}/in/source.mp4","output":"s3://{BUCKET}/out/","preset":"tiny","id":"{id}"}}"#
        );
        let _turn = TURNS.acquire().await.expect("never closed");
        let ran = tokio::task::spawn_blocking(move || output(worker, &(job + "\n"))).await.expect("it ran");
        let (told, said) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        let last = told.lines().last().unwrap_or_else(|| panic!("{}: no word of the end: {said}", ran.status));
        let last: Event = serde_json::from_str(last).unwrap_or_else(|e| panic!("{e}: {last}"));
        match (ran.status.code(), last.body) {
            (Some(0), EventBody::Done { report }) => Ok(*report),
            (Some(1), EventBody::Failed { failure, .. }) => Err(failure),
            (code, body) => panic!("exit {code:?} after {body:?}: {said}"),
        }
    }

    /// The folder of the output.
    pub(crate) fn out(&self) -> PathBuf {
        self.store.folder.join("out")
    }

    fn whole(&self) -> Result<(), String> {
        whole::check(&self.out(), FRAMES)?;
        let files = files_under(&self.out());
        let attempts: std::collections::BTreeSet<_> =
            files.iter().filter_map(|f| Some(f.split_once('/')?.0.to_owned())).collect();
        if attempts.len() != 1 {
            return Err(format!("leftovers beside the published attempt: {attempts:?}"));
        }
        self.no_unfinished_uploads()
    }

    fn nothing(&self) -> Result<(), String> {
        let files = files_under(&self.out());
        if files.contains("master.m3u8") {
            return Err("it failed and is published".to_owned());
        }
        match files.iter().find(|file| file.contains('/')) {
            Some(left) => Err(format!("{left} was left behind")),
            None => self.no_unfinished_uploads(),
        }
    }

    fn no_unfinished_uploads(&self) -> Result<(), String> {
        match self.store.unfinished_uploads() {
            0 => Ok(()),
            n => Err(format!("{n} unfinished uploads are left")),
        }
    }
}

fn folder_for_all(mut builder: tempfile::Builder<'_, '_>) -> TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    builder.permissions(std::fs::Permissions::from_mode(0o755)).tempdir().expect("a temporary folder")
}

/// What a fault may come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// It is ridden out.
    Whole,
    /// The job fails, and the reason names this.
    Failed(&'static str),
}

/// Faults of one job, and what must come of it.
#[derive(Clone)]
pub(crate) struct Case {
    faults: Vec<Planned>,
    want: Want,
    scene: Scene,
}

impl Case {
    /// The same with another source.
    pub(crate) fn with(self, scene: Scene) -> Self {
        Self { scene, ..self }
    }
}

/// A fault and the requests that it happens to.
#[derive(Clone)]
pub(crate) struct Planned {
    op: Op,
    path: &'static str,
    from: Range<u64>,
    times: usize,
    fault: Fault,
}

/// A fault of requests of this kind for an object whose path contains this.
pub(crate) fn planned(op: Op, path: &'static str, times: usize, fault: Fault) -> Planned {
    Planned { op, path, from: 0..u64::MAX, times, fault }
}

impl Planned {
    /// The same, where the range that is asked for begins here.
    pub(crate) fn from(self, from: &Range<u64>) -> Self {
        Self { from: from.clone(), ..self }
    }

    /// One job with this fault.
    pub(crate) fn alone(self, want: Want) -> Case {
        together([self], want)
    }
}

/// One job with all of these faults.
pub(crate) fn together(faults: impl IntoIterator<Item = Planned>, want: Want) -> Case {
    Case { faults: faults.into_iter().collect(), want, scene: Scene::Small }
}

/// Plays all cases, each on a stage of its own, and tells all that went wrong.
pub(crate) async fn check(cases: impl IntoIterator<Item = Case>) {
    let tasks: JoinSet<_> = cases.into_iter().map(one).collect();
    let wrong: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{} cases went wrong:\n{}", wrong.len(), wrong.join("\n\n"));
}

async fn one(case: Case) -> Option<String> {
    let stage = Stage::with(case.scene).await;
    for Planned { op, path, from, times, fault } in case.faults {
        stage.store.plan.add_at(op, path, from, times, fault);
    }
    let planned = stage.store.plan.unmet().join("\n");
    let end = stage.play(stage.worker()).await;
    let unmet = stage.store.plan.unmet();
    let wrong = match &end {
        _ if !unmet.is_empty() => Some(format!("no request met {unmet:?} ({end:?})")),
        Err(wrong) => Some(wrong.clone()),
        Ok(end) => judge(end, case.want),
    };
    wrong.map(|wrong| format!("{planned}\n=> {wrong}"))
}

/// What is wrong with an end, if anything is.
pub(crate) fn judge(end: &End, want: Want) -> Option<String> {
    match (end, want) {
        (End::Whole, Want::Whole) => None,
        (End::Failed(failure), Want::Failed(part)) if failure.lines().contains(part) => None,
        _ => Some(format!("{end:?} instead of {want:?}")),
    }
}
