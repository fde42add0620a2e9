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
/// Seconds of sources that were published, counted once however many renditions were made. Label: `preset`.
pub const WORKER_PUBLISHED_MEDIA: &str = "reelmill_worker_published_media_seconds";
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
/// Nodes by state, as the hub knows them. Label: `state`.
pub const HUB_NODES: &str = "reelmill_nodes";

/// When a node last said something, by the hub's clock. Label: `node`.
pub const HUB_NODE_LAST_SEEN: &str = "reelmill_hub_node_last_seen_timestamp_seconds";
/// 1 while a node is there. Label: `node`.
pub const HUB_NODE_UP: &str = "reelmill_hub_node_up";
/// Until when a certificate is good. Labels: `kind` (`node`, `hub` or `authority`), `name`.
pub const HUB_CERTIFICATE_EXPIRY: &str = "reelmill_hub_certificate_expiry_timestamp_seconds";
/// Attempts at a source that failed within a day, of the sources of which the most failed. Label: `source`.
pub const HUB_SOURCE_FAILURES: &str = "reelmill_hub_source_failures";

/// A metric of a node, as the agent shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its whole name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// What it says, for people.
    pub help: &'static str,
}

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It goes up and down.
    Gauge,
    /// It only goes up, and its name ends with `_total`.
    Counter,
    /// It only goes up, under a name that others chose.
    Untyped,
}

impl Kind {
    /// The word of the exposition format.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Untyped => "untyped",
        }
    }
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, help }
}

const fn counter(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, help }
}

// Identity and system.

/// Always 1; what the node is, as labels.
pub const NODE_INFO: Metric = gauge("reelmill_node_info", "Always 1; what the node is, as labels");
/// Seconds since boot.
pub const NODE_UPTIME: Metric = gauge("reelmill_node_uptime_seconds", "Seconds since boot");
/// 1 while a time server keeps the clock.
pub const NODE_TIME_SYNCHRONISED: Metric =
    gauge("reelmill_node_time_synchronised", "1 while a time server keeps the clock");
/// Always 1; a tag of the node.
pub const NODE_TAG: Metric = gauge("reelmill_node_tag", "Always 1; a tag of the node");
/// Always 1; a source that tells nothing now.
pub const NODE_SOURCE_ABSENT: Metric =
    gauge("reelmill_node_source_absent", "Always 1; a source that tells nothing now");
/// Words of the newest tegrastats line that are not known.
pub const NODE_UNKNOWN_TOKENS: Metric =
    gauge("reelmill_node_tegrastats_unknown_tokens", "Words of the newest tegrastats line that are not known");
/// Always 1; the active state of a systemd unit as a label.
pub const NODE_UNIT_STATE: Metric =
    gauge("reelmill_node_unit_state", "Always 1; the active state of a systemd unit as a label");
/// How often systemd has restarted a unit.
pub const NODE_UNIT_RESTARTS: Metric =
    counter("reelmill_node_unit_restarts_total", "How often systemd has restarted a unit");
/// Memory of a unit's processes.
pub const NODE_UNIT_MEMORY: Metric = gauge("reelmill_node_unit_memory_bytes", "Memory of a unit's processes");
/// 1 while the worker answers.
pub const NODE_WORKER_UP: Metric = gauge("reelmill_node_worker_up", "1 while the worker answers");
/// 1 while the worker takes no more tasks.
pub const NODE_WORKER_DRAINING: Metric =
    gauge("reelmill_node_worker_draining", "1 while the worker takes no more tasks");
/// Tasks that the worker has in work.
pub const NODE_WORKER_TASKS: Metric = gauge("reelmill_node_worker_tasks", "Tasks that the worker has in work");

// Processors, memory, disks and networks.

/// How busy the processors are, all together.
pub const NODE_CPU_USAGE: Metric = gauge("reelmill_node_cpu_usage_ratio", "How busy the processors are, all together");
/// How busy a processor is.
pub const NODE_CORE_USAGE: Metric = gauge("reelmill_node_cpu_core_usage_ratio", "How busy a processor is");
/// The clock of a processor.
pub const NODE_CORE_CLOCK: Metric = gauge("reelmill_node_cpu_core_clock_hertz", "The clock of a processor");
/// 1 while a processor is on.
pub const NODE_CORE_ONLINE: Metric = gauge("reelmill_node_cpu_core_online", "1 while a processor is on");
/// Processes that wanted to run, over 1 minute.
pub const NODE_LOAD1: Metric = gauge("reelmill_node_load1", "Processes that wanted to run, over 1 minute");
/// Processes that wanted to run, over 5 minutes.
pub const NODE_LOAD5: Metric = gauge("reelmill_node_load5", "Processes that wanted to run, over 5 minutes");
/// Processes that wanted to run, over 15 minutes.
pub const NODE_LOAD15: Metric = gauge("reelmill_node_load15", "Processes that wanted to run, over 15 minutes");
/// Main memory.
pub const NODE_MEMORY_SIZE: Metric = gauge("reelmill_node_memory_size_bytes", "Main memory");
/// Main memory that programs could still get.
pub const NODE_MEMORY_AVAILABLE: Metric =
    gauge("reelmill_node_memory_available_bytes", "Main memory that programs could still get");
/// Swap.
pub const NODE_SWAP_SIZE: Metric = gauge("reelmill_node_swap_size_bytes", "Swap");
/// Swap in use.
pub const NODE_SWAP_USED: Metric = gauge("reelmill_node_swap_used_bytes", "Swap in use");
/// Size of a file system.
pub const NODE_DISK_SIZE: Metric = gauge("reelmill_node_filesystem_size_bytes", "Size of a file system");
/// What an ordinary user may still write to a file system.
pub const NODE_DISK_AVAILABLE: Metric =
    gauge("reelmill_node_filesystem_available_bytes", "What an ordinary user may still write to a file system");
/// 1 while a file system is mounted for reading only.
pub const NODE_DISK_READONLY: Metric =
    gauge("reelmill_node_filesystem_readonly", "1 while a file system is mounted for reading only");
/// Always 1; model and state of a drive as labels.
pub const NODE_DRIVE_INFO: Metric = gauge("reelmill_node_drive_info", "Always 1; model and state of a drive as labels");
/// How much of a drive's life is used up, in tenths.
pub const NODE_DRIVE_LIFE_USED: Metric =
    gauge("reelmill_node_drive_life_used_ratio", "How much of a drive's life is used up, in tenths");
/// 1 once a drive says that its spare blocks run out.
pub const NODE_DRIVE_SPARE_LOW: Metric =
    gauge("reelmill_node_drive_spare_low", "1 once a drive says that its spare blocks run out");
/// Requests to a drive that failed since boot.
pub const NODE_DRIVE_ERRORS: Metric =
    counter("reelmill_node_drive_errors_total", "Requests to a drive that failed since boot");
/// Errors that a drive's file systems have recorded.
pub const NODE_DRIVE_FILESYSTEM_ERRORS: Metric =
    counter("reelmill_node_drive_filesystem_errors_total", "Errors that a drive's file systems have recorded");
/// 1 while an interface can carry packets.
pub const NODE_NETWORK_UP: Metric = gauge("reelmill_node_network_up", "1 while an interface can carry packets");
/// Line rate of an interface in bytes per second.
pub const NODE_NETWORK_SPEED: Metric =
    gauge("reelmill_node_network_speed_bytes", "Line rate of an interface in bytes per second");
/// Bytes received.
pub const NODE_NETWORK_RECEIVED: Metric = counter("reelmill_node_network_receive_bytes_total", "Bytes received");
/// Bytes sent.
pub const NODE_NETWORK_SENT: Metric = counter("reelmill_node_network_transmit_bytes_total", "Bytes sent");
/// Packets received with errors.
pub const NODE_NETWORK_RECEIVE_ERRORS: Metric =
    counter("reelmill_node_network_receive_errors_total", "Packets received with errors");
/// Packets that could not be sent.
pub const NODE_NETWORK_SEND_ERRORS: Metric =
    counter("reelmill_node_network_transmit_errors_total", "Packets that could not be sent");
/// A temperature.
pub const NODE_TEMPERATURE: Metric = gauge("reelmill_node_temperature_celsius", "A temperature");
/// Where clocks are cut or the power goes off.
pub const NODE_TEMPERATURE_CRITICAL: Metric =
    gauge("reelmill_node_temperature_critical_celsius", "Where clocks are cut or the power goes off");
/// Turns of a fan per minute.
pub const NODE_FAN_RPM: Metric = gauge("reelmill_node_fan_rpm", "Turns of a fan per minute");
/// How hard a fan is driven.
pub const NODE_FAN_SPEED: Metric = gauge("reelmill_node_fan_speed_ratio", "How hard a fan is driven");

// GPUs, under the names of NVIDIA's DCGM exporter where it has one.

/// GPU utilization (in %).
pub const GPU_UTIL: Metric = gauge("DCGM_FI_DEV_GPU_UTIL", "GPU utilization (in %)");
/// Memory utilization (in %).
pub const GPU_MEM_COPY_UTIL: Metric = gauge("DCGM_FI_DEV_MEM_COPY_UTIL", "Memory utilization (in %)");
/// Encoder utilization (in %); of a Jetson, of its busiest NVENC.
pub const GPU_ENC_UTIL: Metric =
    gauge("DCGM_FI_DEV_ENC_UTIL", "Encoder utilization (in %); of a Jetson, of its busiest NVENC");
/// Decoder utilization (in %); of a Jetson, of its busiest NVDEC.
pub const GPU_DEC_UTIL: Metric =
    gauge("DCGM_FI_DEV_DEC_UTIL", "Decoder utilization (in %); of a Jetson, of its busiest NVDEC");
/// GPU temperature (in C).
pub const GPU_TEMP: Metric = gauge("DCGM_FI_DEV_GPU_TEMP", "GPU temperature (in C)");
/// Power draw (in W); of a Jetson, of the whole board.
pub const GPU_POWER: Metric = gauge("DCGM_FI_DEV_POWER_USAGE", "Power draw (in W); of a Jetson, of the whole board");
/// Power limit (in W).
pub const GPU_POWER_LIMIT: Metric = gauge("DCGM_FI_DEV_POWER_MGMT_LIMIT", "Power limit (in W)");
/// Energy since the driver was loaded (in mJ).
/// DCGM counts it under a name that no counter may have here, so it has no type.
pub const GPU_ENERGY: Metric = Metric {
    name: "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
    kind: Kind::Untyped,
    help: "Energy since the driver was loaded (in mJ)",
};
/// SM clock frequency (in MHz).
pub const GPU_SM_CLOCK: Metric = gauge("DCGM_FI_DEV_SM_CLOCK", "SM clock frequency (in MHz)");
/// Memory clock frequency (in MHz).
pub const GPU_MEM_CLOCK: Metric = gauge("DCGM_FI_DEV_MEM_CLOCK", "Memory clock frequency (in MHz)");
/// Video encoder and decoder clock frequency (in MHz).
pub const GPU_VIDEO_CLOCK: Metric =
    gauge("DCGM_FI_DEV_VIDEO_CLOCK", "Video encoder and decoder clock frequency (in MHz)");
/// Frame buffer memory (in MiB).
pub const GPU_FB_TOTAL: Metric = gauge("DCGM_FI_DEV_FB_TOTAL", "Frame buffer memory (in MiB)");
/// Frame buffer memory used (in MiB).
pub const GPU_FB_USED: Metric = gauge("DCGM_FI_DEV_FB_USED", "Frame buffer memory used (in MiB)");
/// Frame buffer memory free (in MiB).
pub const GPU_FB_FREE: Metric = gauge("DCGM_FI_DEV_FB_FREE", "Frame buffer memory free (in MiB)");
/// Fan speed (in %).
pub const GPU_FAN: Metric = gauge("DCGM_FI_DEV_FAN_SPEED", "Fan speed (in %)");
/// Open sessions of a GPU's encoders.
pub const GPU_SESSIONS: Metric = gauge("reelmill_gpu_encoder_sessions", "Open sessions of a GPU's encoders");
/// Frames per second of an encoder session, on average.
pub const GPU_SESSION_FPS: Metric =
    gauge("reelmill_gpu_encoder_session_fps", "Frames per second of an encoder session, on average");
/// How long an encoder takes for a frame, on average.
pub const GPU_SESSION_LATENCY: Metric =
    gauge("reelmill_gpu_encoder_session_latency_seconds", "How long an encoder takes for a frame, on average");
/// 1 while a GPU's clocks are kept down for that reason.
pub const GPU_THROTTLED: Metric =
    gauge("reelmill_gpu_throttled", "1 while a GPU's clocks are kept down for that reason");

// A Jetson's detail.

/// 1 while an engine has power.
pub const TEGRA_ENGINE_ON: Metric = gauge("tegra_engine_on", "1 while an engine has power");
/// How busy an engine is.
pub const TEGRA_ENGINE_USAGE: Metric = gauge("tegra_engine_usage_ratio", "How busy an engine is");
/// The clock of an engine.
pub const TEGRA_ENGINE_CLOCK: Metric = gauge("tegra_engine_clock_hertz", "The clock of an engine");
/// Power on a rail.
pub const TEGRA_RAIL_POWER: Metric = gauge("tegra_rail_power_watts", "Power on a rail");
/// Power on a rail, on average since tegrastats was started.
pub const TEGRA_RAIL_AVERAGE: Metric =
    gauge("tegra_rail_average_power_watts", "Power on a rail, on average since tegrastats was started");
/// Voltage of a rail.
pub const TEGRA_RAIL_VOLTAGE: Metric = gauge("tegra_rail_voltage_volts", "Voltage of a rail");
/// Current on a rail.
pub const TEGRA_RAIL_CURRENT: Metric = gauge("tegra_rail_current_amperes", "Current on a rail");
/// 1 while the current on a rail is above its limit.
pub const TEGRA_RAIL_OVER_CURRENT: Metric =
    gauge("tegra_rail_over_current", "1 while the current on a rail is above its limit");
/// What the whole board draws.
pub const TEGRA_BOARD_POWER: Metric = gauge("tegra_board_power_watts", "What the whole board draws");
/// How many blocks of the largest free size there are.
pub const TEGRA_MEMORY_FREE_BLOCKS: Metric =
    gauge("tegra_memory_largest_free_blocks", "How many blocks of the largest free size there are");
/// The largest size of which a block of memory is free.
pub const TEGRA_MEMORY_FREE_BLOCK: Metric =
    gauge("tegra_memory_largest_free_block_bytes", "The largest size of which a block of memory is free");
