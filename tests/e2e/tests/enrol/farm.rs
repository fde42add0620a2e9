//! A hub with a door and a broker, and a node that is on its way to it.

use std::{
    fs::{self, File},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use reelmill_lab::programs::{Running, command, eventually, free_port};
use serde_json::Value;
use tempfile::TempDir;

/// The hub.
pub(crate) struct Farm {
    folder: TempDir,
    pub(crate) door: u16,
    running: Option<Running>,
}

impl Farm {
    pub(crate) fn new() -> Self {
        Self::at(0)
    }

    /// With its door at that port; 0 is a free one.
    pub(crate) fn at(door: u16) -> Self {
        let mut farm = Self { folder: TempDir::new().expect("a folder"), door, running: None };
        farm.start();
        farm
    }

    fn hub(&self, words: &str) -> Command {
        let mut hub = command("reelmill-hub");
        hub.args(words.split(' ')).arg("--data").arg(self.data());
        hub.env("FLEET_LISTEN", "127.0.0.1:0");
        hub
    }

    pub(crate) fn start(&mut self) {
        let mut hub = self.hub("serve --listen 127.0.0.1:0");
        // The operator's commands learn of the door from the hub that runs.
        hub.env("FLEET_ENROL", format!("127.0.0.1:{}", self.door));
        self.running = Some(Running::start(hub));
        let json = eventually("the hub", || fs::read(self.data().join("hub.json")).ok());
        let told: Value = serde_json::from_slice(&json).expect("hub.json is whole whenever it is there");
        let door = told["door"].as_str().and_then(|door| door.rsplit_once(':')?.1.parse().ok());
        self.door = door.expect("the hub tells its door");
        eventually("its door", || TcpStream::connect(("127.0.0.1", self.door)).ok());
    }

    /// As a power cut would.
    pub(crate) fn kill(&mut self) {
        self.running = None;
        fs::remove_file(self.data().join("hub.json")).expect("it was ready");
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What the hub's command line prints.
    pub(crate) fn operator(&self, words: &str) -> String {
        let ran = self.hub(words).output().expect("it runs");
        let told = |bytes| String::from_utf8_lossy(bytes).into_owned();
        assert!(ran.status.success(), "{words}: {}", told(&ran.stderr));
        told(&ran.stdout)
    }
}

/// The node.
pub(crate) struct Node {
    folder: TempDir,
    name: &'static str,
    page: u16,
    running: Option<Running>,
}

impl Node {
    pub(crate) fn new(name: &'static str) -> Self {
        let folder = TempDir::new().expect("a folder");
        fs::create_dir(folder.path().join("state")).expect("ours");
        Self { folder, name, page: free_port(), running: None }
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts the file on its stick.
    pub(crate) fn join(&self, text: &str) {
        fs::write(self.path("join.toml"), text).expect("ours");
    }

    pub(crate) fn start(&mut self) {
        let mut agent = command("reelmill-agent");
        agent.env("REELMILL_NODE", self.name).env("PAGE_LISTEN", format!("127.0.0.1:{}", self.page));
        agent.env("STATE_DIRECTORY", self.path("state")).env("JOIN", self.path("join.toml"));
        agent.env("HELPER_SOCKET", self.path("no-helper")).env("WORKER_STATUS", "http://127.0.0.1:1/status");
        agent.stderr(Stdio::from(File::create(self.path("log")).expect("ours")));
        self.running = Some(Running::start(agent));
    }

    pub(crate) fn stop(&mut self) {
        self.running = None;
    }

    /// What its page says to programs.
    pub(crate) fn status(&self) -> Option<Value> {
        let url = format!("http://127.0.0.1:{}/api/status", self.page);
        let ran = Command::new("curl").args(["-sS", "-m", "5", &url]).output().expect("curl runs");
        serde_json::from_slice(&ran.stdout).ok()
    }

    /// Waits until it says so.
    pub(crate) fn eventually(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        eventually(what, || self.status().filter(&is_so))
    }

    /// Waits until it has said so in its log.
    pub(crate) fn logged(&self, text: &str) {
        eventually(text, || fs::read_to_string(self.path("log")).ok().filter(|log| log.contains(text)));
    }
}
