//! A real hub on this machine, whose door and broker the machine in QEMU reaches at the address that QEMU gives the host.

use std::{fs, net::TcpStream, path::PathBuf, process::Command};

use reelmill_lab::programs::{Running, command, eventually, free_port};
use tempfile::TempDir;

/// The host, as QEMU's own network has it.
const HOST: &str = "10.0.2.2";

/// The hub.
pub(crate) struct Farm {
    folder: TempDir,
    door: u16,
    _running: Running,
}

impl Farm {
    pub(crate) fn start() -> Self {
        let (folder, door) = (TempDir::new().expect("a folder"), free_port());
        let running = Running::start(hub(&folder, door, "serve --listen 127.0.0.1:0"));
        let farm = Self { folder, door, _running: running };
        eventually("the hub", || farm.data().join("hub.json").exists().then_some(()));
        eventually("its door", || TcpStream::connect(("127.0.0.1", door)).ok());
        farm
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What the hub's command line prints.
    pub(crate) fn operator(&self, words: &str) -> String {
        let ran = hub(&self.folder, self.door, words).output().expect("it runs");
        let told = |bytes| String::from_utf8_lossy(bytes).into_owned();
        assert!(ran.status.success(), "{words}: {}", told(&ran.stderr));
        told(&ran.stdout)
    }

    /// A join file for a node of that name, and the token in it.
    pub(crate) fn join(&self, node: &str) -> (PathBuf, String) {
        let file = self.folder.path().join("join.toml");
        let text = self.operator(&format!("token join --node {node}"));
        fs::write(&file, &text).expect("the folder is ours");
        let token = text.split('"').find(|word| word.starts_with("rmj_")).expect("a token");
        (file, token.to_owned())
    }
}

fn hub(folder: &TempDir, door: u16, words: &str) -> Command {
    let mut hub = command("reelmill-hub");
    hub.args(words.split(' ')).arg("--data").arg(folder.path().join("data"));
    hub.env("FLEET_ENROL", format!("127.0.0.1:{door}")).env("FLEET_LISTEN", "127.0.0.1:0").env("FLEET_NAMES", HOST);
    hub
}
