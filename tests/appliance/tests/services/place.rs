//! A folder in which a service of a golden file runs: ports and paths are the test's, everything else is as rendered.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use reelmill_appliance::text;
use reelmill_lab::programs::{command, output};
use tempfile::TempDir;

/// The folder.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::new().expect("a folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The same as text.
    pub(crate) fn at(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        fs::write(self.path(name), content).expect("ours");
        self.path(name)
    }

    /// A golden file, written to the folder by the last part of its path, with these words changed.
    pub(crate) fn golden(&self, path: &str, changes: &[(&str, &str)]) -> PathBuf {
        let name = path.rsplit('/').next().unwrap_or(path);
        self.write(name, &changed(path, changes))
    }

    /// The secrets that a golden list draws, in `secrets`.
    pub(crate) fn secrets(&self, list: &str) -> PathBuf {
        let (list, folder) = (self.golden(list, &[]), self.path("secrets"));
        ran(script("draw-secrets").arg(list).arg(&folder));
        folder
    }

    /// A secret.
    pub(crate) fn secret(&self, name: &str) -> String {
        fs::read_to_string(self.path("secrets").join(name)).expect("it was drawn")
    }

    /// The hub's program.
    pub(crate) fn hub(&self, words: &[&str]) -> String {
        let mut hub = command("reelmill-hub");
        hub.args(words).arg("--data").arg(self.path("data"));
        ran(&mut hub)
    }
}

/// A golden file's text with these words changed; each must be there.
pub(crate) fn changed(path: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text(path), |text, (from, to)| {
        assert!(text.contains(from), "{path} has no {from}:\n{text}");
        text.replace(from, to)
    })
}

/// A script of the modules, as NixOS runs it.
pub(crate) fn script(name: &str) -> Command {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../nixos/modules/hub/scripts");
    let mut command = Command::new("bash");
    command.arg(scripts.join(format!("{name}.sh")));
    command
}

/// What a program prints that must succeed.
pub(crate) fn ran(command: &mut Command) -> String {
    let (succeeded, out, errors) = tried(command);
    assert!(succeeded, "{command:?}: {out}\n{errors}");
    out
}

/// Whether it did, what it prints, and its errors.
pub(crate) fn tried(command: &mut Command) -> (bool, String, String) {
    let ran = command.output().expect("it runs");
    let told = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (ran.status.success(), told(&ran.stdout), told(&ran.stderr))
}

/// What a program prints that must succeed, with this on its standard input.
pub(crate) fn fed<S: AsRef<OsStr>>(program: &str, words: &[S], input: &str) -> String {
    let mut command = Command::new(program);
    command.args(words);
    let ran = output(command, input);
    assert!(ran.status.success(), "{program}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

/// A server's program: Debian keeps some where only root's own path looks.
pub(crate) fn served(name: &str) -> PathBuf {
    let own = Path::new("/usr/sbin").join(name);
    if own.exists() { own } else { name.into() }
}
