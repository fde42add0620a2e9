//! The worker's desk: what it is doing now, for the loopback status and the metrics.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use reelmill_api::{
    Capability, ErrorKind, JobId, Lane, PresetName, Progress, Report, Task, metrics,
    status::{RunningTask, WorkerState, WorkerStatus},
};

use crate::gateway::Counters;

/// How an attempt ends that does not fail.
const PUBLISHED: &str = "published";

/// What is known once at start.
#[derive(Clone, Debug)]
pub struct Identity {
    /// This node's name.
    pub node: String,
    /// Engines that proved themselves.
    pub engines: Vec<String>,
    /// What they encode.
    pub capabilities: Vec<Capability>,
    /// Presets served.
    pub presets: Vec<PresetName>,
    /// Tasks at once.
    pub concurrency: usize,
}

/// What the worker is doing.
pub struct Desk {
    identity: Identity,
    running: Mutex<BTreeMap<JobId, RunningTask>>,
    draining: AtomicBool,
    ending: AtomicBool,
    paused: Mutex<Paused>,
    published: AtomicU64,
    failed: AtomicU64,
    attempts: Family<AttemptLabels, Counter>,
    durations: Family<PresetLabels, Histogram, fn() -> Histogram>,
    frames: Counter,
    fps: Gauge<f64, AtomicU64>,
    tasks: Gauge,
    published_media: Family<PresetLabels, Counter<f64, AtomicU64>>,
    read: Counter,
    stored: Counter,
}

/// What it does not lease from.
#[derive(Debug, Default)]
struct Paused {
    lanes: Vec<Lane>,
    all: bool,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct AttemptLabels {
    preset: String,
    outcome: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PresetLabels {
    preset: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CapabilityLabels {
    engine: String,
    codec: &'static str,
    depth: u32,
    largest: String,
}

impl CapabilityLabels {
    fn of(fact: &Capability) -> Self {
        let Capability { engine, codec, depth, width, height, .. } = fact;
        Self { engine: engine.clone(), codec: codec.as_str(), depth: *depth, largest: format!("{width}x{height}") }
    }
}

fn durations() -> Histogram {
    Histogram::new([1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0])
}

impl Desk {
    /// An empty desk, and its metrics in `registry`.
    pub fn new(identity: Identity, registry: &mut Registry) -> Arc<Self> {
        let desk = Self {
            identity,
            running: Mutex::default(),
            draining: false.into(),
            ending: false.into(),
            paused: Mutex::default(),
            published: 0.into(),
            failed: 0.into(),
            attempts: Family::default(),
            durations: Family::new_with_constructor(durations as fn() -> Histogram),
            frames: Counter::default(),
            fps: Gauge::default(),
            tasks: Gauge::default(),
            published_media: Family::default(),
            read: Counter::default(),
            stored: Counter::default(),
        };
        registry.register(metrics::WORKER_ATTEMPTS, "Attempts by how they ended", desk.attempts.clone());
        registry.register(metrics::WORKER_ENCODE_DURATION, "Seconds an encode took", desk.durations.clone());
        registry.register(metrics::WORKER_FRAMES, "Frames encoded, once per source frame", desk.frames.clone());
        registry.register(metrics::WORKER_FPS, "Frames per second now, over all tasks", desk.fps.clone());
        registry.register(metrics::WORKER_RUNNING, "Tasks in work", desk.tasks.clone());
        registry.register(
            metrics::WORKER_PUBLISHED_MEDIA,
            "Seconds of sources that were published",
            desk.published_media.clone(),
        );
        registry.register(metrics::WORKER_READ_BYTES, "Bytes read from sources", desk.read.clone());
        registry.register(metrics::WORKER_STORED_BYTES, "Bytes stored as output", desk.stored.clone());
        let proven: Family<CapabilityLabels, Gauge<f64, AtomicU64>> = Family::default();
        registry.register(
            metrics::WORKER_CAPABILITY,
            "Seconds of video at 30 frames per second made per second when an encoder was proven",
            proven.clone(),
        );
        for fact in &desk.identity.capabilities {
            proven.get_or_create(&CapabilityLabels::of(fact)).set(fact.speed);
        }
        // A counter that appears with its first event hides that event from every rate.
        for preset in &desk.identity.presets {
            let preset = preset.to_string();
            drop(desk.published_media.get_or_create(&PresetLabels { preset: preset.clone() }));
            for outcome in ErrorKind::ALL.map(ErrorKind::as_str).into_iter().chain([PUBLISHED]) {
                let labels = AttemptLabels { preset: preset.clone(), outcome: outcome.to_owned() };
                drop(desk.attempts.get_or_create(&labels));
            }
        }
        Arc::new(desk)
    }

    /// A task is taken up.
    pub fn begin(&self, task: &Task, attempt: u32) {
        let running = RunningTask {
            job: task.job,
            attempt,
            preset: task.preset.clone(),
            input: task.input.clone(),
            progress: Progress::default(),
        };
        self.running().insert(task.job, running);
        self.count_running();
    }

    /// A task has come so far.
    pub fn progress(&self, job: JobId, progress: Progress) {
        let mut running = self.running();
        if let Some(task) = running.get_mut(&job) {
            self.frames.inc_by(progress.frame.saturating_sub(task.progress.frame));
            task.progress = progress;
        }
        self.fps.set(running.values().map(|t| t.progress.fps).sum());
    }

    /// A task is off the desk.
    pub fn end(&self, task: &Task, outcome: Result<&Report, ErrorKind>, counters: &Counters) {
        self.running().remove(&task.job);
        self.count_running();
        let preset = task.preset.to_string();
        let ended = match outcome {
            Ok(report) => {
                self.published.fetch_add(1, Ordering::Relaxed);
                self.durations
                    .get_or_create(&PresetLabels { preset: preset.clone() })
                    .observe(report.timings.encode_seconds);
                self.published_media
                    .get_or_create(&PresetLabels { preset: preset.clone() })
                    .inc_by(report.source.duration_seconds.unwrap_or_default().max(0.0));
                PUBLISHED.to_owned()
            }
            Err(kind) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                kind.to_string()
            }
        };
        self.attempts.get_or_create(&AttemptLabels { preset, outcome: ended }).inc();
        self.count_bytes(counters);
    }

    fn count_bytes(&self, counters: &Counters) {
        for (counter, total) in [(&self.read, &counters.read), (&self.stored, &counters.stored)] {
            counter.inc_by(total.load(Ordering::Relaxed).saturating_sub(counter.get()));
        }
    }

    fn count_running(&self) {
        let running = self.running();
        self.tasks.set(i64::try_from(running.len()).unwrap_or(i64::MAX));
        self.fps.set(running.values().map(|t| t.progress.fps).sum());
    }

    /// The node drains, or does not any more.
    pub fn drain(&self, on: bool) {
        self.draining.store(on, Ordering::Relaxed);
    }

    /// The worker takes no more tasks.
    pub fn end_of_leasing(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    /// What it did, in one line for whoever waits for a batch's end. Whatever became of its tasks, the program has done its
    /// work: the queue knows which failed.
    pub fn end_of_work(&self, how: &str, lasted: Duration) -> String {
        let (published, failed) = (self.published.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed));
        let seconds = lasted.as_secs_f64();
        format!("{how} {seconds:.1} s: {published} published, {failed} attempts failed; exit code 0")
    }

    /// Nothing is leased from these lanes now; whether they are all.
    pub fn pause(&self, mut lanes: Vec<Lane>, all: bool) {
        lanes.sort();
        let mut paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        if paused.all != all {
            log::info!("{}", if all { "all lanes are paused: waiting" } else { "a lane is open again: going on" });
        }
        *paused = Paused { lanes, all };
    }

    fn state(&self, paused: &Paused) -> WorkerState {
        let draining = [&self.draining, &self.ending].iter().any(|told| told.load(Ordering::Relaxed));
        match (draining, paused.all) {
            (true, _) => WorkerState::Draining,
            (false, true) => WorkerState::Paused,
            (false, false) => WorkerState::Ready,
        }
    }

    /// The status as the agent reads it.
    pub fn status(&self) -> WorkerStatus {
        let paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        let Identity { node, engines, capabilities, presets, concurrency } = self.identity.clone();
        WorkerStatus {
            node,
            reelmill: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            state: self.state(&paused),
            engines,
            capabilities,
            presets,
            concurrency,
            paused: paused.lanes.clone(),
            running: self.running().values().cloned().collect(),
            node_busy: None,
            published: self.published.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, BTreeMap<JobId, RunningTask>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
