//! What a board is watched by: engines, temperatures, power rails and fans.

use serde::{Deserialize, Serialize};

/// A Jetson's engine beside its GPU.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Engine {
    /// Its name in small letters and with its number, whatever the release calls it: `nvenc0`, `nvdec0`, `nvjpg1`, `vic`,
    /// `ofa`, `nvdla0`, `pva0`, `ape`, `emc` (the memory's controller).
    pub name: String,
    /// Whether it has power; an engine without power does nothing.
    pub on: bool,
    /// How busy it is; some releases tell only the clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<f64>,
    /// Its clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mhz: Option<u32>,
}

/// A temperature.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Temperature {
    /// Where: `cpu`, `gpu`, `tj` (the hottest of the chip), `nvme0` ...
    pub name: String,
    /// Now.
    pub celsius: f64,
    /// The highest since the source was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_celsius: Option<f64>,
    /// Where clocks are cut or the power goes off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub critical_celsius: Option<f64>,
}

/// A power rail.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rail {
    /// Its name on the board, as in `VDD_IN`.
    pub name: String,
    /// Now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milliwatts: Option<u64>,
    /// On average since the source was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average_milliwatts: Option<u64>,
    /// The most since the source was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_milliwatts: Option<u64>,
    /// Its voltage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub millivolts: Option<u64>,
    /// Its current.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milliamperes: Option<u64>,
    /// Whether its meter says that the current is above the limit: the board slows down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over_current: Option<bool>,
}

/// A fan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Fan {
    /// Its name.
    pub name: String,
    /// Turns per minute; absent without a tachometer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpm: Option<u32>,
    /// How hard it is driven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<f64>,
}
