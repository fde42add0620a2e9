//! What every node tells.

use reelmill_api::{
    metrics::{self as names, Metric},
    snapshot::{Cpu, Disk, Drive, Network, Snapshot},
    status::WorkerState,
};

use super::text::{Text, count, flag, hertz, ratio};

pub(super) fn identity(text: &mut Text, snapshot: &Snapshot) {
    let Snapshot { node, os, .. } = snapshot;
    let word = |word: &Option<String>| word.clone().unwrap_or_default();
    let (kernel, boot, system) = (word(&os.kernel), word(&os.boot_id), word(&os.system));
    let (model, l4t, firmware) = (word(&node.board.model), word(&node.board.l4t), word(&node.board.firmware));
    let (name, generation) = (word(&os.name), os.generation.map(|g| g.to_string()).unwrap_or_default());
    text.family(names::NODE_INFO, [()], |()| {
        let labels = [
            ("node", node.id.as_str()),
            ("hostname", &node.hostname),
            ("version", &node.reelmill),
            ("board", &model),
            ("l4t", &l4t),
            ("firmware", &firmware),
            ("os", &name),
            ("kernel", &kernel),
            ("boot_id", &boot),
            ("generation", &generation),
            ("system", &system),
        ];
        Some((1.0, labels))
    });
    text.single(names::NODE_UPTIME, os.uptime_seconds.map(count));
    text.single(names::NODE_TIME_SYNCHRONISED, snapshot.time_synchronised.map(flag));
    text.family(names::NODE_TAG, &snapshot.tags, |tag| Some((1.0, [("tag", tag.as_str())])));
    text.family(names::NODE_SOURCE_ABSENT, &snapshot.absent, |gone| Some((1.0, [("source", gone.source.as_str())])));
    text.single(names::NODE_UNKNOWN_TOKENS, Some(count(snapshot.unknown.len() as u64)));
}

pub(super) fn worker_and_units(text: &mut Text, snapshot: &Snapshot) {
    let worker = snapshot.worker.as_ref();
    text.single(names::NODE_WORKER_UP, Some(flag(worker.is_some())));
    text.single(names::NODE_WORKER_DRAINING, worker.map(|worker| flag(worker.state == WorkerState::Draining)));
    text.single(names::NODE_WORKER_TASKS, worker.map(|worker| count(worker.running.len() as u64)));
    let units = &snapshot.units;
    text.family(names::NODE_UNIT_STATE, units, |unit| {
        Some((1.0, [("unit", unit.name.as_str()), ("state", &unit.active_state)]))
    });
    text.family(names::NODE_UNIT_RESTARTS, units, |unit| {
        Some((unit.restarts.map(f64::from)?, [("unit", unit.name.as_str())]))
    });
    text.family(names::NODE_UNIT_MEMORY, units, |unit| {
        Some((unit.memory_bytes.map(count)?, [("unit", unit.name.as_str())]))
    });
}

pub(super) fn processors(text: &mut Text, cpu: &Cpu) {
    text.single(names::NODE_CPU_USAGE, cpu.utilisation_percent.map(ratio));
    let numbers: Vec<String> = (0..cpu.cores.len()).map(|number| number.to_string()).collect();
    let cores = || cpu.cores.iter().zip(&numbers);
    let label = |number| [("core", String::as_str(number))];
    text.family(names::NODE_CORE_USAGE, cores(), |(core, n)| Some((core.percent.map(ratio)?, label(n))));
    text.family(names::NODE_CORE_CLOCK, cores(), |(core, n)| Some((core.mhz.map(hertz)?, label(n))));
    text.family(names::NODE_CORE_ONLINE, cores(), |(core, n)| Some((flag(core.online), label(n))));
    text.single(names::NODE_LOAD1, cpu.load.map(|load| load.one));
    text.single(names::NODE_LOAD5, cpu.load.map(|load| load.five));
    text.single(names::NODE_LOAD15, cpu.load.map(|load| load.fifteen));
}

pub(super) fn memory(text: &mut Text, snapshot: &Snapshot) {
    let (memory, swap) = (snapshot.memory, snapshot.swap);
    text.single(names::NODE_MEMORY_SIZE, memory.map(|memory| count(memory.total_bytes)));
    text.single(names::NODE_MEMORY_AVAILABLE, memory.map(|memory| count(memory.available_bytes)));
    text.single(names::NODE_SWAP_SIZE, swap.map(|swap| count(swap.total_bytes)));
    text.single(names::NODE_SWAP_USED, swap.map(|swap| count(swap.used_bytes)));
}

pub(super) fn disks(text: &mut Text, snapshot: &Snapshot) {
    let mut disk = |metric: Metric, value: fn(&Disk) -> f64| {
        text.family(metric, &snapshot.disks, |disk| {
            let Disk { mount, device, filesystem, .. } = disk;
            Some((value(disk), [("mountpoint", mount.as_str()), ("device", device), ("fstype", filesystem)]))
        });
    };
    disk(names::NODE_DISK_SIZE, |disk| count(disk.total_bytes));
    disk(names::NODE_DISK_AVAILABLE, |disk| count(disk.available_bytes));
    disk(names::NODE_DISK_READONLY, |disk| flag(disk.read_only));
    text.family(names::NODE_DRIVE_INFO, &snapshot.drives, |drive| {
        let (model, state) = (drive.model.as_deref().unwrap_or_default(), drive.state.as_deref().unwrap_or_default());
        Some((1.0, [("drive", drive.name.as_str()), ("model", model), ("state", state)]))
    });
    let mut drive = |metric: Metric, value: fn(&Drive) -> Option<f64>| {
        text.family(metric, &snapshot.drives, |drive| Some((value(drive)?, [("drive", drive.name.as_str())])));
    };
    drive(names::NODE_DRIVE_LIFE_USED, |drive| drive.life_used_percent.map(f64::from).map(ratio));
    drive(names::NODE_DRIVE_SPARE_LOW, |drive| drive.spare_low.map(flag));
    drive(names::NODE_DRIVE_ERRORS, |drive| drive.errors.map(count));
    drive(names::NODE_DRIVE_FILESYSTEM_ERRORS, |drive| drive.filesystem_errors.map(count));
}

pub(super) fn networks(text: &mut Text, networks: &[Network]) {
    let mut each = |metric: Metric, value: fn(&Network) -> Option<f64>| {
        text.family(metric, networks, |network| Some((value(network)?, [("device", network.name.as_str())])));
    };
    each(names::NODE_NETWORK_UP, |network| network.up.map(flag));
    // A million bits are 125 000 bytes.
    each(names::NODE_NETWORK_SPEED, |network| network.mbit_per_second.map(|mbit| f64::from(mbit) * 125_000.0));
    each(names::NODE_NETWORK_RECEIVED, |network| Some(count(network.received_bytes)));
    each(names::NODE_NETWORK_SENT, |network| Some(count(network.sent_bytes)));
    each(names::NODE_NETWORK_RECEIVE_ERRORS, |network| Some(count(network.receive_errors)));
    each(names::NODE_NETWORK_SEND_ERRORS, |network| Some(count(network.send_errors)));
}

pub(super) fn heat(text: &mut Text, snapshot: &Snapshot) {
    let temperatures = &snapshot.temperatures;
    text.family(names::NODE_TEMPERATURE, temperatures, |t| Some((t.celsius, [("sensor", t.name.as_str())])));
    text.family(names::NODE_TEMPERATURE_CRITICAL, temperatures, |t| {
        Some((t.critical_celsius?, [("sensor", t.name.as_str())]))
    });
    text.family(names::NODE_FAN_RPM, &snapshot.fans, |fan| {
        Some((fan.rpm.map(f64::from)?, [("fan", fan.name.as_str())]))
    });
    text.family(names::NODE_FAN_SPEED, &snapshot.fans, |fan| {
        Some((fan.percent.map(ratio)?, [("fan", fan.name.as_str())]))
    });
}
