//! GPUs, as far as they tell.

use serde::{Deserialize, Serialize};

/// A GPU. Each value is absent where the driver does not tell it, one by one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gpu {
    /// Its number on this node.
    pub index: u32,
    /// Its model, as in `NVIDIA L4`.
    pub name: String,
    /// Its id, as in `GPU-6a1f...`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// The driver's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// How busy its cores are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utilisation_percent: Option<f64>,
    /// How busy its memory's bus is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_utilisation_percent: Option<f64>,
    /// How busy its encoders are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoder_percent: Option<f64>,
    /// How busy its decoders are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoder_percent: Option<f64>,
    /// What its encoders do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,
    /// Its own memory in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_used_bytes: Option<u64>,
    /// Its own memory that is free.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_free_bytes: Option<u64>,
    /// All its own memory; absent where it shares the main memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_total_bytes: Option<u64>,
    /// What it draws. Of a Jetson, whose GPU has no meter of its own, absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_milliwatts: Option<u64>,
    /// What it may draw.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_limit_milliwatts: Option<u64>,
    /// What it has drawn since the driver was loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub energy_millijoules: Option<u64>,
    /// Its core's temperature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature_celsius: Option<f64>,
    /// The clock of its cores; of several clusters, the highest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_mhz: Option<u32>,
    /// The clock of its memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_clock_mhz: Option<u32>,
    /// The clock of its encoders and decoders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_clock_mhz: Option<u32>,
    /// Its fan, of the fan's full speed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fan_percent: Option<f64>,
    /// What keeps its clocks down now; empty when nothing does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttled: Option<Vec<ThrottleReason>>,
}

/// What a GPU's encoders do, over all sessions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Encoding {
    /// Open sessions.
    pub sessions: u32,
    /// Frames per second of a session, on average.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average_fps: Option<u32>,
    /// How long a frame takes, on average.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average_latency_microseconds: Option<u32>,
    /// Each session; empty where the driver only counts them.
    pub each: Vec<EncoderSession>,
}

/// One session of a GPU's encoders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncoderSession {
    /// The process that has it.
    pub pid: u32,
    /// `h264`, `hevc`, `av1` or `unknown`.
    pub codec: String,
    /// Width of a frame in pixels.
    pub width: u32,
    /// Height of a frame in pixels.
    pub height: u32,
    /// Frames per second, on average.
    pub fps: u32,
    /// How long a frame takes, on average.
    pub latency_microseconds: u32,
}

/// What keeps a GPU's clocks down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThrottleReason {
    /// The power limit that software keeps.
    SoftwarePower,
    /// The temperature limit that software keeps.
    SoftwareThermal,
    /// The board, for power or temperature.
    Hardware,
    /// The board, for temperature.
    HardwareThermal,
    /// The power supply asks for it.
    HardwarePowerBrake,
    /// Clocks that somebody set.
    Settings,
    /// Other GPUs of the same group.
    SyncBoost,
    /// The clocks of the display.
    Display,
    /// Something that has no name yet.
    #[serde(other)]
    Other,
}

impl ThrottleReason {
    /// All that have a name.
    pub const ALL: [Self; 8] = [
        Self::SoftwarePower,
        Self::SoftwareThermal,
        Self::Hardware,
        Self::HardwareThermal,
        Self::HardwarePowerBrake,
        Self::Settings,
        Self::SyncBoost,
        Self::Display,
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SoftwarePower => "software_power",
            Self::SoftwareThermal => "software_thermal",
            Self::Hardware => "hardware",
            Self::HardwareThermal => "hardware_thermal",
            Self::HardwarePowerBrake => "hardware_power_brake",
            Self::Settings => "settings",
            Self::SyncBoost => "sync_boost",
            Self::Display => "display",
            Self::Other => "other",
        }
    }
}
