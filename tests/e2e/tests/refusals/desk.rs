//! A farm, sources of all kinds, and the two doors by which a job comes in: the command line and the queue.

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command};

use reelmill_api::{ErrorKind, Event, EventBody, JobId};
use reelmill_e2e::Farm;
use reelmill_lab::{
    programs::{Running, command},
    s3::BUCKET,
};

/// No refusal takes longer, however busy the machine.
const SOON: &str = "60";
/// A preset that costs little.
pub(crate) const QUICK: &str = "quick";

/// A farm and what is asked of it.
pub(crate) struct Desk {
    pub(crate) farm: Farm,
}

impl Desk {
    pub(crate) async fn new() -> Self {
        let farm = Farm::start().await;
        farm.add_preset(QUICK, &[("64p", 96, 64)]);
        fs::create_dir(farm.folder.path().join("out")).expect("our folder");
        Self { farm }
    }

    /// A path in the farm's folder, without links.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.farm.folder.path().canonicalize().expect("our folder").join(name)
    }

    /// The location of a file in the farm's folder.
    pub(crate) fn file(&self, name: &str) -> String {
        format!("file://{}", self.path(name).display())
    }

    /// A command of ours that is killed when it takes too long, with the farm's settings.
    pub(crate) fn command(&self, name: &str, words: &[&str]) -> Command {
        let program = command(name);
        let mut soon = Command::new("timeout");
        soon.args(["--signal=KILL", SOON]).arg(program.get_program()).args(words).env_clear();
        for command in [&program, &self.farm.worker()] {
            soon.envs(command.get_envs().filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned()))));
        }
        soon
    }

    /// What the text says, with the names that differ from run to run replaced.
    pub(crate) fn plain(&self, text: &str) -> String {
        let text = text.replace(&self.path("").display().to_string(), "DESK/");
        text.replace(&self.farm.store.endpoint, "STORE").replace(&format!("s3://{BUCKET}"), "s3://BUCKET")
    }

    /// Everything in the farm's output folder, and all objects in its store: what must not change.
    pub(crate) fn everything(&self) -> BTreeMap<PathBuf, u64> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.path("out"), self.farm.store.folder.clone()];
        while let Some(next) = folders.pop() {
            for entry in fs::read_dir(&next).expect("a folder").flatten() {
                let meta = entry.metadata().expect("an entry");
                if meta.is_dir() {
                    folders.push(entry.path());
                }
                // A store has no folders; this one keeps empty ones on its disk.
                if !meta.is_dir() || entry.path().starts_with(self.path("out")) {
                    found.insert(entry.path(), meta.len());
                }
            }
        }
        found
    }

    /// `reelmill transcode` with these words: its exit code and the sentence that it ends with; nothing may change.
    pub(crate) fn transcode(&self, words: &[&str], adapt: impl FnOnce(&mut Command)) -> (Option<i32>, String) {
        let before = self.everything();
        let mut command = self.command("reelmill", &[&["transcode"], words].concat());
        adapt(&mut command);
        let output = command.output().expect("it starts");
        assert_eq!(self.everything(), before, "{words:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{words:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let at = said.find("error: ").unwrap_or_else(|| panic!("{words:?}: no error in {said}"));
        (output.status.code(), self.plain(&said[at..]))
    }

    /// Checks how `reelmill transcode` refuses; the error ends its output.
    pub(crate) fn check(&self, words: &[&str], code: i32, want: &str) {
        self.check_with(words, |_| (), code, want);
    }

    pub(crate) fn check_with(&self, words: &[&str], adapt: impl FnOnce(&mut Command), code: i32, want: &str) {
        let (got, said) = self.transcode(words, adapt);
        assert_eq!((got, said.as_str()), (Some(code), want), "{words:?}");
    }

    /// A worker that may read and write files of the farm's folder.
    pub(crate) fn start_worker(&self, adapt: impl FnOnce(&mut Command)) -> Running {
        let mut worker = self.farm.worker();
        worker.env("REELMILL_FILE_ROOTS", self.path("roots")).env("REELMILL_OUTPUT_ROOTS", self.path("out"));
        adapt(&mut worker);
        Running::start(worker)
    }

    /// How the first attempt at a job failed: the kind, the sentence with its hint, and when it is tried again.
    pub(crate) async fn failed(&self, job: JobId) -> (ErrorKind, String, Option<u64>) {
        let over = |event: &Event| matches!(event.body, EventBody::Failed { .. } | EventBody::Done { .. });
        match self.farm.wait_for(job, "a failure", over).await.body {
            EventBody::Failed { failure, retry_in_seconds } => {
                (failure.kind, self.plain(&failure.lines()), retry_in_seconds)
            }
            other => panic!("{other:?}"),
        }
    }

    /// Reasons of all dead letters of a lane.
    pub(crate) async fn dead_letters(&self, lane: &reelmill_api::Lane) -> Vec<String> {
        let letters = self.farm.queue.dead_letters(lane, 100).await.expect("the queue answers");
        letters.iter().map(|letter| self.plain(&letter.reason)).collect()
    }
}
