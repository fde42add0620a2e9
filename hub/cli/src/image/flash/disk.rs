//! What the kernel says of a block device: what it is, how large, and who uses it.

use std::{
    collections::BTreeSet,
    fmt, fs, io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use reelmill_daemon::report::{Hinted, visible};

use super::super::size::size;

/// Where the kernel tells of its devices.
pub(super) struct Kernel {
    /// Usually `/sys`.
    pub(super) sys: PathBuf,
    /// Usually `/proc`.
    pub(super) proc: PathBuf,
}

impl Default for Kernel {
    fn default() -> Self {
        Self { sys: "/sys".into(), proc: "/proc".into() }
    }
}

/// How a device is connected, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By USB.
    Usb,
    /// A card in a slot.
    Card,
    /// Its medium can be taken out.
    Removable,
    /// It is built in.
    Fixed,
}

/// Who uses a part of the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// A file system there is mounted.
    Mounted(String),
    /// It is swap.
    Swap,
    /// Another device is made of it.
    Holds(String),
}

/// A block device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Disk {
    /// Its name without links, as in `/dev/sdb`.
    pub(super) path: PathBuf,
    /// Its name, as in `sdb`.
    pub(super) name: String,
    /// Its length in bytes.
    pub(super) length: u64,
    /// The size of its sectors, as programs see them, in bytes.
    pub(super) sector: u64,
    /// Who made it, and what.
    pub(super) model: String,
    /// How it is connected.
    pub(super) way: Way,
    /// Whether it cannot be written.
    pub(super) read_only: bool,
    /// Of a partition, the disk that it belongs to.
    pub(super) part_of: Option<String>,
    /// Its partitions' names.
    pub(super) partitions: Vec<String>,
    /// Who uses it.
    pub(super) uses: Vec<Use>,
}

impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = match self.way {
            Way::Usb => "on USB",
            Way::Card => "a card",
            Way::Removable => "removable",
            Way::Fixed => "built in",
        };
        let model = if self.model.is_empty() { String::new() } else { format!("{}, ", visible(&self.model)) };
        write!(f, "{}: {}, {model}{way}, ", self.path.display(), size(self.length))?;
        match self.partitions.as_slice() {
            [] => write!(f, "without partitions"),
            some => write!(f, "with {}", some.join(", ")),
        }
    }
}

impl Disk {
    /// What is known of the device at a path.
    pub(super) fn look(kernel: &Kernel, path: &Path) -> anyhow::Result<Self> {
        let cannot = || format!("cannot use {}", path.display());
        let real = fs::canonicalize(path).with_context(cannot)?;
        let meta = fs::metadata(&real).with_context(cannot)?;
        if !meta.file_type().is_block_device() {
            let hint = "name a whole device such as /dev/sdb; `lsblk` lists them";
            return Err(Hinted::new(format!("{}: it is no block device", cannot()), hint).into());
        }
        let folder = kernel.device(meta.rdev()).with_context(cannot)?;
        Ok(kernel.disk(&folder, real))
    }
}

impl Kernel {
    /// The folder of a device.
    fn device(&self, number: u64) -> io::Result<PathBuf> {
        let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
        fs::canonicalize(self.sys.join(format!("dev/block/{major}:{minor}")))
    }

    fn disk(&self, folder: &Path, path: PathBuf) -> Disk {
        let part_of = folder.join("partition").exists().then(|| folder.parent().map(name)).flatten();
        let partitions: Vec<String> = children(folder)
            .into_iter()
            .filter(|child| child.join("partition").exists())
            .map(|child| name(&child))
            .collect();
        let mut uses = Vec::new();
        for part in [folder.to_owned()].into_iter().chain(partitions.iter().map(|part| folder.join(part))) {
            uses.extend(children(&part.join("holders")).iter().map(|holder| Use::Holds(name(holder))));
        }
        let own = name(folder);
        uses.extend(self.mounts().into_iter().filter(|(disks, _)| disks.contains(&own)).map(|(_, used)| used));
        let number = |file: &str| line(&folder.join(file)).parse::<u64>().unwrap_or(0);
        let model: Vec<String> =
            ["device/vendor", "device/model", "device/name"].iter().map(|file| line(&folder.join(file))).collect();
        Disk {
            path,
            length: number("size") * 512,
            sector: number("queue/logical_block_size").max(512),
            model: model.iter().filter(|word| !word.is_empty()).cloned().collect::<Vec<_>>().join(" "),
            way: way(folder, &own),
            read_only: number("ro") != 0,
            name: own,
            part_of,
            partitions,
            uses,
        }
    }

    /// What is mounted or swapped to, with the disks below it.
    fn mounts(&self) -> Vec<(BTreeSet<String>, Use)> {
        let text = |file: &str| fs::read_to_string(self.proc.join(file)).unwrap_or_default();
        let mounts = text("self/mountinfo");
        let mounts = mounts.lines().filter_map(mount).map(|(device, source, at)| {
            let mut disks = BTreeSet::new();
            for folder in [fs::canonicalize(self.sys.join("dev/block").join(device)).ok(), self.of_node(source)] {
                disks.extend(folder.iter().flat_map(|folder| self.below(folder)));
            }
            (disks, Use::Mounted(unescape(at)))
        });
        let swaps = text("swaps");
        let swaps = swaps.lines().skip(1).filter_map(|line| line.split_whitespace().next());
        let swaps = swaps.filter_map(|node| self.of_node(node)).map(|folder| (self.below(&folder), Use::Swap));
        mounts.chain(swaps).collect()
    }

    /// The folder of the device with that name below `/dev`.
    fn of_node(&self, node: &str) -> Option<PathBuf> {
        let meta = fs::metadata(unescape(node)).ok().filter(|meta| meta.file_type().is_block_device())?;
        self.device(meta.rdev()).ok()
    }

    /// The disks that a device is made of: its own name, and through partitions, encryption, LVM and RAID.
    fn below(&self, folder: &Path) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut look = vec![folder.to_owned()];
        while let Some(folder) = look.pop() {
            // A device cannot be below itself, but who knows.
            if found.insert(name(&folder)) {
                look.extend(children(&folder.join("slaves")).iter().filter_map(|slave| fs::canonicalize(slave).ok()));
                if folder.join("partition").exists() {
                    look.extend(folder.parent().map(Path::to_owned));
                }
            }
        }
        found
    }
}

/// The device's number, what was mounted, and where, of a line of `mountinfo`.
fn mount(line: &str) -> Option<(&str, &str, &str)> {
    let (head, tail) = line.split_once(" - ")?;
    let mut head = head.split(' ');
    let (device, at) = (head.nth(2)?, head.nth(1)?);
    Some((device, tail.split(' ').nth(1)?, at))
}

/// Blanks in these files are written as octal numbers.
fn unescape(text: &str) -> String {
    ["\\040", "\\011", "\\012", "\\134"]
        .iter()
        .zip([" ", "\t", "\n", "\\"])
        .fold(text.to_owned(), |text, (code, letter)| text.replace(code, letter))
}

fn way(folder: &Path, name: &str) -> Way {
    let told = folder.to_string_lossy();
    if name.starts_with("mmcblk") && line(&folder.join("device/type")) == "SD" {
        Way::Card
    } else if told.split('/').any(|part| part.starts_with("usb")) {
        Way::Usb
    } else if line(&folder.join("removable")) == "1" {
        Way::Removable
    } else {
        Way::Fixed
    }
}

fn name(folder: &Path) -> String {
    folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// What is in a folder, in order; nothing where there is none.
fn children(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    all.sort();
    all
}

/// A file's only line.
fn line(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A kernel with an internal drive that the system is on, through encryption, and a stick.
    fn kernel(at: &Path) -> Kernel {
        let put = |file: &str, text: &str| {
            let file = at.join(file);
            fs::create_dir_all(file.parent().expect("below")).expect("ours");
            fs::write(file, text).expect("ours");
        };
        let nvme = "sys/devices/pci0/nvme/nvme0/nvme0n1";
        let usb = "sys/devices/pci0/usb2/2-1/host6/block/sdb";
        put(&format!("{nvme}/size"), "1000215216\n");
        put(&format!("{nvme}/nvme0n1p2/partition"), "2\n");
        put(&format!("{usb}/size"), "125045424\n");
        put(&format!("{usb}/ro"), "0\n");
        put(&format!("{usb}/device/vendor"), "SanDisk \n");
        put(&format!("{usb}/device/model"), "Ultra\n");
        put(&format!("{usb}/queue/logical_block_size"), "512\n");
        put(&format!("{usb}/sdb1/partition"), "1\n");
        put("sys/devices/virtual/block/dm-0/size", "1\n");
        put("sys/devices/virtual/block/dm-0/slaves/x", "");
        let links = [
            (format!("{nvme}/nvme0n1p2"), "sys/devices/virtual/block/dm-0/slaves/nvme0n1p2"),
            ("sys/devices/virtual/block/dm-0".to_owned(), "sys/dev/block/254:0"),
            (format!("{usb}/sdb1"), "sys/dev/block/8:17"),
            ("sys/devices/virtual/block/dm-0".to_owned(), "sys/devices/pci0/nvme/nvme0/nvme0n1/nvme0n1p2/holders/dm-0"),
        ];
        for (to, link) in links {
            let link = at.join(link);
            fs::create_dir_all(link.parent().expect("below")).expect("ours");
            symlink(at.join(to), link).expect("ours");
        }
        let mounts = "22 1 254:0 / / rw shared:1 - ext4 /dev/none/root rw\n23 22 8:17 / /run/media/anna/MY\\040STICK rw - vfat none rw\n";
        put("proc/self/mountinfo", mounts);
        put("proc/swaps", "Filename Type Size Used Priority\n");
        Kernel { sys: at.join("sys"), proc: at.join("proc") }
    }

    #[test]
    fn a_disk_is_known_by_what_the_kernel_tells() {
        let folder = tempfile::tempdir().expect("a folder");
        let kernel = kernel(folder.path());
        let look = |at: &str, path: &str| kernel.disk(&folder.path().join("sys/devices/pci0").join(at), path.into());
        let stick = look("usb2/2-1/host6/block/sdb", "/dev/sdb");
        assert_eq!(stick.to_string(), "/dev/sdb: 64.0 GB, SanDisk Ultra, on USB, with sdb1");
        assert_eq!(stick.uses, [Use::Mounted("/run/media/anna/MY STICK".to_owned())]);
        let part = look("usb2/2-1/host6/block/sdb/sdb1", "/dev/sdb1");
        assert_eq!(part.part_of.as_deref(), Some("sdb"));
        let nvme = look("nvme/nvme0/nvme0n1", "/dev/nvme0n1");
        assert_eq!(nvme.to_string(), "/dev/nvme0n1: 512 GB, built in, with nvme0n1p2");
        assert_eq!(nvme.uses, [Use::Holds("dm-0".to_owned()), Use::Mounted("/".to_owned())]);
    }
}
