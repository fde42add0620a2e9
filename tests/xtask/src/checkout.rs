//! Where things lie: the repository, and the programs that cargo built from it.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

/// The programs that a farm consists of, as cargo packages.
const FARM: [&str; 3] = ["reelmill", "reelmill-hub", "reelmill-worker"];

/// This repository on this machine.
pub(crate) struct Checkout {
    root: PathBuf,
    target: PathBuf,
}

impl Checkout {
    /// Finds both by what cargo told and by where this program itself was built, which honours CARGO_TARGET_DIR and
    /// every other way to move the target folder.
    pub(crate) fn find() -> Result<Self> {
        let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&package).ancestors().nth(2).context("tests/xtask lies two folders below the root")?;
        let exe = env::current_exe().context("cannot tell where this program lies")?;
        let target = exe.ancestors().nth(2).context("cargo builds into TARGET/PROFILE")?;
        Ok(Self { root: root.to_owned(), target: target.to_owned() })
    }

    /// The repository's top folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The folder with what npm brings for the hub's page.
    pub(crate) fn ui(&self) -> PathBuf {
        self.root.join("hub/ui")
    }

    /// The folder of the browser checks.
    pub(crate) fn browser(&self) -> PathBuf {
        self.root.join("tests/browser")
    }

    /// A program of the farm, built in the dev profile.
    pub(crate) fn built(&self, program: &str) -> PathBuf {
        self.target.join("debug").join(program)
    }

    /// A folder for what a check leaves to look at.
    pub(crate) fn leavings(&self, check: &str) -> PathBuf {
        self.target.join("xtask").join(check)
    }

    /// cargo, in the repository, with the lock file as it is.
    pub(crate) fn cargo(&self, args: &[&str]) -> Command {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&self.root).args(args);
        // cargo told us of our own package when it ran us. Passed on, that makes build scripts that listen to these
        // variables (ring's does) run again, and all that depends on them be compiled again, at each change between
        // commands.
        for (name, _) in env::vars_os() {
            if name.to_str().is_some_and(|n| n.starts_with("CARGO_PKG_") || n.starts_with("CARGO_MANIFEST_")) {
                cargo.env_remove(name);
            }
        }
        cargo
    }

    /// cargo, told to build the farm's programs.
    pub(crate) fn build_farm(&self, options: &[&str]) -> Command {
        let mut cargo = self.cargo(&["build", "--locked", "--bins"]);
        cargo.args(options);
        for package in FARM {
            cargo.args(["--package", package]);
        }
        cargo
    }
}
