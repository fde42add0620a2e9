//! A farm on which hostile sources are played: one worker, a preset that costs little, secrets in the worker's environment.

use std::path::Path;

use reelmill_api::{EventBody, Failure, JobId, Report};
use reelmill_e2e::Farm;
use reelmill_lab::{
    media,
    programs::Running,
    s3::{BUCKET, SECRET_KEY},
};

use crate::canary::{Canary, SECRET};

/// A preset that costs little.
pub(crate) const QUICK: &str = "quick";

/// The same preset, which uses what can be decoded of a damaged source.
pub(crate) const TOLERANT: &str = "tolerant";

/// A farm with one worker and a canary.
pub(crate) struct Stage {
    pub(crate) farm: Farm,
    pub(crate) canary: Canary,
    pub(crate) worker: Running,
}

/// How a job ended, at its first attempt.
pub(crate) type End = Result<Box<Report>, (Failure, Option<u64>)>;

impl Stage {
    /// A farm whose worker does several jobs at once and loses patience soon.
    pub(crate) async fn start() -> Self {
        let farm = Farm::start().await;
        farm.add_preset(QUICK, &[("64p", 96, 64)]);
        farm.add_preset(TOLERANT, &[("64p", 96, 64)]);
        let file = farm.folder.path().join(format!("presets/{TOLERANT}.toml"));
        let text = std::fs::read_to_string(&file).expect("it was just written");
        std::fs::write(&file, format!("damage = \"tolerate\"\n{text}")).expect("it is written again");
        let mut worker = farm.worker();
        worker.env("CONCURRENCY", "3").env("STALL_SECONDS", "5").env("CANARY_SECRET", SECRET);
        worker.env("REELMILL_FILE_ROOTS", farm.folder.path());
        Self { canary: Canary::new(), worker: Running::start(worker), farm }
    }

    /// Puts a source into the store and submits it.
    pub(crate) async fn submit(&self, key: &str, bytes: &[u8]) -> JobId {
        self.submit_by(key, bytes, QUICK).await
    }

    /// The same, by another preset.
    pub(crate) async fn submit_by(&self, key: &str, bytes: &[u8], preset: &str) -> JobId {
        let file = self.farm.folder.path().join("source");
        std::fs::write(&file, bytes).expect("a source");
        let input = self.farm.upload(&file, key);
        self.farm.submit(&input, preset).await
    }

    /// The end of a job's first attempt; a failed one must have left nothing.
    pub(crate) async fn end(&self, job: JobId) -> End {
        let event = self.farm.wait_for(job, "the end of its first attempt", |e| is_end(&e.body)).await;
        self.judged(job, event.body)
    }

    fn judged(&self, job: JobId, end: EventBody) -> End {
        match end {
            EventBody::Done { report } => {
                let files = self.farm.output_files(job);
                assert!(files.contains("master.m3u8") && files.contains("reelmill.json"), "{job}: {files:?}");
                Ok(report)
            }
            EventBody::Failed { failure, retry_in_seconds } => {
                let text = failure.lines();
                let leak = [SECRET_KEY, SECRET, "http://127.0.0.1:"].into_iter().find(|secret| text.contains(secret));
                assert_eq!(leak, None, "{text}");
                let files = self.farm.output_files(job);
                assert!(!files.contains("master.m3u8") && !files.contains("reelmill.json"), "{job}: {files:?}");
                if retry_in_seconds.is_none() {
                    assert!(files.is_empty(), "{job}: {text}: {files:?}");
                }
                Err((failure, retry_in_seconds))
            }
            other => unreachable!("not asked for: {other:?}"),
        }
    }

    /// The end of a job that can only be a dead letter: its failure in full.
    pub(crate) async fn refused(&self, job: JobId, name: &str) -> Failure {
        match self.end(job).await {
            Err((failure, None)) => failure,
            other => panic!("{name}: {other:?}"),
        }
    }

    /// Where a source lies.
    pub(crate) fn location(&self, key: &str) -> String {
        format!("s3://{BUCKET}/{key}")
    }
}

fn is_end(body: &EventBody) -> bool {
    matches!(body, EventBody::Done { .. } | EventBody::Failed { .. })
}

/// A clip of one second, 96x64, ten frames, with sound.
pub(crate) fn tiny(folder: &Path, name: &str) -> Vec<u8> {
    let words = "-f lavfi -i testsrc2=size=96x64:rate=10 -f lavfi -i sine -t 1 -c:v libx264 -preset ultrafast -c:a aac";
    std::fs::read(media::make(folder, &format!("{words} {name}"))).expect("it was just made")
}
