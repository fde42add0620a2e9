//! The other programs of Reelmill: where they are, and how each is started.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use reelmill_daemon::{Hinted, shutdown::EXIT_ON_STDIN_EOF};
use tokio::process::Command;

/// The variables that choose what a program logs.
const LOG_VARIABLES: [&str; 2] = ["REELMILL_LOG", "RUST_LOG"];

/// A program that was found.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    name: &'static str,
    path: PathBuf,
}

impl Program {
    /// The program of that name beside this one.
    pub(crate) fn find(name: &'static str) -> Result<Self, Hinted> {
        let own = std::env::current_exe()
            .map_err(|e| Hinted::new(format!("cannot tell where reelmill itself lies: {e}"), "is /proc mounted?"))?;
        Self::beside(&own, name)
    }

    fn beside(own: &Path, name: &'static str) -> Result<Self, Hinted> {
        let folder = own.parent().unwrap_or(Path::new("/"));
        let path = folder.join(name);
        if path.is_file() {
            return Ok(Self { name, path });
        }
        Err(Hinted::new(
            format!("cannot find {name} in {}", folder.display()),
            format!("install {name} beside reelmill; in a checkout: cargo build -p {name}"),
        ))
    }

    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// A command that starts it as a child of ours: in a process group of its own, so that a Ctrl-C reaches only us
    /// and we pass it on once; ending with us, by the pipe on its standard input; quiet unless the user says otherwise.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true).env(EXIT_ON_STDIN_EOF, "1");
        if LOG_VARIABLES.iter().all(|name| std::env::var_os(name).is_none_or(|v| v.is_empty())) {
            command.env("REELMILL_LOG", "warn");
        }
        command
    }

    #[cfg(test)]
    pub(crate) fn shell() -> Self {
        Self { name: "sh", path: "/bin/sh".into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_only_beside_itself() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let own = folder.path().join("reelmill");
        let error = Program::beside(&own, "reelmill-worker").expect_err("nothing there");
        assert_eq!(
            reelmill_daemon::report::render(&error),
            format!(
                "error: cannot find reelmill-worker in {}\n\
                 hint: install reelmill-worker beside reelmill; in a checkout: cargo build -p reelmill-worker",
                folder.path().display()
            )
        );
        std::fs::write(folder.path().join("reelmill-worker"), "").expect("our folder");
        let found = Program::beside(&own, "reelmill-worker").expect("it is there now");
        assert_eq!(found.name(), "reelmill-worker");
    }
}
