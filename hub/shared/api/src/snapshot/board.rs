//! What a node is made of.

use serde::{Deserialize, Serialize};

/// A board, as it tells of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Board {
    /// Which kind of machine it is.
    pub family: BoardFamily,
    /// Its name for people, as in `NVIDIA Jetson Orin NX 16GB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The chip of a Jetson.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soc: Option<Soc>,
    /// The number of a Jetson's module, as in `p3767-0000`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// The release of Jetson Linux, as in `36.4.4`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l4t: Option<String>,
    /// The version of the firmware that was booted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firmware: Option<String>,
    /// The board's serial number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// How many NVENC engines this Jetson module has: 0 on an Orin Nano; absent where it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nvenc_engines: Option<u32>,
}

/// Which kind of machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BoardFamily {
    /// An NVIDIA Jetson module.
    Jetson,
    /// A PC or a server, by its DMI tables.
    Pc,
    /// A virtual machine.
    Virtual,
    /// Something that does not say what it is.
    #[default]
    #[serde(other)]
    Unknown,
}

/// A Jetson's chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Soc {
    /// T210: TX1 and Nano.
    Tegra210,
    /// T186: TX2.
    Tegra186,
    /// T194: Xavier.
    Tegra194,
    /// T234: Orin.
    Tegra234,
    /// T264: Thor.
    Tegra264,
}
