//! What was taken, as it lies on the machine's own disk, and how it comes into force.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::Step;
use crate::exec::files::{self, PRIVATE, PUBLIC};

/// The join file, which is the agent's to read and to wipe the token from.
pub const JOIN: &str = "join.toml";
/// Who may log in; only root can read it, so it lets in root alone.
pub const KEYS: &str = "authorized_keys";
/// The worker's settings, for systemd, which reads them as root.
pub const WORKER_ENV: &str = "worker.env";
/// The machine's name.
pub const HOST_NAME: &str = "hostname";
/// The name that the join file gives the node, which is the machine's too where it has no other.
pub const NODE: &str = "node";
/// The join file's network. It is kept apart: the join file is the agent's, and the agent may set up no network.
pub const NETWORK: &str = "10-reelmill-join.network";
/// Where systemd-networkd looks for what holds until the next boot.
const NETWORKD: &str = "systemd/network";

/// The folder of it.
#[derive(Debug)]
pub struct State {
    folder: PathBuf,
    /// The user and group of the agent, if there is one.
    agent: Option<(u32, u32)>,
}

impl State {
    /// That in this folder, which is made; `agent` is the name of the agent's user.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn open(folder: &Path, agent: &str) -> anyhow::Result<Self> {
        make(folder, 0o711).with_context(|| format!("cannot make {}", folder.display()))?;
        // Without users, nobody is the agent's.
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        Ok(Self { folder: folder.to_owned(), agent: user(&users, agent) })
    }

    /// Whether a file is there.
    pub fn has(&self, name: &str) -> bool {
        self.folder.join(name).exists()
    }

    /// Writes a file, or takes it away. It is on the disk when this returns.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn keep(&self, name: &str, content: Option<&str>, step: Step<'_>) -> io::Result<()> {
        let path = self.folder.join(name);
        match content {
            Some(text) => files::replace(&path, text.as_bytes(), PRIVATE)?,
            None => files::forget(&path)?,
        }
        step("kept");
        match self.agent.filter(|_| name == JOIN && content.is_some()) {
            Some((user, group)) => chown(&path, Some(user), Some(group)),
            None => Ok(()),
        }
    }

    /// Puts into force what is kept; what went wrong. `run` is what is gone after a boot, `set_name` names the machine.
    pub fn put_into_force(&self, run: &Path, set_name: &dyn Fn(&str) -> io::Result<()>, step: Step<'_>) -> Vec<String> {
        let name = self.name(set_name).map_err(|e| format!("cannot set this machine's name: {e}"));
        let network = self.network(run).map_err(|e| format!("cannot set up the join file's network: {e}"));
        step("in force");
        [name, network].into_iter().filter_map(Result::err).collect()
    }

    fn name(&self, set_name: &dyn Fn(&str) -> io::Result<()>) -> io::Result<()> {
        for file in [HOST_NAME, NODE] {
            if let Some(name) = files::read(&self.folder.join(file))? {
                let name = String::from_utf8_lossy(&name).into_owned();
                log::info!("this machine is {name}");
                return set_name(&name);
            }
        }
        Ok(())
    }

    fn network(&self, run: &Path) -> io::Result<()> {
        let folder = run.join(NETWORKD);
        let path = folder.join(NETWORK);
        match files::read(&self.folder.join(NETWORK))? {
            Some(text) => {
                make(&folder, 0o755)?;
                files::replace(&path, &text, PUBLIC)
            }
            None if path.exists() => files::forget(&path),
            None => Ok(()),
        }
    }
}

/// Makes a folder unless it is there. The process's mask may not take away what others are to have.
fn make(folder: &Path, mode: u32) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(mode))
}

/// A user's id and group, by the lines of `/etc/passwd`.
fn user(users: &str, name: &str) -> Option<(u32, u32)> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let own = fields.next()? == name;
        let (id, group) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        own.then_some((id, group))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_name() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\nreelmill-agent:x:997:996::/:/bin/false\n";
        assert_eq!(user(users, "reelmill-agent"), Some((997, 996)));
        assert_eq!(user(users, "reelmill"), None);
        assert_eq!(user("", "root"), None);
    }
}
