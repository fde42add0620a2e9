//! The kernel's thermal zones.

use std::path::Path;

use reelmill_api::snapshot::Temperature;

use crate::sensors::file::{SmallFile, entries, name, text, value};

/// Below this there is no temperature: a zone without power reads -256.
const ABSURDLY_COLD: f64 = -100.0;
/// A zone of TX and Xavier boards that always reads 100 degrees.
const DUMMY: &str = "pmic";

/// The zones that were found.
#[derive(Debug, Default)]
pub(super) struct Zones(Vec<Zone>);

#[derive(Debug)]
struct Zone {
    name: String,
    milli_celsius: SmallFile,
    critical_celsius: Option<f64>,
}

impl Zones {
    pub(super) fn look(class: &Path) -> Self {
        let zones = entries(class).into_iter().filter(|folder| name(folder).starts_with("thermal_zone"));
        Self(zones.filter_map(|folder| Zone::at(&folder)).collect())
    }

    /// Whether one of them has that name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|zone| zone.name == name)
    }

    pub(super) fn temperatures(&mut self) -> Vec<Temperature> {
        self.0.iter_mut().filter_map(Zone::temperature).collect()
    }
}

impl Zone {
    fn at(folder: &Path) -> Option<Self> {
        let name = zone_name(&text(&folder.join("type"))?);
        let milli_celsius = SmallFile::find(folder.join("temp"))?;
        (!name.starts_with(DUMMY)).then(|| Self { name, milli_celsius, critical_celsius: critical(folder) })
    }

    fn temperature(&mut self) -> Option<Temperature> {
        let celsius = degrees(self.milli_celsius.value()?)?;
        let critical_celsius = self.critical_celsius;
        Some(Temperature { name: self.name.clone(), celsius, peak_celsius: None, critical_celsius })
    }
}

/// Thousandths of a degree as degrees; `None` for what is none.
pub(super) fn degrees(milli_celsius: i32) -> Option<f64> {
    let celsius = f64::from(milli_celsius) / 1000.0;
    (celsius > ABSURDLY_COLD).then_some(celsius)
}

/// `cpu` for `cpu-thermal` and `CPU-therm`: the name that tegrastats has for it too.
fn zone_name(kind: &str) -> String {
    let kind = kind.to_ascii_lowercase();
    let stem = kind.strip_suffix("-thermal").or_else(|| kind.strip_suffix("-therm"));
    stem.unwrap_or(&kind).to_owned()
}

fn critical(zone: &Path) -> Option<f64> {
    let mut number = 0;
    while let Some(kind) = text(&zone.join(format!("trip_point_{number}_type"))) {
        if kind == "critical" {
            return degrees(value(&zone.join(format!("trip_point_{number}_temp")))?);
        }
        number += 1;
    }
    None
}
