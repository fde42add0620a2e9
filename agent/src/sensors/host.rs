//! What every machine tells: processors, memory, disks and networks, by way of sysinfo. Processes are never listed: that
//! would cost more than all the rest together.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use reelmill_api::snapshot::{Core, Cpu, Disk, Load, Memory, Network, Swap};
use sysinfo::{DiskRefreshKind, Disks, NetworkData, Networks, System};

use super::file::{SmallFile, text, value};

/// How often is read what changes slowly or costs many reads: disks, networks, clocks, and which processors are on.
const SLOWLY: Duration = Duration::from_secs(5);
/// File systems that are always full because nobody can write them.
const IMAGES: &[&str] = &["squashfs", "erofs", "iso9660"];

/// What a machine tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Processors.
    pub cpu: Cpu,
    /// Main memory.
    pub memory: Option<Memory>,
    /// Swap.
    pub swap: Option<Swap>,
    /// Mounted file systems.
    pub disks: Vec<Disk>,
    /// Network interfaces.
    pub networks: Vec<Network>,
}

/// A reader of the machine.
pub struct Host {
    root: PathBuf,
    system: System,
    disks: Disks,
    networks: Networks,
    clocks: Vec<Option<SmallFile>>,
    slow: Slow,
}

/// What is read now and then.
#[derive(Default)]
struct Slow {
    read_at: Option<Instant>,
    online: Vec<bool>,
    mhz: Vec<Option<u32>>,
    disks: Vec<Disk>,
    networks: Vec<Network>,
}

/// sysinfo refuses systems that it does not know, and nothing else.
const KNOWN: &str = "sysinfo knows Linux";

impl Host {
    /// A reader of this machine; which cores are on and how the interfaces are is read below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            system: System::new().expect(KNOWN),
            disks: Disks::new().expect(KNOWN),
            networks: Networks::new().expect(KNOWN),
            clocks: Vec::new(),
            slow: Slow::default(),
        }
    }

    /// Reads everything that is due. How busy the processors are is told from the second time on.
    pub fn sample(&mut self, now: Instant) -> Sample {
        if self.slow.read_at.is_none_or(|at| now.saturating_duration_since(at) >= SLOWLY) {
            self.read_slow(now);
        }
        // sysinfo knows a processor again by its place in the list, so another list is another machine to it.
        let compares = !self.system.cpus().is_empty();
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        Sample {
            cpu: self.cpu(compares),
            memory: self.memory(),
            swap: self.swap(),
            disks: self.slow.disks.clone(),
            networks: self.slow.networks.clone(),
        }
    }

    fn read_slow(&mut self, now: Instant) {
        self.disks.refresh_specifics(true, DiskRefreshKind::nothing().with_storage());
        self.networks.refresh(true);
        let cpus = self.root.join("sys/devices/system/cpu");
        let list = |file: &str| text(&cpus.join(file)).map(|text| numbers(&text)).unwrap_or_default();
        let (present, online) = (list("present"), list("online"));
        let online: Vec<bool> = present.iter().map(|number| online.contains(number)).collect();
        if online != self.slow.online {
            self.system = System::new().expect(KNOWN);
            let clock = |number| SmallFile::find(cpus.join(format!("cpu{number}/cpufreq/scaling_cur_freq")));
            self.clocks = present.iter().map(clock).collect();
        }
        self.slow = Slow {
            read_at: Some(now),
            online,
            mhz: self.clocks.iter_mut().map(|file| mhz(file.as_mut()?)).collect(),
            disks: disks(&self.disks),
            networks: networks(&self.networks, &self.root),
        };
    }

    fn cpu(&self, compares: bool) -> Cpu {
        let told = self.system.cpus();
        let mut cores: Vec<Core> = self.slow.online.iter().map(|on| Core { online: *on, ..Core::default() }).collect();
        for (place, cpu) in told.iter().enumerate() {
            let number = cpu.name().strip_prefix("cpu").and_then(|number| number.parse().ok()).unwrap_or(place);
            if cores.len() <= number {
                cores.resize(number + 1, Core::default());
            }
            cores[number] = Core {
                online: true,
                percent: compares.then(|| rounded(cpu.usage())),
                mhz: self.slow.mhz.get(number).copied().flatten(),
            };
        }
        Cpu {
            model: told.first().map(|cpu| cpu.brand().trim().to_owned()).filter(|brand| !brand.is_empty()),
            utilisation_percent: compares.then(|| rounded(self.system.global_cpu_usage())),
            cores,
            load: System::load_average().ok().map(|l| Load { one: l.one, five: l.five, fifteen: l.fifteen }),
        }
    }

    fn memory(&self) -> Option<Memory> {
        let (total_bytes, available_bytes) = (self.system.total_memory(), self.system.available_memory());
        let used_bytes = total_bytes.saturating_sub(available_bytes);
        (total_bytes > 0).then(|| Memory { total_bytes, used_bytes, available_bytes, ..Memory::default() })
    }

    fn swap(&self) -> Option<Swap> {
        let (total_bytes, used_bytes) = (self.system.total_swap(), self.system.used_swap());
        (total_bytes > 0).then_some(Swap { total_bytes, used_bytes })
    }
}

/// What a clock says in kHz.
fn mhz(clock: &mut SmallFile) -> Option<u32> {
    clock.value::<u32>().map(|khz| khz / 1000)
}

/// A tenth of a percent is all that a second's measurement is worth.
fn rounded(percent: f32) -> f64 {
    (f64::from(percent) * 10.0).round() / 10.0
}

/// The numbers of `0-3,6`; at most as many as the kernel has processors, whatever the text says.
fn numbers(list: &str) -> Vec<u32> {
    const MOST: u32 = 8192;
    let ends = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        Some((from.parse().ok()?, to.parse::<u32>().ok()?.min(MOST)))
    };
    list.split(',').filter_map(ends).flat_map(|(from, to)| from..=to).take(MOST as usize).collect()
}

/// Each device once, by its shortest mount: NixOS mounts its store a second time.
fn disks(told: &Disks) -> Vec<Disk> {
    let mut disks: Vec<Disk> = told.iter().map(disk).filter(|disk| disk.total_bytes > 0).collect();
    disks.retain(|disk| !IMAGES.contains(&disk.filesystem.as_str()));
    disks.sort_by(|a, b| (a.mount.len(), &a.mount).cmp(&(b.mount.len(), &b.mount)));
    let mut seen: Vec<String> = Vec::new();
    disks.retain(|disk| {
        let new = !seen.contains(&disk.device);
        seen.push(disk.device.clone());
        new
    });
    disks
}

fn disk(told: &sysinfo::Disk) -> Disk {
    Disk {
        mount: told.mount_point().to_string_lossy().into_owned(),
        device: told.name().to_string_lossy().into_owned(),
        filesystem: told.file_system().to_string_lossy().into_owned(),
        total_bytes: told.total_space(),
        available_bytes: told.available_space(),
        read_only: told.is_read_only(),
    }
}

/// All but loopback and the ends of containers.
fn networks(told: &Networks, root: &Path) -> Vec<Network> {
    let named = told.iter().map(|(name, data)| (name.to_string_lossy(), data));
    let outer = named.filter(|(name, _)| name != "lo" && !name.starts_with("veth"));
    let mut networks: Vec<Network> = outer.map(|(name, data)| network(&name, data, root)).collect();
    networks.sort_by(|a, b| a.name.cmp(&b.name));
    networks
}

fn network(name: &str, data: &NetworkData, root: &Path) -> Network {
    let device = root.join("sys/class/net").join(name);
    let mut addresses: Vec<String> = data.ip_networks().iter().map(ToString::to_string).collect();
    addresses.sort();
    addresses.dedup();
    Network {
        name: name.to_owned(),
        // The file of an interface that is off cannot be read.
        up: device.join("carrier").exists().then(|| value::<u8>(&device.join("carrier")) == Some(1)),
        mbit_per_second: value::<i64>(&device.join("speed")).and_then(|mbit| mbit.try_into().ok()).filter(|m| *m > 0),
        mac: Some(data.mac_address()).filter(|mac| !mac.is_unspecified()).map(|mac| mac.to_string()),
        addresses,
        received_bytes: data.total_received(),
        sent_bytes: data.total_transmitted(),
        receive_errors: data.total_errors_on_received(),
        send_errors: data.total_errors_on_transmitted(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernels_lists_of_processors() {
        let read = |list: &str| numbers(list);
        assert_eq!(read("0-3,6"), [0, 1, 2, 3, 6]);
        assert_eq!((read("0"), read(""), read("3-1"), read("x-y")), (vec![0], vec![], vec![], vec![]));
        assert!(read("0-4294967295").len() <= 8193);
    }

    #[test]
    fn tells_of_this_machine() {
        let mut host = Host::new("/");
        let now = Instant::now();
        let first = host.sample(now);
        assert_eq!(first.cpu.utilisation_percent, None, "nothing to compare with yet");
        let second = host.sample(now + Duration::from_secs(1));
        let threads = std::thread::available_parallelism().expect("the kernel tells").get();
        assert!(second.cpu.cores.len() >= threads, "{:?}", second.cpu);
        assert!(second.cpu.utilisation_percent.is_some_and(|p| (0.0..=100.0).contains(&p)), "{:?}", second.cpu);
        let memory = second.memory.expect("there is memory");
        assert_eq!(memory.used_bytes + memory.available_bytes, memory.total_bytes);
        assert!(second.networks.iter().all(|network| network.name != "lo"), "{:?}", second.networks);
    }
}
