//! What the kernel tells of a board in sysfs, all without root: clocks and load of a Jetson's GPU and engines, power
//! rails, temperatures and fans. What is found at start is kept open; what is missing is looked for again now and then,
//! because drivers come late.

mod devfreq;
mod hwmon;
mod iio;
mod thermal;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use reelmill_api::snapshot::{Engine, Fan, Rail, Temperature};

use self::{devfreq::Devfreq, hwmon::Hwmon, iio::IioRails, thermal::Zones};

/// How often is looked for what was not there.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// What sysfs says now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// The GPU of a Jetson.
    pub gpu: Option<GpuLoad>,
    /// Its engines, as far as their clocks are told.
    pub engines: Vec<Engine>,
    /// Power rails.
    pub rails: Vec<Rail>,
    /// Temperatures.
    pub temperatures: Vec<Temperature>,
    /// Fans.
    pub fans: Vec<Fan>,
}

/// The GPU of a Jetson.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GpuLoad {
    /// How busy it is.
    pub percent: Option<f64>,
    /// Its clock.
    pub mhz: Option<u32>,
}

/// A reader of sysfs.
#[derive(Debug)]
pub struct Sysfs {
    root: PathBuf,
    found: Found,
    looked_at: Instant,
}

#[derive(Debug)]
struct Found {
    devfreq: Devfreq,
    zones: Zones,
    hwmon: Hwmon,
    iio: IioRails,
}

impl Sysfs {
    /// A reader below `root`, which is `/` but for tests.
    pub fn new(root: impl Into<PathBuf>, now: Instant) -> Self {
        let root = root.into();
        let found = Found::look(&root);
        Self { root, found, looked_at: now }
    }

    /// Reads everything.
    pub fn sample(&mut self, now: Instant) -> Sample {
        if now.saturating_duration_since(self.looked_at) >= LOOK_AGAIN {
            self.found = Found::look(&self.root);
            self.looked_at = now;
        }
        let Found { devfreq, zones, hwmon, iio } = &mut self.found;
        let mut rails = hwmon.rails();
        rails.extend(iio.rails());
        let mut temperatures = zones.temperatures();
        temperatures.extend(hwmon.temperatures());
        Sample { gpu: devfreq.gpu(), engines: devfreq.engines(), rails, temperatures, fans: hwmon.fans() }
    }
}

impl Found {
    fn look(root: &std::path::Path) -> Self {
        let zones = Zones::look(&root.join("sys/class/thermal"));
        let hwmon = Hwmon::look(&root.join("sys/class/hwmon"), &zones);
        Self {
            devfreq: Devfreq::look(&root.join("sys/class/devfreq")),
            iio: IioRails::look(&root.join("sys/bus/i2c/devices")),
            zones,
            hwmon,
        }
    }
}
