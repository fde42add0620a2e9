//! Packages from npm: installed as the lock file names them, and only when it changed.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};

use crate::program;

/// In `node_modules`: the text of the lock file that it was made from.
const STAMP: &str = "node_modules/.reelmill-lock";

/// Brings `folder/node_modules` to what `folder/package-lock.json` says. Asks nobody if it is there already.
pub(crate) fn install(folder: &Path) -> Result<()> {
    let lock_file = folder.join("package-lock.json");
    let lock = fs::read_to_string(&lock_file).with_context(|| format!("cannot read {}", lock_file.display()))?;
    if is_current(folder, &lock) {
        return Ok(());
    }
    println!("installing npm packages in {}", folder.display());
    // No package we take needs its install script, so none gets to run one.
    let args = ["ci", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"];
    program::run(Command::new("npm").args(args).current_dir(folder))?;
    let stamp = folder.join(STAMP);
    fs::write(&stamp, lock).with_context(|| format!("cannot write {}", stamp.display()))
}

fn is_current(folder: &Path, lock: &str) -> bool {
    fs::read_to_string(folder.join(STAMP)).is_ok_and(|stamp| stamp == lock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installs_again_only_when_the_lock_file_changed() {
        let folder = std::env::temp_dir().join(format!("xtask-npm-{}", std::process::id()));
        fs::create_dir_all(folder.join("node_modules")).expect("a folder of our own");
        assert!(!is_current(&folder, "one"), "nothing was installed yet");
        fs::write(folder.join(STAMP), "one").expect("a folder of our own");
        assert!(is_current(&folder, "one"));
        assert!(!is_current(&folder, "two"));
        fs::remove_dir_all(&folder).expect("a folder of our own");
    }
}
