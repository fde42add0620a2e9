//! Hardware monitors: the power meters of a Jetson (ina3221), temperatures of processors and drives, fans.

use std::path::Path;

use reelmill_api::snapshot::{Fan, Rail, Temperature};

use super::thermal::{Zones, degrees};
use crate::sensors::file::{SmallFile, entries, name, text};

/// The power meter of Jetson boards.
const POWER_METER: &str = "ina3221";
/// Its channels that hang on a rail; the seventh is the sum of three, in no useful unit.
const CHANNELS: std::ops::RangeInclusive<u32> = 1..=3;
/// What drives a fan is told from 0 to this.
const FULL_SPEED: f64 = 255.0;
/// Of a monitor's temperatures, these speak for the whole device. A server's 64 cores are not 64 sensors here: each
/// costs a read every second.
const WHOLE_DEVICE: &[&str] = &["Tctl", "Composite"];

/// The monitors that were found.
#[derive(Debug, Default)]
pub(super) struct Hwmon {
    rails: Vec<Channel>,
    temperatures: Vec<(String, SmallFile)>,
    fans: Vec<FanFiles>,
}

#[derive(Debug)]
struct Channel {
    name: String,
    millivolts: SmallFile,
    milliamperes: SmallFile,
    alarms: Vec<SmallFile>,
}

#[derive(Debug)]
struct FanFiles {
    name: String,
    rpm: Option<SmallFile>,
    drive: Option<SmallFile>,
}

impl Hwmon {
    /// Looks below a folder of monitors, leaving out what the thermal zones tell already.
    pub(super) fn look(class: &Path, zones: &Zones) -> Self {
        let mut found = Self::default();
        for folder in entries(class) {
            let kind = text(&folder.join("name")).unwrap_or_default();
            if kind == POWER_METER {
                found.rails.extend(CHANNELS.filter_map(|number| Channel::at(&folder, number)));
                continue;
            }
            if let Some(fan) = FanFiles::at(&folder, &kind) {
                found.add(fan);
            }
            // Every thermal zone is a monitor too.
            let is_zone = folder.join("device/trip_point_0_type").exists() || folder.join("device/mode").exists();
            let told = is_zone || (kind == "coretemp" && zones.has("x86_pkg_temp"));
            if !told {
                found.temperatures.extend(temperatures(&folder, &kind));
            }
        }
        found
    }

    /// Adds a fan. A Jetson has what drives its fan in one monitor and its tachometer in another.
    fn add(&mut self, fan: FanFiles) {
        match self.fans.last_mut() {
            Some(last) if last.rpm.is_none() && fan.drive.is_none() => last.rpm = fan.rpm,
            Some(last) if last.drive.is_none() && fan.rpm.is_none() => last.drive = fan.drive,
            _ => self.fans.push(fan),
        }
    }

    pub(super) fn rails(&mut self) -> Vec<Rail> {
        self.rails.iter_mut().filter_map(Channel::rail).collect()
    }

    pub(super) fn temperatures(&mut self) -> Vec<Temperature> {
        let temperature = |(name, milli_celsius): &mut (String, SmallFile)| {
            Some(Temperature {
                name: name.clone(),
                celsius: degrees(milli_celsius.value()?)?,
                ..Temperature::default()
            })
        };
        self.temperatures.iter_mut().filter_map(temperature).collect()
    }

    pub(super) fn fans(&mut self) -> Vec<Fan> {
        self.fans.iter_mut().filter_map(FanFiles::fan).collect()
    }
}

impl Channel {
    fn at(folder: &Path, number: u32) -> Option<Self> {
        let open = |file: String| SmallFile::find(folder.join(file));
        let name = text(&folder.join(format!("in{number}_label"))).filter(|label| !label.contains("NC"))?;
        let alarms = ["max_alarm", "crit_alarm"].iter().filter_map(|kind| open(format!("curr{number}_{kind}")));
        Some(Self {
            name,
            millivolts: open(format!("in{number}_input"))?,
            milliamperes: open(format!("curr{number}_input"))?,
            alarms: alarms.collect(),
        })
    }

    fn rail(&mut self) -> Option<Rail> {
        let millivolts: u64 = self.millivolts.value()?;
        let milliamperes: u64 = self.milliamperes.value()?;
        let alarms: Vec<u8> = self.alarms.iter_mut().filter_map(SmallFile::value).collect();
        Some(Rail {
            name: self.name.clone(),
            milliwatts: Some(millivolts.saturating_mul(milliamperes) / 1000),
            millivolts: Some(millivolts),
            milliamperes: Some(milliamperes),
            over_current: (!alarms.is_empty()).then(|| alarms.iter().any(|alarm| *alarm != 0)),
            ..Rail::default()
        })
    }
}

impl FanFiles {
    fn at(folder: &Path, kind: &str) -> Option<Self> {
        let first = |files: &[&str]| files.iter().find_map(|file| SmallFile::find(folder.join(file)));
        // Jetson's own driver of a tachometer calls its file `rpm`.
        let (rpm, drive) = (first(&["fan1_input", "rpm"]), first(&["pwm1"]));
        (rpm.is_some() || drive.is_some()).then(|| Self { name: kind.to_owned(), rpm, drive })
    }

    fn fan(&mut self) -> Option<Fan> {
        let rpm = self.rpm.as_mut().and_then(SmallFile::value);
        let drive: Option<u8> = self.drive.as_mut().and_then(SmallFile::value);
        let percent = drive.map(|of_255| (f64::from(of_255) / FULL_SPEED * 1000.0).round() / 10.0);
        (rpm.is_some() || percent.is_some()).then(|| Fan { name: self.name.clone(), rpm, percent })
    }
}

/// The temperatures of a monitor that speak for a whole device, each with a name.
fn temperatures(folder: &Path, kind: &str) -> Vec<(String, SmallFile)> {
    // A drive's monitor is called `nvme`, or `drivetemp`; its device has the drive's own name.
    let device = folder.join("device").canonicalize().map(|path| name(&path)).unwrap_or_default();
    let owner = if device.starts_with("nvme") { device } else { kind.to_owned() };
    let mut found = Vec::new();
    for number in 1.. {
        let Some(file) = SmallFile::find(folder.join(format!("temp{number}_input"))) else { break };
        match text(&folder.join(format!("temp{number}_label"))) {
            None => found.push((owner.clone(), file)),
            Some(label) if WHOLE_DEVICE.contains(&label.as_str()) => found.push((owner.clone(), file)),
            Some(label) if label.starts_with("Package id ") => {
                found.push((format!("cpu{}", &label["Package id ".len()..]), file));
            }
            Some(_) => {}
        }
    }
    found
}
