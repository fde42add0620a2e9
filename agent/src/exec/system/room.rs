//! Room on disks: in the store, and on the boot partition.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use crate::deeds::Undone;

/// Where boot partitions are mounted.
const BOOT: [&str; 3] = ["/boot", "/efi", "/boot/efi"];
const STORE: &str = "/nix/store";

/// Whether the store has room for this many bytes, and as many MiB stay free.
///
/// # Errors
/// If not.
pub fn in_store(bytes: u64, spare_mib: u64) -> Result<(), Undone> {
    let free = free(Path::new(STORE))
        .map_err(|e| Undone::for_now("disk", format!("cannot ask how much room {STORE} has: {e}")))?;
    enough("disk_full", STORE, bytes.saturating_add(spare_mib << 20), free)
}

/// Whether the boot partition, where there is one, has as many MiB free.
///
/// # Errors
/// If not.
pub fn to_boot(spare_mib: u64) -> Result<(), Undone> {
    let is_mounted = |folder: &&PathBuf| {
        let device = |path: &Path| fs::metadata(path).map(|file| file.dev()).ok();
        device(folder).is_some_and(|own| device(folder.parent().unwrap_or(folder)) != Some(own))
    };
    let folders: Vec<PathBuf> = BOOT.iter().map(PathBuf::from).collect();
    for folder in folders.iter().filter(is_mounted) {
        if let Ok(free) = free(folder) {
            enough("boot_full", &folder.display().to_string(), spare_mib << 20, free)?;
        }
    }
    Ok(())
}

fn free(folder: &Path) -> io::Result<u64> {
    let told = rustix::fs::statvfs(folder)?;
    Ok(told.f_bavail.saturating_mul(told.f_frsize))
}

fn enough(code: &str, place: &str, need: u64, free: u64) -> Result<(), Undone> {
    if free >= need {
        return Ok(());
    }
    Err(Undone::for_now(code, format!("{place} needs {}, and has {}", readable(need), readable(free))))
}

/// Bytes as a person reads them.
fn readable(bytes: u64) -> String {
    let mib = bytes >> 20;
    if mib < 1024 { format!("{mib} MiB") } else { format!("{}.{} GiB", mib / 1024, mib % 1024 * 10 / 1024) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_told_as_a_person_reads_it() {
        let refused = enough("disk_full", "/nix/store", 3_328_599_654, 1_288_490_188).expect_err("too little");
        assert_eq!(refused.to_string(), "disk_full: /nix/store needs 3.0 GiB, and has 1.1 GiB");
        assert!(refused.retry, "somebody may make room");
        assert_eq!(enough("disk_full", "/", 5, 5), Ok(()));
    }
}
