//! The worker's loopback status, as JSON at `GET /status`: the one thing the agent reads of a worker.

use serde::{Deserialize, Serialize};

use crate::{Capability, JobId, Lane, Location, PresetName, Progress};

/// What a worker is doing now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// The node's name.
    pub node: String,
    /// Reelmill's version.
    pub reelmill: String,
    /// The process id.
    pub pid: u32,
    /// Whether it takes tasks, or is on its way out.
    pub state: WorkerState,
    /// Engines that proved themselves at start.
    pub engines: Vec<String>,
    /// What it encodes, as proven at start.
    #[serde(default)]
    pub capabilities: Vec<Capability>,
    /// Presets it serves.
    pub presets: Vec<PresetName>,
    /// How many encoder sessions it runs at once; a task that needs more runs alone.
    pub concurrency: usize,
    /// Those of its lanes that are paused: it leases nothing from them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paused: Vec<Lane>,
    /// What runs now.
    pub running: Vec<RunningTask>,
    /// While the node drains: whether any worker of it has tasks in work, as far as they are counted together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_busy: Option<bool>,
    /// Tasks published since start.
    pub published: u64,
    /// Attempts failed since start.
    pub failed: u64,
}

/// Whether a worker takes tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerState {
    /// It leases tasks.
    Ready,
    /// All its lanes are paused: it waits.
    Paused,
    /// It finishes what it has and leases no more.
    Draining,
}

/// A task in work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunningTask {
    /// Its job.
    pub job: JobId,
    /// Which try it is.
    pub attempt: u32,
    /// The recipe.
    pub preset: PresetName,
    /// The source.
    pub input: Location,
    /// How far it is.
    pub progress: Progress,
}
