//! What every machine has: processors, memory, disks and networks.

use serde::{Deserialize, Serialize};

/// The processors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cpu {
    /// Their model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// How busy they are, over all that are on; absent in the first second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utilisation_percent: Option<f64>,
    /// Each, by its number.
    pub cores: Vec<Core>,
    /// How many processes wanted to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
}

/// One processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Core {
    /// Whether it is on: a power mode turns cores off.
    pub online: bool,
    /// How busy it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<f64>,
    /// Its clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mhz: Option<u32>,
}

/// How many processes wanted to run, on average over 1, 5 and 15 minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Over one minute.
    pub one: f64,
    /// Over five minutes.
    pub five: f64,
    /// Over fifteen minutes.
    pub fifteen: f64,
}

/// Main memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// All of it.
    pub total_bytes: u64,
    /// What programs hold: all without what is available.
    pub used_bytes: u64,
    /// What programs could still get, caches given up.
    pub available_bytes: u64,
    /// How many blocks of the largest free size there are (Jetson).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub largest_free_blocks: Option<u32>,
    /// The largest size of which a block is free (Jetson): video engines need whole blocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub largest_free_block_bytes: Option<u64>,
}

/// Swap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swap {
    /// All of it.
    pub total_bytes: u64,
    /// What is swapped out.
    pub used_bytes: u64,
}

/// A mounted file system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Where it is mounted.
    pub mount: String,
    /// The device it lies on.
    pub device: String,
    /// Its type, as in `ext4`.
    pub filesystem: String,
    /// Its size.
    pub total_bytes: u64,
    /// What an ordinary user may still write.
    pub available_bytes: u64,
    /// Whether it is mounted for reading only: by choice, or by the kernel after errors.
    pub read_only: bool,
}

/// A drive and its health.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Drive {
    /// The kernel's name, as in `nvme0` or `mmcblk0`.
    pub name: String,
    /// Its model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// How the kernel finds it: `live` is well for NVMe, `running` for SATA.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// How much of its life is used up, in steps of ten, as an eMMC tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub life_used_percent: Option<u32>,
    /// Whether it says that its spare blocks run out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spare_low: Option<bool>,
    /// Requests that failed since boot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<u64>,
    /// Errors that its file systems have recorded, also before this boot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filesystem_errors: Option<u64>,
    /// Its temperature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature_celsius: Option<f64>,
}

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    /// Its name, as in `eth0`.
    pub name: String,
    /// Whether it can carry packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up: Option<bool>,
    /// Its line rate; absent on what has none, as WLAN and tunnels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mbit_per_second: Option<u32>,
    /// Its hardware address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Its addresses with their prefixes, as in `192.168.1.7/24`.
    pub addresses: Vec<String>,
    /// Bytes received since boot.
    pub received_bytes: u64,
    /// Bytes sent since boot.
    pub sent_bytes: u64,
    /// Packets received with errors since boot.
    pub receive_errors: u64,
    /// Packets that could not be sent since boot.
    pub send_errors: u64,
}
