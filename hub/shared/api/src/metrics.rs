//! Names of metrics. The only file that spells one. Counters get `_total` from the exposition format.

/// Attempts by how they ended. Labels: `preset`, `outcome` (`published` or an error kind).
pub const WORKER_ATTEMPTS: &str = "reelmill_worker_attempts";
/// Seconds an encode took. Label: `preset`.
pub const WORKER_ENCODE_DURATION: &str = "reelmill_worker_encode_duration_seconds";
/// Frames encoded, counted once per source frame.
pub const WORKER_FRAMES: &str = "reelmill_worker_frames";
/// Frames per second at present, over all tasks in work.
pub const WORKER_FPS: &str = "reelmill_worker_fps";
/// Tasks in work now.
pub const WORKER_RUNNING: &str = "reelmill_worker_tasks_running";
/// Bytes read from sources.
pub const WORKER_READ_BYTES: &str = "reelmill_worker_source_read_bytes";
/// Bytes stored as output.
pub const WORKER_STORED_BYTES: &str = "reelmill_worker_output_stored_bytes";
/// Seconds of video at 30 frames per second that an engine made per second when it was proven. Labels: `engine`, `codec`,
/// `depth`, `largest` (the size that was tried).
pub const WORKER_CAPABILITY: &str = "reelmill_worker_capability_speed";
/// Jobs by state. Label: `state`.
pub const HUB_JOBS: &str = "reelmill_hub_jobs";
/// Tasks waiting on a lane. Label: `lane`.
pub const HUB_LANE_DEPTH: &str = "reelmill_hub_lane_depth";
/// Age of the oldest task waiting on a lane. Label: `lane`.
pub const HUB_LANE_OLDEST: &str = "reelmill_hub_lane_oldest_seconds";
