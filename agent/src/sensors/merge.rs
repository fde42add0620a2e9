//! One picture of a board out of what several sources say of the same thing.

use reelmill_api::snapshot::{Engine, Gpu, Memory, Rail, Soc, Temperature};

use super::{sysfs, tegrastats};

/// What a board is watched by, from all sources.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parts {
    /// GPUs.
    pub gpus: Vec<Gpu>,
    /// Engines.
    pub engines: Vec<Engine>,
    /// Power rails.
    pub rails: Vec<Rail>,
    /// Temperatures.
    pub temperatures: Vec<Temperature>,
}

/// Puts together what sysfs, tegrastats and the management library say. `soc` is the chip of a Jetson.
pub fn parts(soc: Option<Soc>, sysfs: &sysfs::Sample, tegra: Option<&tegrastats::Sample>, mut gpus: Vec<Gpu>) -> Parts {
    let engines = engines(&sysfs.engines, tegra);
    let temperatures = temperatures(&sysfs.temperatures, tegra);
    if let Some(own) = soc.and_then(|soc| jetson_gpu(soc, sysfs.gpu, tegra, &engines, &temperatures)) {
        match gpus.first_mut() {
            Some(told) => fill(told, own),
            None => gpus.push(own),
        }
    }
    Parts { gpus, engines, rails: rails(&sysfs.rails, tegra), temperatures }
}

/// Main memory with the free blocks that tegrastats counts.
pub fn memory(host: Option<Memory>, tegra: Option<&tegrastats::Sample>) -> Option<Memory> {
    let blocks = tegra.and_then(|tegra| tegra.ram);
    host.map(|memory| Memory {
        largest_free_blocks: blocks.map(|ram| ram.largest_free_blocks),
        largest_free_block_bytes: blocks.map(|ram| ram.largest_free_block_bytes),
        ..memory
    })
}

/// tegrastats knows whether an engine is on and how busy it is; sysfs knows clocks, and works without root.
fn engines(sysfs: &[Engine], tegra: Option<&tegrastats::Sample>) -> Vec<Engine> {
    let mut engines = tegra.map(|tegra| tegra.engines.clone()).unwrap_or_default();
    let others: Vec<_> = sysfs.iter().filter(|ours| engines.iter().all(|theirs| theirs.name != ours.name)).collect();
    engines.extend(others.into_iter().cloned());
    number_doubles(&mut engines, |engine| &mut engine.name);
    engines
}

/// sysfs is newer by up to a second; tegrastats remembers the highest.
fn temperatures(sysfs: &[Temperature], tegra: Option<&tegrastats::Sample>) -> Vec<Temperature> {
    let theirs = tegra.map(|tegra| tegra.temperatures.as_slice()).unwrap_or_default();
    let mut all = sysfs.to_vec();
    for told in theirs {
        match all.iter_mut().find(|ours| ours.name == told.name) {
            Some(ours) => ours.peak_celsius = told.peak_celsius,
            None => all.push(told.clone()),
        }
    }
    number_doubles(&mut all, |temperature| &mut temperature.name);
    all
}

fn rails(sysfs: &[Rail], tegra: Option<&tegrastats::Sample>) -> Vec<Rail> {
    let theirs = tegra.map(|tegra| tegra.rails.as_slice()).unwrap_or_default();
    let mut all = sysfs.to_vec();
    for told in theirs {
        match all.iter_mut().find(|ours| ours.name == told.name) {
            Some(ours) => {
                ours.average_milliwatts = told.average_milliwatts;
                ours.peak_milliwatts = told.peak_milliwatts;
            }
            None => all.push(told.clone()),
        }
    }
    number_doubles(&mut all, |rail| &mut rail.name);
    all
}

/// Gives the second of a name a `-2`, and so on: a name is a label, and a label stands once.
pub fn number_doubles<T>(all: &mut [T], name: impl Fn(&mut T) -> &mut String) {
    let mut seen: Vec<String> = Vec::new();
    for one in all {
        let name = name(one);
        let own = name.clone();
        let mut number = 2;
        while seen.contains(name) {
            *name = format!("{own}-{number}");
            number += 1;
        }
        seen.push(name.clone());
    }
}

/// The GPU of a Jetson, which no library tells of.
fn jetson_gpu(
    soc: Soc,
    sysfs: Option<sysfs::GpuLoad>,
    tegra: Option<&tegrastats::Sample>,
    engines: &[Engine],
    temperatures: &[Temperature],
) -> Option<Gpu> {
    let gr3d = tegra.and_then(|tegra| tegra.gpu.as_ref());
    if sysfs.is_none() && gr3d.is_none() {
        return None;
    }
    let percent = gr3d.and_then(|gpu| gpu.percent).map(f64::from);
    let clock = gr3d.and_then(|gpu| gpu.mhz.iter().copied().max());
    Some(Gpu {
        name: format!("NVIDIA {}", name(soc)),
        utilisation_percent: sysfs.and_then(|gpu| gpu.percent).or(percent),
        encoder_percent: busiest(engines, "nvenc"),
        decoder_percent: busiest(engines, "nvdec"),
        temperature_celsius: temperatures.iter().find(|t| t.name == "gpu").map(|t| t.celsius),
        clock_mhz: sysfs.and_then(|gpu| gpu.mhz).or(clock),
        ..Gpu::default()
    })
}

/// How busy the busiest of some engines is; 0 where all are off, and nothing where only clocks are known.
fn busiest(engines: &[Engine], stem: &str) -> Option<f64> {
    let numbered = |engine: &&Engine| engine.name.strip_prefix(stem).is_some_and(|n| n.parse::<u8>().is_ok());
    let told = engines.iter().filter(numbered).map(|engine| if engine.on { engine.percent } else { Some(0.0) });
    let told: Vec<Option<f64>> = told.collect();
    let known = told.iter().copied().collect::<Option<Vec<f64>>>()?;
    known.into_iter().reduce(f64::max)
}

/// Puts into `told` what it does not say itself.
fn fill(told: &mut Gpu, own: Gpu) {
    let or = |slot: &mut Option<f64>, value: Option<f64>| *slot = slot.or(value);
    or(&mut told.utilisation_percent, own.utilisation_percent);
    or(&mut told.encoder_percent, own.encoder_percent);
    or(&mut told.decoder_percent, own.decoder_percent);
    or(&mut told.temperature_celsius, own.temperature_celsius);
    told.clock_mhz = told.clock_mhz.or(own.clock_mhz);
}

fn name(soc: Soc) -> &'static str {
    match soc {
        Soc::Tegra210 => "Tegra X1",
        Soc::Tegra186 => "Tegra X2",
        Soc::Tegra194 => "Xavier",
        Soc::Tegra234 => "Orin",
        Soc::Tegra264 => "Thor",
    }
}
