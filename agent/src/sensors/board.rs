//! Which board this is, from what it tells of itself: the device tree, Jetson Linux's release file, DMI.

use std::path::Path;

use reelmill_api::snapshot::{Board, BoardFamily, Soc};

use super::file::text;

/// What a board tells, as it tells it; each part is absent on most boards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// `/proc/device-tree/compatible`: names, each with a NUL behind it.
    pub compatible: Option<String>,
    /// `/proc/device-tree/model`.
    pub model: Option<String>,
    /// `/proc/device-tree/serial-number`, or DMI's.
    pub serial: Option<String>,
    /// `/etc/nv_tegra_release`.
    pub release: Option<String>,
    /// Who made the machine, by DMI.
    pub vendor: Option<String>,
    /// What the machine is called, by DMI.
    pub product: Option<String>,
    /// The version of the firmware, by DMI; a Jetson has it there too.
    pub firmware: Option<String>,
}

/// Chips by their name in the device tree.
const SOCS: &[(&str, Soc)] = &[
    ("nvidia,tegra264", Soc::Tegra264),
    ("nvidia,tegra234", Soc::Tegra234),
    ("nvidia,tegra194", Soc::Tegra194),
    ("nvidia,tegra186", Soc::Tegra186),
    ("nvidia,tegra210", Soc::Tegra210),
];

/// Modules by their number: their name, and how many NVENC engines they have.
const MODULES: &[(&str, &str, u32)] = &[
    ("p3767-0000", "NVIDIA Jetson Orin NX 16GB", 1),
    ("p3767-0001", "NVIDIA Jetson Orin NX 8GB", 1),
    ("p3767-0003", "NVIDIA Jetson Orin Nano 8GB", 0),
    ("p3767-0004", "NVIDIA Jetson Orin Nano 4GB", 0),
    ("p3767-0005", "NVIDIA Jetson Orin Nano 8GB", 0),
];

/// What DMI says of virtual machines, in its vendor or its product.
const VIRTUAL: &[&str] = &["QEMU", "KVM", "Bochs", "VMware", "VirtualBox", "Virtual Machine", "Xen", "HVM domU"];

/// Asks the board, below `root`, which is `/` but for tests.
pub fn read(root: &Path) -> Told {
    let tree = root.join("proc/device-tree");
    let dmi = root.join("sys/devices/virtual/dmi/id");
    Told {
        compatible: text(&tree.join("compatible")),
        model: text(&tree.join("model")),
        serial: text(&tree.join("serial-number")).or_else(|| text(&dmi.join("product_serial"))),
        release: text(&root.join("etc/nv_tegra_release")),
        vendor: text(&dmi.join("sys_vendor")),
        product: text(&dmi.join("product_name")),
        firmware: text(&dmi.join("bios_version")),
    }
}

/// Which board it is.
pub fn identify(told: &Told) -> Board {
    let names: Vec<&str> = told.compatible.as_deref().unwrap_or_default().split('\0').collect();
    let soc = SOCS.iter().find(|(name, _)| names.contains(name)).map(|(_, soc)| *soc);
    let module = names.iter().find_map(|name| module(name));
    let known = MODULES.iter().find(|(number, ..)| module.as_deref() == Some(number));
    let family = match soc {
        Some(_) => BoardFamily::Jetson,
        None => by_dmi(told),
    };
    Board {
        family,
        model: known.map(|(_, name, _)| (*name).to_owned()).or_else(|| told.model.clone()).or_else(|| product(told)),
        soc,
        l4t: told.release.as_deref().and_then(release),
        firmware: told.firmware.clone(),
        serial: told.serial.clone(),
        nvenc_engines: known.map(|(.., engines)| *engines).or_else(|| engines_of(soc?, module.as_deref())),
        module,
    }
}

fn by_dmi(told: &Told) -> BoardFamily {
    let words = [&told.vendor, &told.product];
    let mut words = words.into_iter().flatten().peekable();
    if words.peek().is_none() {
        return BoardFamily::Unknown;
    }
    let is_virtual = words.any(|word| VIRTUAL.iter().any(|name| word.contains(name)));
    if is_virtual { BoardFamily::Virtual } else { BoardFamily::Pc }
}

/// DMI's vendor and product as one name, without saying the vendor twice.
fn product(told: &Told) -> Option<String> {
    match (&told.vendor, &told.product) {
        (Some(vendor), Some(product)) if !product.starts_with(vendor) => Some(format!("{vendor} {product}")),
        (_, Some(product)) => Some(product.clone()),
        (vendor, None) => vendor.clone(),
    }
}

/// `p3767-0000` in `nvidia,p3768-0000+p3767-0000`, or in `nvidia,p3767-0000`: the carrier comes before the plus.
fn module(compatible: &str) -> Option<String> {
    let name = compatible.strip_prefix("nvidia,")?.rsplit('+').next()?;
    let (part, variant) = name.strip_prefix('p')?.split_once('-')?;
    let digits = |text: &str| text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit());
    let variant = variant.get(..4).filter(|v| digits(v))?;
    digits(part).then(|| format!("p{part}-{variant}"))
}

/// `36.4.4` in `# R36 (release), REVISION: 4.4, GCID: ...`.
fn release(text: &str) -> Option<String> {
    let (major, rest) = text.strip_prefix("# R")?.split_once(' ')?;
    let revision = rest.split("REVISION: ").nth(1)?.split(',').next()?.trim();
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    (plain(major) && plain(revision)).then(|| format!("{major}.{revision}"))
}

/// How many NVENC engines a chip brings, where its module is not listed by itself.
fn engines_of(soc: Soc, module: Option<&str>) -> Option<u32> {
    match soc {
        Soc::Tegra264 | Soc::Tegra194 => Some(2),
        // AGX Orin. An Orin that does not say its module might be a Nano, which has none.
        Soc::Tegra234 => module?.starts_with("p3701-").then_some(1),
        Soc::Tegra186 | Soc::Tegra210 => None,
    }
}
