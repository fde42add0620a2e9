//! A node: the agent's seat at the broker, with a notebook for its deeds. In this process, or in one that can be killed.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use reelmill_agent::{
    broker::{self, Desk, Identity, Line, Settings, World},
    core::{Around, Core, Own},
    deeds::{Deed, Deeds, Outcome, Told, Undone},
};
use reelmill_api::fleet::{CommandId, Op, admission::Facts, state::Teller, topic::Document};
use reelmill_daemon::Shutdown;
use reelmill_lab::{mosquitto::Mosquitto, programs::eventually};
use serde_json::{Map, json};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::hub::trust;

/// Deeds that are only written down, a line for each. One that finds a file `hold` waits until it is gone.
pub(crate) struct Notebook(PathBuf);

impl Notebook {
    fn note(&self, what: &str) {
        let file = OpenOptions::new().append(true).create(true).open(self.0.join("deeds"));
        writeln!(file.expect("a file of ours"), "{what}").expect("there is room");
    }
}

impl Deeds for Notebook {
    fn able(&self) -> Vec<&'static str> {
        vec!["drain", "undrain", "restart-worker", "logs-tail", "self-test", "batch", "reboot", "poweroff", "tags"]
    }

    async fn perform(&self, _: CommandId, deed: Deed, _: Told, stop: CancellationToken) -> Outcome {
        let name = match &deed {
            Deed::FinishWork { .. } => "finish work",
            Deed::Perform { op, .. } => op.as_str(),
            Deed::Part { order, .. } => order.command.op.as_str(),
            Deed::Verify { .. } => "verify",
            Deed::CleanUp { .. } => "clean up",
        };
        self.note(name);
        while self.0.join("hold").exists() {
            tokio::select! {
                () = stop.cancelled() => return Err(Undone::for_now("stopped", "it was asked to end")),
                () = tokio::time::sleep(Duration::from_millis(20)) => {}
            }
        }
        match deed {
            Deed::Perform { op: Op::LogsTail(tail), .. } => {
                Ok(Map::from_iter([("lines".to_owned(), json!(["one", tail.unit.as_str()]))]))
            }
            _ => Ok(Map::new()),
        }
    }
}

/// Where a node lives.
pub(crate) struct Place {
    pub(crate) name: String,
    port: u16,
    identity: Identity,
    folder: TempDir,
}

impl Place {
    pub(crate) fn new(broker: &Mosquitto, name: &str) -> Self {
        let identity = broker.identity(name);
        let identity = Identity { ca: broker.ca(), cert: identity.cert, key: identity.key };
        let folder = TempDir::new().expect("a temporary folder");
        Self { name: name.to_owned(), port: broker.fleet, identity, folder }
    }

    /// The same node with an identity that another authority vouches for.
    pub(crate) fn with_identity(mut self, identity: reelmill_lab::mosquitto::Identity) -> Self {
        (self.identity.cert, self.identity.key) = (identity.cert, identity.key);
        self
    }

    /// The names of all deeds that were begun here.
    pub(crate) fn deeds(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("deeds")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Deeds do not end until they are let go.
    pub(crate) fn hold(&self) {
        fs::write(self.folder.path().join("hold"), "").expect("a file of ours");
    }

    pub(crate) fn let_go(&self) {
        fs::remove_file(self.folder.path().join("hold")).expect("it was held");
    }

    /// Starts the node in this process.
    pub(crate) fn start(&self) -> Node {
        start(&self.name, self.port, &self.identity, self.folder.path(), "boot-1")
    }

    /// Starts the node in a process of its own, in a boot of that name.
    pub(crate) fn start_apart(&self, boot_id: &str) -> Apart {
        let program = std::env::current_exe().expect("a test program has a path");
        let mut command = Command::new(program);
        command.args(["--ignored", "--exact", "--nocapture", "node::a_node_apart"]).stdin(Stdio::piped());
        command.env("NODE_NAME", &self.name).env("NODE_PORT", self.port.to_string()).env("NODE_BOOT", boot_id);
        command.env("NODE_FOLDER", self.folder.path()).env("NODE_CA", &self.identity.ca);
        command.env("NODE_CERT", &self.identity.cert).env("NODE_KEY", &self.identity.key).stdout(Stdio::null());
        Apart(command.spawn().expect("the test program starts"))
    }
}

/// A running node; it leaves by its own will when dropped.
pub(crate) struct Node {
    pub(crate) world: watch::Sender<World>,
    pub(crate) line: watch::Receiver<Line>,
    shutdown: Shutdown,
    thread: Option<JoinHandle<()>>,
}

impl Node {
    /// Waits until it is at the broker.
    pub(crate) fn connected(self) -> Self {
        eventually("a connection", || self.line.borrow().connected.then_some(()));
        self
    }

    /// Leaves by its own will.
    pub(crate) fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.shutdown.begin();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it ends well");
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.end();
    }
}

/// A node in a process of its own; killed with SIGKILL when dropped.
pub(crate) struct Apart(Child);

impl Apart {
    pub(crate) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        self.end();
    }
}

fn start(name: &str, port: u16, identity: &Identity, folder: &Path, boot_id: &str) -> Node {
    let settings = Settings {
        node: name.parse().expect("a node"),
        host: "127.0.0.1".to_owned(),
        port,
        identity: identity.clone(),
        keep_alive: Settings::KEEP_ALIVE,
    };
    let deeds = Arc::new(Notebook(folder.to_owned()));
    let (ledger, memory) = broker::recall(&folder.join("ledger"), Timestamp::now()).expect("a ledger");
    let own = Own {
        node: settings.node.clone(),
        teller: Teller { boot_id: boot_id.to_owned(), agent: "0.1.0".to_owned() },
        trust: trust(),
        enrolled_at: Some(Timestamp::now() - SignedDuration::from_hours(24)),
        able: deeds.able().into_iter().chain(["ping", "status", "cancel"]).collect(),
    };
    let around = Around {
        facts: Facts { boot_id: boot_id.to_owned(), ..Facts::default() },
        window_open: true,
        tags: vec!["lan".parse().expect("a tag")],
        ..Around::default()
    };
    let documents = BTreeMap::from([(Document::Os, json!({"ver": 1})), (Document::Worker, json!({"ver": 1}))]);
    let world = World { around: around.clone(), synchronised: true, documents, ..World::default() };
    let core = Core::new(own, memory, around);
    let (world, seen) = watch::channel(world);
    let (shown, line) = watch::channel(Line::default());
    let (anew, said) = (Arc::default(), mpsc::channel(1).1);
    let desk = Desk { core, ledger, deeds, world: seen, line: shown, anew, said };
    let shutdown = Shutdown::new();
    let end = shutdown.clone();
    let thread = std::thread::spawn(move || {
        // The agent has one thread too.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(broker::run(&settings, desk, &end)).expect("the ledger can be written");
    });
    Node { world, line, shutdown, thread: Some(thread) }
}

#[test]
#[ignore = "started by the tests that kill it"]
fn a_node_apart() {
    let Ok(name) = std::env::var("NODE_NAME") else { return };
    let var = |name: &str| std::env::var(name).expect("set by who started this");
    let identity = Identity { ca: var("NODE_CA").into(), cert: var("NODE_CERT").into(), key: var("NODE_KEY").into() };
    let port = var("NODE_PORT").parse().expect("a port");
    let node = start(&name, port, &identity, Path::new(&var("NODE_FOLDER")), &var("NODE_BOOT"));
    // Until its parent is gone, or kills it.
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    drop(node);
}
