//! What the agent perceives of its node. Reading and parsing lie apart: a parser takes text, a reader a folder to read
//! below, so that both are tried on what real boards said. The sources do not know each other; [`Sensors`] knows all.

pub mod board;
pub mod drives;
mod file;
pub mod host;
pub mod merge;
pub mod nvml;
pub mod os;
pub mod reach;
pub mod sysfs;
pub mod tegrastats;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    time::{Duration, Instant},
};

use reelmill_api::snapshot::{Absent, BoardFamily, Drive, Node, Os, Snapshot, TAG_LAN, TAG_MESH, Temperature};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::{
    host::Host,
    nvml::Nvml,
    sysfs::Sysfs,
    tegrastats::source::{self, Source, State},
};

/// How often is read what hardly ever changes: drives and the system's links.
const HARDLY_EVER: Duration = Duration::from_secs(30);

/// What the sensors are to know of this node, and what runs beside them.
#[derive(Debug)]
pub struct Setup {
    /// The node's id in the farm.
    pub node: String,
    /// Its own tags.
    pub tags: BTreeSet<String>,
    /// Where to read; `/` but for tests.
    pub root: PathBuf,
    /// What tegrastats tells; `None` on a machine that is no Jetson.
    pub tegrastats: Option<watch::Receiver<State>>,
    /// Whether the LAN target answers; `None` where none is configured.
    pub lan: Option<watch::Receiver<bool>>,
}

impl Setup {
    /// The setup of this node, for which it starts what runs beside the sensors until `stop`: tegrastats if this is a
    /// Jetson, and the look at a LAN target such as `10.0.0.2:9000`. Call it inside a runtime.
    pub fn start(
        node: String,
        tags: BTreeSet<String>,
        tegrastats: Source,
        lan_target: Option<String>,
        stop: &CancellationToken,
    ) -> Self {
        let root = PathBuf::from("/");
        let is_jetson = board::identify(&board::read(&root)).family == BoardFamily::Jetson;
        let tegrastats = is_jetson.then(|| source::follow(tegrastats, stop.clone()));
        let lan = lan_target.map(|target| reach::follow(target, stop.clone()));
        Self { node, tags, root, tegrastats, lan }
    }
}

/// All sources of a snapshot but systemd and the worker, which are asked by message.
pub struct Sensors {
    setup: Setup,
    node: Node,
    host: Host,
    sysfs: Sysfs,
    nvml: Nvml,
    slow: Slow,
}

/// What is read now and then.
struct Slow {
    read_at: Instant,
    os: Os,
    drives: Vec<Drive>,
}

impl Slow {
    fn read(setup: &Setup, now: Instant) -> Self {
        Self { read_at: now, os: os::read(&setup.root), drives: drives::read(&setup.root) }
    }
}

impl Sensors {
    /// Looks which sensors there are.
    pub fn new(setup: Setup, now: Instant) -> Self {
        let board = board::identify(&board::read(&setup.root));
        let node = Node {
            id: setup.node.clone(),
            hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            reelmill: env!("CARGO_PKG_VERSION").to_owned(),
            board,
        };
        Self {
            node,
            host: Host::new(&setup.root),
            sysfs: Sysfs::new(&setup.root, now),
            nvml: Nvml::new(nvml::LIBRARIES, now),
            slow: Slow::read(&setup, now),
            setup,
        }
    }

    /// Reads all that is due. It blocks for as long as the kernel and the driver take, about a millisecond: call it from
    /// a thread where that does no harm. `taken_at` is the wall clock's time, RFC 3339 in UTC. What is asked
    /// by message, such as units and worker, is left empty.
    pub fn sample(&mut self, now: Instant, taken_at: String) -> Snapshot {
        if now.saturating_duration_since(self.slow.read_at) >= HARDLY_EVER {
            self.slow = Slow::read(&self.setup, now);
        }
        let host = self.host.sample(now);
        let mut sysfs = self.sysfs.sample(now);
        merge::number_doubles(&mut sysfs.fans, |fan| &mut fan.name);
        let mut absent = Vec::new();
        let gpus = self.nvml.sample(now).unwrap_or_else(|why| note(&mut absent, "nvml", why));
        let tegra = self.setup.tegrastats.as_ref().map(|told| told.borrow().fresh(now).cloned());
        let tegra = tegra.and_then(|told| told.map_err(|why| note::<()>(&mut absent, "tegrastats", why)).ok());
        let parts = merge::parts(self.node.board.soc, &sysfs, tegra.as_ref(), gpus);
        let os = Os { uptime_seconds: os::uptime_seconds(&self.setup.root), ..self.slow.os.clone() };
        Snapshot {
            taken_at,
            node: self.node.clone(),
            os,
            memory: merge::memory(host.memory, tegra.as_ref()),
            swap: host.swap,
            cpu: host.cpu,
            disks: host.disks,
            drives: with_temperatures(&self.slow.drives, &parts.temperatures),
            tags: self.tags(reach::is_mesh(&host.networks)),
            networks: host.networks,
            gpus: parts.gpus,
            engines: parts.engines,
            temperatures: parts.temperatures,
            rails: parts.rails,
            fans: sysfs.fans,
            time_synchronised: os::time_synchronised(&self.setup.root),
            absent,
            unknown: tegra.map(|tegra| tegra.unknown).unwrap_or_default(),
            ..Snapshot::default()
        }
    }

    fn tags(&self, mesh: bool) -> BTreeSet<String> {
        let lan = self.setup.lan.as_ref().is_some_and(|answers| *answers.borrow());
        // These two are found out, not said.
        let mut tags = self.setup.tags.clone();
        for (tag, holds) in [(TAG_MESH, mesh), (TAG_LAN, lan)] {
            if holds {
                tags.insert(tag.to_owned());
            } else {
                tags.remove(tag);
            }
        }
        tags
    }
}

fn note<T: Default>(absent: &mut Vec<Absent>, source: &str, why: String) -> T {
    absent.push(Absent { source: source.to_owned(), why });
    T::default()
}

/// A drive's temperature comes from a monitor of the drive's name.
fn with_temperatures(drives: &[Drive], temperatures: &[Temperature]) -> Vec<Drive> {
    let of = |name: &str| temperatures.iter().find(|temperature| temperature.name == name).map(|t| t.celsius);
    drives.iter().map(|drive| Drive { temperature_celsius: of(&drive.name), ..drive.clone() }).collect()
}
