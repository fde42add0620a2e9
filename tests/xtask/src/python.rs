//! Programs in Python: from wheels of pinned versions with pinned hashes, in a virtual environment that is kept.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{checkout::Checkout, program};

/// Relative to the repository's top folder: the lists that pip installs.
const LISTS: &str = "tests/xtask";
/// In the environment: the text of the list that it was made from.
const STAMP: &str = "installed";

/// The folder of the programs in the list of that name. Asks nobody if they are there already.
pub(crate) fn install(checkout: &Checkout, name: &str) -> Result<PathBuf> {
    let list = checkout.root().join(LISTS).join(name).with_extension("txt");
    let wanted = fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
    let folder = cache()?.join(name);
    let programs = folder.join("bin");
    if fs::read_to_string(folder.join(STAMP)).is_ok_and(|installed| installed == wanted) {
        return Ok(programs);
    }
    println!("installing what {} lists in {}", list.display(), folder.display());
    // Debian's Python cannot put pip into an environment by itself; its pip can work on one from outside.
    program::run(Command::new("python3").args(["-m", "venv", "--clear", "--without-pip"]).arg(&folder))?;
    let mut pip = Command::new("pip3");
    pip.arg("--python").arg(programs.join("python"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--requirement"]);
    program::run(pip.arg(&list))?;
    fs::write(folder.join(STAMP), wanted).with_context(|| format!("cannot write to {}", folder.display()))?;
    Ok(programs)
}

fn cache() -> Result<PathBuf> {
    let own = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    Ok(own.or_else(home).context("neither HOME nor XDG_CACHE_HOME is set")?.join("reelmill"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn everything_beside_our_queues_is_pinned_by_version_and_hash() {
        let wheels = include_str!("../queues.txt").lines().filter(|line| !line.starts_with('#'));
        for wheel in wheels {
            let hash = wheel.split_once("--hash=sha256:").expect("a hash").1;
            assert!(wheel.contains("==") && hash.len() == 64, "{wheel}");
        }
    }
}
