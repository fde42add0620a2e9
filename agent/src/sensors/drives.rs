//! The health of drives, as far as it can be read without root: what NVMe controllers, eMMC and SATA devices tell in
//! sysfs, and the errors that ext4 has recorded.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use reelmill_api::snapshot::Drive;

use super::file::{entries, name, text, value};

/// Reads all drives, below `root`, which is `/` but for tests.
pub fn read(root: &Path) -> Vec<Drive> {
    let nvme = entries(&root.join("sys/class/nvme")).into_iter().map(|folder| nvme(&folder));
    let blocks = entries(&root.join("sys/block")).into_iter().filter_map(|folder| block(&folder));
    let mut drives: Vec<Drive> = nvme.chain(blocks).collect();
    let errors = filesystem_errors(entries(&root.join("sys/fs/ext4")));
    for drive in &mut drives {
        drive.filesystem_errors = errors.get(&drive.name).copied();
    }
    drives
}

fn nvme(folder: &Path) -> Drive {
    let told = |file: &str| text(&folder.join(file));
    Drive { name: name(folder), model: told("model"), state: told("state"), ..Drive::default() }
}

fn block(folder: &Path) -> Option<Drive> {
    let name = name(folder);
    let told = |file: &str| text(&folder.join("device").join(file));
    if name.starts_with("mmcblk") && !name.contains("boot") && !name.contains("rpmb") {
        let life_used_percent = told("life_time").as_deref().and_then(life_used_percent);
        let spare_low = told("pre_eol_info").as_deref().and_then(hexadecimal).filter(|v| *v > 0).map(|v| v > 1);
        return Some(Drive { name, model: told("name"), life_used_percent, spare_low, ..Drive::default() });
    }
    name.starts_with("sd").then(|| Drive {
        name,
        model: told("model"),
        state: told("state"),
        errors: told("ioerr_cnt").as_deref().and_then(hexadecimal),
        ..Drive::default()
    })
}

/// The worse of the two values of `0x01 0x03`: each counts tenths of the life of one kind of cells, from 1; 11 is past
/// the end, 0 is not told.
fn life_used_percent(life_time: &str) -> Option<u32> {
    let worst =
        life_time.split_whitespace().filter_map(hexadecimal).max().filter(|tenths| (1..=11).contains(tenths))?;
    u32::try_from((worst * 10).min(100)).ok()
}

fn hexadecimal(word: &str) -> Option<u64> {
    u64::from_str_radix(word.trim().strip_prefix("0x")?, 16).ok()
}

/// Errors that file systems have recorded, by drive.
fn filesystem_errors(ext4: Vec<PathBuf>) -> BTreeMap<String, u64> {
    let mut errors = BTreeMap::new();
    for folder in ext4 {
        if let Some(count) = value::<u64>(&folder.join("errors_count")) {
            *errors.entry(drive_of(&name(&folder))).or_default() += count;
        }
    }
    errors
}

/// The drive that a partition lies on: `nvme0` of `nvme0n1p2`, `mmcblk0` of `mmcblk0p1`, `sda` of `sda1`.
fn drive_of(partition: &str) -> String {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    for stem in ["nvme", "mmcblk"] {
        if let Some(rest) = partition.strip_prefix(stem) {
            return partition[..stem.len() + digits(rest)].to_owned();
        }
    }
    partition.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_names_its_drive() {
        let names = ["nvme0n1p2", "nvme12n1", "mmcblk0p1", "sda1", "sdb", "dm-0"].map(drive_of);
        assert_eq!(names, ["nvme0", "nvme12", "mmcblk0", "sda", "sdb", "dm-"]);
    }

    #[test]
    fn an_emmc_tells_its_age_in_tenths() {
        let told = ["0x01 0x01", "0x02 0x0a", "0x0b 0x01", "0x00 0x00", "0xff 0x01", "", "new"].map(life_used_percent);
        assert_eq!(told, [Some(10), Some(100), Some(100), None, None, None, None]);
    }
}
