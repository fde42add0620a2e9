//! What an agent knows of its node now: the one value that its metrics, its status page and its heartbeat are made of.
//! Units stand in the names of fields. What a node cannot tell is absent, never zero.

mod board;
mod farm;
mod gpu;
mod host;
mod parts;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use self::{
    board::{Board, BoardFamily, Soc},
    farm::{Broker, Enrolment, Farm, JournalError, LastCommand},
    gpu::{EncoderSession, Encoding, Gpu, ThrottleReason},
    host::{Core, Cpu, Disk, Drive, Load, Memory, Network, Swap},
    parts::{Engine, Fan, Rail, Temperature},
};
use crate::status::WorkerStatus;

/// The tag of a node that has a Tailscale interface with an address.
pub const TAG_MESH: &str = "mesh";
/// The tag of a node that reaches the configured LAN target.
pub const TAG_LAN: &str = "lan";

/// A node at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// When it was taken, RFC 3339 in UTC, by the node's own clock.
    pub taken_at: String,
    /// Who the node is.
    pub node: Node,
    /// The system that runs on it.
    pub os: Os,
    /// Processors.
    pub cpu: Cpu,
    /// Main memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// Swap; absent where none is set up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swap: Option<Swap>,
    /// Mounted file systems that lie on a device.
    pub disks: Vec<Disk>,
    /// Drives that tell of their health.
    pub drives: Vec<Drive>,
    /// Network interfaces but loopback.
    pub networks: Vec<Network>,
    /// GPUs, by index.
    pub gpus: Vec<Gpu>,
    /// A Jetson's engines beside its GPU: encoders, decoders, image and memory units.
    pub engines: Vec<Engine>,
    /// Temperatures, by name.
    pub temperatures: Vec<Temperature>,
    /// Power rails, by name.
    pub rails: Vec<Rail>,
    /// Fans.
    pub fans: Vec<Fan>,
    /// Words of tegrastats that this version does not know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
    /// Whether a time server keeps the clock; absent where nobody can tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_synchronised: Option<bool>,
    /// The farm's systemd units.
    pub units: Vec<Unit>,
    /// What the worker says of itself; absent while it does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<WorkerStatus>,
    /// Tags: those of the configuration, [`TAG_MESH`] and [`TAG_LAN`].
    pub tags: BTreeSet<String>,
    /// Sources that tell nothing now, and why.
    pub absent: Vec<Absent>,
    /// How the node stands to its farm; absent where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub farm: Option<Farm>,
    /// The last errors in the journal of the farm's units, newest first; absent where the journal cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal: Option<Vec<JournalError>>,
}

/// Who a node is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Node {
    /// Its id in the farm.
    pub id: String,
    /// Its host name.
    pub hostname: String,
    /// The agent's version of Reelmill.
    pub reelmill: String,
    /// What it is made of.
    pub board: Board,
}

/// The system on a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Os {
    /// Its name for people, as in `NixOS 26.05 (Yarara)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The kernel's release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// The kernel's random id of this boot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
    /// Seconds since boot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uptime_seconds: Option<u64>,
    /// The number of the NixOS generation that is the system now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// The store path of the system that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The store path of the system that was booted: another one after a switch without a reboot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub booted_system: Option<String>,
}

/// A systemd unit, in systemd's own words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Its full name, as in `reelmill-worker.service`.
    pub name: String,
    /// `active`, `inactive`, `activating`, `deactivating`, `reloading` or `failed`.
    pub active_state: String,
    /// The state that its type knows, as in `running`.
    pub sub_state: String,
    /// How it last ended, as in `exit-code`; absent when well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// How often systemd has restarted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restarts: Option<u32>,
    /// Memory of its processes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Since when it is in this state, RFC 3339 in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

/// A source of the snapshot that tells nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absent {
    /// Which: `nvml`, `tegrastats`, `worker`, `systemd` ...
    pub source: String,
    /// Why, in a sentence for people.
    pub why: String,
}

impl Snapshot {
    /// What the whole board draws: the rail before all others where there is one (`VDD_IN`, `POM_5V_IN`, `VIN`), else
    /// the sum of a Jetson's rails; `None` where there are no rails.
    pub fn board_milliwatts(&self) -> Option<u64> {
        let rail = |name: &str| self.rails.iter().find(|rail| rail.name == name).and_then(|rail| rail.milliwatts);
        ["VDD_IN", "POM_5V_IN", "VIN"].iter().find_map(|name| rail(name)).or_else(|| {
            let known: Vec<u64> = self.rails.iter().filter_map(|rail| rail.milliwatts).collect();
            (!known.is_empty()).then(|| known.iter().sum())
        })
    }

    /// The highest temperature of all, with its name.
    pub fn hottest(&self) -> Option<(&str, f64)> {
        let parts = self.temperatures.iter().map(|t| (t.name.as_str(), t.celsius));
        let gpus = self.gpus.iter().filter_map(|gpu| Some((gpu.name.as_str(), gpu.temperature_celsius?)));
        parts.chain(gpus).max_by(|a, b| a.1.total_cmp(&b.1))
    }
}
