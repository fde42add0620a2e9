//! Power meters as JetPack 4 shows them: through the kernel's industrial IO.

use std::path::Path;

use reelmill_api::snapshot::Rail;

use crate::sensors::file::{SmallFile, entries, name, text};

/// The channels that were found.
#[derive(Debug, Default)]
pub(super) struct IioRails(Vec<Channel>);

#[derive(Debug)]
struct Channel {
    name: String,
    milliwatts: SmallFile,
    millivolts: Option<SmallFile>,
    milliamperes: Option<SmallFile>,
}

impl IioRails {
    pub(super) fn look(bus: &Path) -> Self {
        let devices = entries(bus).into_iter().flat_map(|chip| entries(&chip));
        let meters = devices.filter(|device| name(device).starts_with("iio:device"));
        Self(meters.flat_map(|meter| (0..3).filter_map(move |number| Channel::at(&meter, number))).collect())
    }

    pub(super) fn rails(&mut self) -> Vec<Rail> {
        self.0.iter_mut().filter_map(Channel::rail).collect()
    }
}

impl Channel {
    fn at(meter: &Path, number: u32) -> Option<Self> {
        let open = |what: &str| SmallFile::find(meter.join(format!("in_{what}{number}_input")));
        let name = text(&meter.join(format!("rail_name_{number}"))).filter(|label| !label.contains("NC"))?;
        Some(Self { name, milliwatts: open("power")?, millivolts: open("voltage"), milliamperes: open("current") })
    }

    fn rail(&mut self) -> Option<Rail> {
        let read = |file: &mut Option<SmallFile>| file.as_mut().and_then(SmallFile::value);
        Some(Rail {
            name: self.name.clone(),
            milliwatts: Some(self.milliwatts.value()?),
            millivolts: read(&mut self.millivolts),
            milliamperes: read(&mut self.milliamperes),
            ..Rail::default()
        })
    }
}
