//! Devices whose clocks the kernel scales: a Jetson's GPU and its engines.

use std::path::Path;

use reelmill_api::snapshot::Engine;

use super::GpuLoad;
use crate::sensors::file::{SmallFile, entries, name, text};

/// Device tree nodes of GPUs: Xavier, TX2, Orin, Thor, and what newer kernels call them all.
const GPUS: &[&str] = &["gv11b", "gp10b", "ga10b", "gb10b", "gpu"];
/// Thor has no node of such a name, but a device for each clock domain.
const THOR_GPU: &str = "gpu-gpc-0";
/// Engines by the end of their device's name, as in `154c0000.nvenc`, and our names.
const ENGINES: &[(&str, &str)] =
    &[("nvenc", "nvenc0"), ("nvdec", "nvdec0"), ("nvjpg", "nvjpg0"), ("vic", "vic"), ("ofa", "ofa")];

/// The devices that were found.
#[derive(Debug, Default)]
pub(super) struct Devfreq {
    gpu: Option<Device>,
    engines: Vec<(&'static str, Device)>,
}

/// A device with its clock in Hz and its load in per mille, where it has them.
#[derive(Debug)]
struct Device {
    clock: Option<SmallFile>,
    load: Option<SmallFile>,
}

impl Devfreq {
    pub(super) fn look(class: &Path) -> Self {
        let mut found = Self::default();
        for folder in entries(class) {
            let name = name(&folder);
            let node = text(&folder.join("device/of_node/name"));
            let kind = name.rsplit('.').next().unwrap_or(&name);
            if GPUS.contains(&node.as_deref().unwrap_or(kind)) || name == THOR_GPU {
                found.gpu.get_or_insert_with(|| Device::at(&folder));
            } else if let Some((_, ours)) = ENGINES.iter().find(|(theirs, _)| *theirs == kind) {
                found.engines.push((ours, Device::at(&folder)));
            }
        }
        found.engines.sort_by_key(|(name, _)| *name);
        found
    }

    pub(super) fn gpu(&mut self) -> Option<GpuLoad> {
        let device = self.gpu.as_mut()?;
        let load = GpuLoad { percent: device.percent(), mhz: device.mhz() };
        (load != GpuLoad::default()).then_some(load)
    }

    pub(super) fn engines(&mut self) -> Vec<Engine> {
        let engine = |(name, device): &mut (&'static str, Device)| {
            let (percent, mhz) = (device.percent(), device.mhz()?);
            Some(Engine { name: (*name).to_owned(), on: true, percent, mhz: Some(mhz) })
        };
        self.engines.iter_mut().filter_map(engine).collect()
    }
}

impl Device {
    fn at(folder: &Path) -> Self {
        let open = |file: &str| SmallFile::find(folder.join(file));
        Self { clock: open("cur_freq"), load: open("device/load") }
    }

    fn percent(&mut self) -> Option<f64> {
        self.load.as_mut()?.value::<u16>().map(|per_mille| f64::from(per_mille) / 10.0)
    }

    fn mhz(&mut self) -> Option<u32> {
        let hertz: u64 = self.clock.as_mut()?.value()?;
        u32::try_from(hertz / 1_000_000).ok()
    }
}
