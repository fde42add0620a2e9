//! Which system runs, and since when.

use std::{fs, path::Path};

use reelmill_api::snapshot::Os;

use super::file::text;

/// Asks the system, below `root`, which is `/` but for tests.
pub fn read(root: &Path) -> Os {
    let at = |path: &str| root.join(path);
    Os {
        name: fs::read_to_string(at("etc/os-release")).ok().as_deref().and_then(pretty_name),
        kernel: text(&at("proc/sys/kernel/osrelease")),
        boot_id: text(&at("proc/sys/kernel/random/boot_id")),
        uptime_seconds: uptime_seconds(root),
        generation: link(&at("nix/var/nix/profiles/system")).as_deref().and_then(generation),
        system: link(&at("run/current-system")),
        booted_system: link(&at("run/booted-system")),
    }
}

/// Seconds since boot.
pub fn uptime_seconds(root: &Path) -> Option<u64> {
    text(&root.join("proc/uptime"))?.split(['.', ' ']).next()?.parse().ok()
}

/// Whether a time server keeps the clock: systemd's own client leaves a file once one does. Another client leaves
/// nothing that could be read here, so then nobody knows.
pub fn time_synchronised(root: &Path) -> Option<bool> {
    let folder = root.join("run/systemd/timesync");
    folder.is_dir().then(|| folder.join("synchronized").exists())
}

fn link(path: &Path) -> Option<String> {
    Some(fs::read_link(path).ok()?.to_string_lossy().into_owned())
}

/// `NixOS 26.05 (Yarara)` in `PRETTY_NAME="NixOS 26.05 (Yarara)"`.
fn pretty_name(release: &str) -> Option<String> {
    let value = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(value.trim_matches(['"', '\'']).to_owned())
}

/// 42 in `system-42-link`.
fn generation(link: &str) -> Option<u32> {
    link.rsplit('/').next()?.strip_prefix("system-")?.strip_suffix("-link")?.parse().ok()
}
