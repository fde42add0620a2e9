//! The Debian root that machines boot: made once by mmdebstrap, and another one where its recipe is another.

use std::{
    fs::{self, File},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    process::Command,
};

use crate::programs::output;

/// Its systemd is 257: block inhibitors hold root too, and journald, logind and polkit are those of a node of today.
const SUITE: &str = "trixie";
/// What every machine has; systemd-timedated and journalctl come with systemd.
const PACKAGES: &[&str] = &["systemd", "systemd-sysv", "dbus", "polkitd", "iproute2", "procps"];
/// What nobody reads in a test.
const LEFT_OUT: &[&str] = &["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*"];
/// A clock that runs at the first boot is a job that no test asked for.
const MASKED: &[&str] = &["apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer"];

/// The folder of a root with these packages besides, under the cargo target folder. It is never written to again.
pub(super) fn with(more: &[&str]) -> PathBuf {
    let recipe = recipe(more);
    let folder = folder();
    fs::create_dir_all(&folder).expect("the target folder is ours");
    let root = folder.join(format!("root-{}", name(&recipe)));
    // The tests of one run want it at the same time.
    let lock = File::create(root.with_extension("lock")).expect("the target folder is ours");
    lock.lock().expect("a lock on our own file");
    if !root.is_dir() {
        make(&recipe, &root);
    }
    root
}

/// Beside the programs, where `cargo clean` removes it.
fn folder() -> PathBuf {
    let exe = std::env::current_exe().expect("a test program has a path");
    let deps = exe.parent().expect("it lies in a folder");
    deps.parent().unwrap_or(deps).join("nspawn")
}

fn recipe(more: &[&str]) -> Vec<String> {
    let packages = [PACKAGES, more].concat().join(",");
    let mut words = vec!["--variant=minbase".to_owned(), format!("--include={packages}")];
    words.extend(LEFT_OUT.iter().map(|path| format!("--dpkgopt=path-exclude={path}")));
    words
        .extend(MASKED.iter().map(|unit| format!("--customize-hook=ln -s /dev/null \"$1/etc/systemd/system/{unit}\"")));
    words.push(SUITE.to_owned());
    words
}

fn name(recipe: &[String]) -> String {
    let mut hasher = DefaultHasher::new();
    recipe.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Made under another name, so that a root is whole or not there.
fn make(recipe: &[String], root: &Path) {
    let half = root.with_extension("half");
    if half.exists() {
        fs::remove_dir_all(&half).expect("half a root can be removed");
    }
    eprintln!("making the Debian root of the machines in {}, once: a minute or two", root.display());
    let mut command = Command::new("mmdebstrap");
    let ran = output(
        {
            command.args(recipe).arg(&half);
            command
        },
        b"",
    );
    assert!(
        ran.status.success(),
        "mmdebstrap {} failed; it needs root, the network and the packages that `cargo xtask test` installs:\n{}",
        recipe.join(" "),
        String::from_utf8_lossy(&ran.stderr)
    );
    fs::rename(&half, root).expect("a new name in our own folder");
}
