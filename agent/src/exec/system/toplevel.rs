//! A NixOS system as it lies in the store: whether it can be put into force at all, and whether that takes a boot.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use reelmill_api::fleet::{StorePath, args::SwitchMode};
use tokio_util::sync::CancellationToken;

use super::{programs::Program, record::Way};
use crate::deeds::Undone;

/// What every system is put into force by.
pub const SWITCH: &str = "bin/switch-to-configuration";
/// Its own checks, called with the system and what will be done with it.
const CHECKS: &str = "pre-switch-checks";
/// What it must have so that a trial of it comes to an end when nobody confirms it.
const DEAD_MAN_UNIT: &str = "etc/systemd/system/reelmill-deadman.service";
/// Checks look around on the node; they do no work.
const CHECKS_LIMIT: Duration = Duration::from_secs(300);

/// What of a system cannot change while it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fixed {
    /// The files that the boot loader starts, and what it tells them.
    pub parts: [Option<String>; 3],
    /// What its makers say must not change in a running system, by name.
    pub inhibitors: BTreeMap<String, String>,
}

impl Fixed {
    /// That of a system.
    pub fn of(system: &StorePath) -> Self {
        let root = Path::new(system.as_str());
        let link = |name: &str| fs::canonicalize(root.join(name)).ok().map(|path| path.display().to_string());
        let params = fs::read_to_string(root.join("kernel-params")).ok().map(|text| text.trim().to_owned());
        let inhibitors = fs::read_to_string(root.join("switch-inhibitors")).map(|text| inhibitors(&text));
        Self { parts: [link("kernel"), link("initrd"), params], inhibitors: inhibitors.unwrap_or_default() }
    }

    /// What of the new system needs a boot, beside this one, which was booted.
    pub fn needs_boot(&self, new: &Self) -> Option<String> {
        let names = ["its kernel", "its initial RAM disk", "its kernel's parameters"];
        let part = names.iter().zip(self.parts.iter().zip(&new.parts)).find(|(_, (old, new))| old != new);
        part.map(|(name, _)| format!("{name} differs")).or_else(|| self.inhibits(new))
    }

    /// What the makers of the new system forbid to change without a boot.
    pub fn inhibits(&self, new: &Self) -> Option<String> {
        let differs = |(name, value): &(&String, &String)| self.inhibitors.get(*name).is_some_and(|old| old != *value);
        new.inhibitors.iter().find(differs).map(|(name, _)| format!("its makers forbid to change {name} while it runs"))
    }
}

/// A JSON object of texts, or, in older systems, one path a line, which names itself.
fn inhibitors(text: &str) -> BTreeMap<String, String> {
    serde_json::from_str(text).unwrap_or_else(|_| {
        let name = |path: &str| path.rsplit('/').next().and_then(|name| Some(name.split_once('-')?.1.to_owned()));
        text.lines().filter_map(|path| Some((bare(&name(path)?).to_owned(), path.to_owned()))).collect()
    })
}

/// A package's name without its version.
fn bare(name: &str) -> &str {
    let version = name.match_indices('-').find(|(at, _)| name[at + 1..].starts_with(|c: char| c.is_ascii_digit()));
    version.map_or(name, |(at, _)| &name[..at])
}

/// How a system comes into force: as the command wants, or as it must.
///
/// # Errors
/// If the command forbids a boot and its makers forbid to do without.
pub fn way(mode: SwitchMode, booted: &Fixed, new: &Fixed) -> Result<Way, Undone> {
    match mode {
        SwitchMode::Boot => Ok(Way::Boot),
        SwitchMode::Auto => Ok(if booted.needs_boot(new).is_some() { Way::Boot } else { Way::Live }),
        SwitchMode::Switch => match booted.inhibits(new) {
            None => Ok(Way::Live),
            Some(why) => Err(Undone::for_good("needs_boot", format!("the new system needs a boot: {why}"))),
        },
    }
}

/// Whether a system can be put into force that way, by its own word too.
///
/// # Errors
/// If not, and why.
pub async fn check(system: &StorePath, way: Way, stop: &CancellationToken) -> Result<(), Undone> {
    let root = Path::new(system.as_str());
    if !is_program(&root.join(SWITCH)) {
        return Err(Undone::for_good("no_system", format!("{system} is no system: it has no {SWITCH}")));
    }
    if way == Way::Boot && !root.join(DEAD_MAN_UNIT).exists() {
        let what = format!("{system} would strand the node if it is unwell: it has no {DEAD_MAN_UNIT}");
        return Err(Undone::for_good("no_dead_man", what));
    }
    let checks = root.join(CHECKS);
    if !is_program(&checks) {
        return Ok(());
    }
    // What the commit will do, not the trial: checks look at it.
    let action = if way == Way::Boot { "boot" } else { "switch" };
    let program = Program::new(&checks.display().to_string(), [system.as_str(), action], CHECKS_LIMIT);
    program.run(|_| (), stop).await.map(drop).map_err(|e| match e.how.as_str() {
        "stopped" => Undone::for_now("stopped", "it was asked to end"),
        _ => Undone::for_good("check_failed", format!("the new system refuses: {e}")),
    })
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// The system that a link leads to, if it lies in the store.
pub fn at(link: &Path) -> Option<StorePath> {
    let path: PathBuf = fs::canonicalize(link).ok()?;
    path.to_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(kernel: &str, params: &str, inhibitors: &[(&str, &str)]) -> Fixed {
        let inhibitors = inhibitors.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Fixed { parts: [Some(kernel.to_owned()), None, Some(params.to_owned())], inhibitors }
    }

    #[test]
    fn a_system_is_booted_where_it_must_be() {
        let booted = fixed("/k1", "quiet", &[("systemd", "/s1"), ("dbus", "/d1")]);
        let same = fixed("/k1", "quiet", &[("systemd", "/s1"), ("other", "/o")]);
        let kernel = fixed("/k2", "quiet", &[]);
        let params = fixed("/k1", "debug", &[]);
        let systemd = fixed("/k1", "quiet", &[("systemd", "/s2")]);
        let check = |new: &Fixed, mode, want: Result<Way, &str>| {
            assert_eq!(way(mode, &booted, new).map_err(|e| e.code), want.map_err(str::to_owned), "{new:?} {mode:?}");
        };
        check(&same, SwitchMode::Auto, Ok(Way::Live));
        check(&kernel, SwitchMode::Auto, Ok(Way::Boot));
        check(&params, SwitchMode::Auto, Ok(Way::Boot));
        check(&systemd, SwitchMode::Auto, Ok(Way::Boot));
        check(&same, SwitchMode::Boot, Ok(Way::Boot));
        check(&kernel, SwitchMode::Switch, Ok(Way::Live));
        check(&systemd, SwitchMode::Switch, Err("needs_boot"));
        let why = booted.needs_boot(&systemd).expect("a reason");
        assert_eq!(why, "its makers forbid to change systemd while it runs");
    }

    #[test]
    fn inhibitors_are_read_in_both_forms() {
        let systemd = |path: &str| BTreeMap::from([("systemd".to_owned(), path.to_owned())]);
        assert_eq!(inhibitors(r#"{"systemd":"/nix/store/a-systemd-259"}"#), systemd("/nix/store/a-systemd-259"));
        assert_eq!(inhibitors("/nix/store/abc-systemd-259.1\n"), systemd("/nix/store/abc-systemd-259.1"));
        assert_eq!(inhibitors("\n/\nnonsense"), BTreeMap::new());
    }
}
