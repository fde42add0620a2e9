//! A small farm for tests that cross programs: a real store, a real queue, and workers as processes.

pub mod boxes;
pub mod damage;
pub mod judge;
pub mod kill;
pub mod live;
pub mod mpd;
pub mod numbers;
pub mod output;
pub mod playlist;
pub mod processes;
pub mod quality;
mod truth;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use reelmill_api::{AttemptId, Event, EventBody, JobId, Lane, Priority, QueueName, Task, preset::Settings};
use reelmill_lab::{
    programs::{Running, command, store_settings},
    queues::QueueServer,
    redis::Redis,
    s3::{BUCKET, Pace, Server},
};
use reelmill_queue::{Cursor, NewMessage, SharedQueue, connect};
use tempfile::TempDir;

/// Where a farm keeps presets of its own.
const PRESETS: &str = "presets";

/// Which queue a farm has.
pub enum QueueKind {
    /// A file.
    Sqlite,
    /// A real server.
    Redis(Redis),
    /// Of whatever kind.
    Any(QueueServer),
}

/// A store and a queue; workers are started by the test.
pub struct Farm {
    /// The store.
    pub store: Server,
    /// A folder for the test's own files.
    pub folder: TempDir,
    /// The queue.
    pub queue: SharedQueue,
    /// Its kind.
    pub kind: QueueKind,
    url: String,
}

impl Farm {
    /// A farm on a queue in a file.
    pub async fn start() -> Self {
        Self::start_with(Server::start().await, QueueKind::Sqlite).await
    }

    /// A farm on a slow store.
    pub async fn start_slow(pace: Pace) -> Self {
        Self::start_with(Server::start_with(None, pace).await, QueueKind::Sqlite).await
    }

    /// A farm on redis.
    pub async fn start_on_redis() -> Self {
        Self::start_with(Server::start().await, QueueKind::Redis(Redis::start())).await
    }

    /// A farm of these parts.
    pub async fn start_with(store: Server, kind: QueueKind) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        std::fs::create_dir(folder.path().join(PRESETS)).expect("a folder for presets");
        let url = match &kind {
            QueueKind::Sqlite => format!("sqlite://{}", folder.path().join("queue.sqlite").display()),
            QueueKind::Redis(redis) => redis.url(),
            QueueKind::Any(server) => server.url(),
        };
        let queue = connect(&url, &QueueName::default()).await.expect("the queue is there");
        Self { store, folder, queue, kind, url }
    }

    /// Puts a file into the store; its location.
    pub fn upload(&self, file: &Path, key: &str) -> String {
        let target = self.store.folder.join(key);
        std::fs::create_dir_all(target.parent().expect("it has a parent")).expect("a folder in the store");
        std::fs::copy(file, target).expect("the file goes into the store");
        format!("s3://{BUCKET}/{key}")
    }

    /// Puts a job on its lane; its id.
    pub async fn submit(&self, input: &str, preset: &str) -> JobId {
        self.submit_with(input, preset, "{}").await
    }

    /// Puts a job with settings of its own (JSON) on its lane; its id.
    pub async fn submit_with(&self, input: &str, preset: &str, settings: &str) -> JobId {
        let job = JobId::new(uuid::Uuid::new_v4());
        self.put(job, input, preset, serde_json::from_str(settings).expect("settings")).await;
        job
    }

    /// Puts a job where strangers put theirs, who know no lanes; its id.
    pub async fn submit_plain(&self, input: &str, preset: &str) -> JobId {
        let job = JobId::new(uuid::Uuid::new_v4());
        let body = format!(r#"{{"id":"{job}","input":"{input}","preset":"{preset}"}}"#).into_bytes();
        let message = NewMessage { body, priority: Priority::Normal, delay: Duration::ZERO, dedupe_key: None };
        self.queue.publish(&QueueName::default().intake(), &message).await.expect("the queue takes it");
        job
    }

    /// Puts a job with this id on its lane.
    pub async fn submit_as(&self, job: JobId, input: &str, preset: &str) {
        self.put(job, input, preset, Settings::default()).await;
    }

    async fn put(&self, job: JobId, input: &str, preset: &str, settings: Settings) {
        let preset = preset.parse().expect("a preset's name");
        let task = Task {
            job,
            input: input.parse().expect("a location"),
            output: None,
            preset,
            settings,
            priority: Priority::Normal,
            tried: 0,
        };
        let message =
            NewMessage { body: task.to_message(), priority: task.priority, delay: Duration::ZERO, dedupe_key: None };
        self.queue.publish(&self.lane(task.preset.as_str()), &message).await.expect("the queue takes it");
    }

    /// The lane of a preset.
    pub fn lane(&self, preset: &str) -> Lane {
        QueueName::default().tasks(&preset.parse().expect("a preset's name"))
    }

    /// A preset that is quick to make, for workers that start after this: segments of a second, rungs as
    /// (name, long side, short side).
    pub fn add_preset(&self, name: &str, rungs: &[(&str, u32, u32)]) {
        let mut text = format!(
            "name = \"{name}\"\ndescription = \"for tests\"\n\
             [video]\ncodec = \"h264\"\neffort = \"superfast\"\nmax_frame_rate = 60\n\
             [audio]\ncodec = \"aac\"\nbitrate_bps = 64000\nsample_rate = 48000\nchannels = 2\n\
             [ladder]\nsegment_seconds = 1\n"
        );
        for (rung, long, short) in rungs {
            text += &format!(
                "[[ladder.rungs]]\nname = \"{rung}\"\nlong_side = {long}\nshort_side = {short}\ncrf = 24\nmax_bps = 800000\n"
            );
        }
        let file = self.folder.path().join(PRESETS).join(format!("{name}.toml"));
        std::fs::write(file, text).expect("a preset is written");
    }

    /// The queue's address.
    pub fn queue_url(&self) -> &str {
        &self.url
    }

    /// A worker's command: short leases and waits, though not so short that a busy machine loses one; output to the store's bucket, status on a free port.
    pub fn worker(&self) -> Command {
        let mut worker = command("reelmill-worker");
        worker
            .envs(store_settings(&self.store))
            .env("QUEUE_URL", &self.url)
            .env("OUTPUT_BUCKET", BUCKET)
            .env("LEASE_SECONDS", "8")
            .env("STALL_SECONDS", "20")
            .env("PRESET_FOLDER", self.presets())
            .env("STATUS_LISTEN", "127.0.0.1:0");
        worker
    }

    /// The folder of the farm's own presets.
    pub fn presets(&self) -> PathBuf {
        self.folder.path().join(PRESETS)
    }

    /// A running worker.
    pub fn start_worker(&self) -> Running {
        Running::start(self.worker())
    }

    /// All events so far.
    pub async fn events(&self) -> Vec<Event> {
        let mut cursor = Cursor::default();
        let mut all = Vec::new();
        loop {
            let events = self.queue.events(&cursor, Duration::ZERO).await.expect("the queue answers");
            if events.bodies.is_empty() {
                return all;
            }
            all.extend(events.bodies.iter().map(|body| serde_json::from_slice(body).expect("an event")));
            cursor = events.next;
        }
    }

    /// Waits until an event of this job passes the test.
    pub async fn wait_for(&self, job: JobId, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        until(&format!("{what} of job {job}"), async || {
            self.events().await.into_iter().find(|e| e.job == job && wanted(e))
        })
        .await
    }

    /// The folder in which the store keeps a job's output.
    pub fn output_folder(&self, job: JobId) -> PathBuf {
        self.store.folder.join(job.to_string())
    }

    /// The attempts of which anything lies in a job's output.
    pub fn attempts(&self, job: JobId) -> Vec<AttemptId> {
        let files = self.output_files(job);
        let mut found: Vec<AttemptId> = files.iter().filter_map(|f| f.split_once('/')?.0.parse().ok()).collect();
        found.dedup();
        found
    }

    /// The attempts at a job that were told to be published.
    pub async fn published(&self, job: JobId) -> Vec<AttemptId> {
        let done = |body| if let EventBody::Done { report } = body { Some(report.attempt) } else { None };
        let of_job = self.events().await.into_iter().filter(|e| e.job == job);
        let mut attempts: Vec<_> = of_job.filter_map(|e| done(e.body)).collect();
        attempts.dedup();
        attempts
    }

    /// Every byte of a job's output, by file.
    pub fn output_bytes(&self, job: JobId) -> BTreeMap<String, Vec<u8>> {
        let folder = self.output_folder(job);
        let read = |name: String| (name.clone(), std::fs::read(folder.join(name)).expect("it was listed"));
        self.output_files(job).into_iter().map(read).collect()
    }

    /// All files of a job's output, relative to its folder.
    pub fn output_files(&self, job: JobId) -> BTreeSet<String> {
        files_under(&self.output_folder(job))
    }
}

/// Asks again and again until the answer is there, while other tasks go on; a test that waits longer than this has failed.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(120);
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(tokio::time::Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// All files under a folder, relative to it; the store's own notes beside its objects do not count.
pub fn files_under(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(relative) = path.strip_prefix(folder)
                && !relative.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'))
            {
                found.insert(relative.display().to_string());
            }
        }
    }
    found
}
