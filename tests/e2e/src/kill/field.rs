//! Where it takes place: a store, a queue that survives its death, a source of two seconds, and what lies published.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use reelmill_api::{JobId, Lane, Priority, QueueName, Task, preset::Settings};
use reelmill_lab::{
    media,
    programs::{command, store_settings},
    queues::{Kind, QueueServer},
    relay::Relay,
    s3::{BUCKET, Server},
};
use tempfile::TempDir;

use super::strike::LEASE_SECONDS;
use crate::files_under;

/// The preset of all jobs: one small rung and sound, in segments of a second.
const PRESET: &str = "quick";
const PRESET_TEXT: &str = "name = \"quick\"\ndescription = \"for tests\"\n\
    [video]\ncodec = \"h264\"\neffort = \"ultrafast\"\nmax_frame_rate = 60\n\
    [audio]\ncodec = \"aac\"\nbitrate_bps = 64_000\nsample_rate = 48_000\nchannels = 2\n\
    [ladder]\nsegment_seconds = 1\n\
    [[ladder.rungs]]\nname = \"64p\"\nlong_side = 96\nshort_side = 64\ncrf = 30\nmax_bps = 200_000\n";
/// What ffmpeg makes the source with.
const SOURCE: &str = "-f lavfi -i testsrc2=size=96x64:rate=10:duration=2 -f lavfi -i sine=duration=2 -c:v libx264 -preset \
    ultrafast -pix_fmt yuv420p -c:a aac -movflags +faststart a.mp4";
/// Frames of the source.
pub(super) const FRAMES: usize = 20;

/// The place.
pub(super) struct Field {
    pub(super) store: Server,
    pub(super) queue: QueueServer,
    pub(super) folder: TempDir,
}

impl Field {
    /// A new one, with its source in the store.
    pub(super) async fn new(kind: Kind) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("presets")).expect("a folder");
        std::fs::write(folder.path().join("presets/quick.toml"), PRESET_TEXT).expect("a preset is written");
        let store = Server::start().await;
        std::fs::copy(media::make(folder.path(), SOURCE), store.folder.join("a.mp4")).expect("it goes into the store");
        let queue = tokio::task::spawn_blocking(move || QueueServer::start(kind)).await.expect("it starts");
        Self { store, queue, folder }
    }

    /// A relay before the queue's server, if it has one.
    pub(super) async fn line_to_queue(&self) -> Option<Relay> {
        match self.queue.port() {
            Some(port) => Some(Relay::before(port).await),
            None => None,
        }
    }

    /// A relay before the store.
    pub(super) async fn line_to_store(&self) -> Relay {
        let (_, port) = self.store.endpoint.rsplit_once(':').expect("it has a port");
        Relay::before(port.parse().expect("a port")).await
    }

    /// The queue's address by way of a relay, where there is one.
    pub(super) fn queue_url(&self, line: Option<&Relay>) -> String {
        line.map_or_else(|| self.queue.url(), |line| self.queue.url_by_way_of(line.port))
    }

    /// A worker's command.
    pub(super) fn worker(&self, name: &str, queue: Option<&Relay>, store: &Relay) -> Command {
        let mut worker = command("reelmill-worker");
        worker
            .envs(store_settings(&self.store))
            .env("S3_ENDPOINT_URL", format!("http://127.0.0.1:{}", store.port))
            .env("QUEUE_URL", self.queue_url(queue))
            .env("OUTPUT_BUCKET", BUCKET)
            .env("REELMILL_NODE", name)
            .env("PRESET", PRESET)
            .env("PRESET_FOLDER", self.folder.path().join("presets"))
            .env("CONCURRENCY", "2")
            .env("LEASE_SECONDS", LEASE_SECONDS.to_string())
            .env("STALL_SECONDS", "20")
            .env("STATUS_LISTEN", "127.0.0.1:0");
        worker
    }

    /// The task of a job.
    pub(super) fn task(job: JobId) -> Task {
        Task {
            job,
            input: format!("s3://{BUCKET}/a.mp4").parse().expect("a location"),
            output: None,
            preset: PRESET.parse().expect("a preset's name"),
            settings: Settings::default(),
            tried: 0,
            priority: Priority::Normal,
        }
    }

    /// All lanes that its workers lease from; jobs go on the first.
    pub(super) fn lanes() -> [Lane; 2] {
        let queue = QueueName::default();
        [queue.tasks(&PRESET.parse().expect("a preset's name")), queue.intake()]
    }
}

/// Where the output of a job lies in a store's folder.
pub(super) fn output(store: &Path, job: JobId) -> PathBuf {
    store.join(job.to_string())
}

/// The attempts of which anything lies in an output.
pub(super) fn attempts_in(output: &Path) -> BTreeSet<String> {
    let files = files_under(output);
    files.iter().filter_map(|file| Some(file.split_once('/')?.0.to_owned())).collect()
}
