//! A node with a root helper, in a folder.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, sync::Arc, time::Duration};

use reelmill_agent::{
    deeds::Outcome,
    exec::{
        client,
        helper::Helper,
        serve::serve,
        settings::{Root, Settings},
        wire::Request,
    },
};
use reelmill_api::fleet::state::Phase;
use serde_json::{Value, json};
use tokio::{net::UnixListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::signed::{NAME, adopt, command, part, sign};

const MODES: &str = "< POWER_MODEL ID=0 NAME=MAXN >\n< POWER_MODEL ID=1 NAME=10W >\n< POWER_MODEL ID=2 NAME=15W >\n";
/// Writes down that it was called; for mode 1 it waits to be let go, and mode 2 fails.
const NVPMODEL: &str = "#!/bin/sh\ncd \"${0%/*}\"\necho \"$2\" >> called\n\
                        case $2 in 1) until test -e go; do sleep 0.05; done;; 2) exit 1;; esac\n";

/// A node; its helper ends with it.
pub(crate) struct Node {
    folder: tempfile::TempDir,
    pub(crate) settings: Settings,
    stop: CancellationToken,
    serving: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Node {
    /// A node that has been told whom it obeys.
    pub(crate) async fn enrolled() -> Self {
        let node = Self::new();
        node.ask(&adopt(NAME, 1)).await.expect("the first keys");
        node
    }

    /// A node fresh from its box, with its helper.
    pub(crate) fn new() -> Self {
        Self::ending_after(Duration::from_secs(600))
    }

    /// The same with a helper that ends after that time without a question.
    pub(crate) fn ending_after(idle: Duration) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path().to_owned();
        for name in ["etc", "var/lib/nvpmodel", "state", "agent"] {
            fs::create_dir_all(root.join(name)).expect("ours");
        }
        fs::write(root.join("etc/nvpmodel.conf"), MODES).expect("ours");
        fs::write(root.join("nvpmodel"), NVPMODEL).expect("ours");
        fs::set_permissions(root.join("nvpmodel"), fs::Permissions::from_mode(0o755)).expect("ours");
        let settings = Settings {
            node: NAME.parse().expect("a name"),
            trust: root.join("trust.json"),
            state_folder: root.join("state"),
            agent_folder: root.join("agent"),
            nvpmodel: root.join("nvpmodel"),
            clock_is_right: true,
            root: Root(root),
            ..Settings::default()
        };
        let mut node = Self { folder, settings, stop: CancellationToken::new(), serving: None };
        node.start(idle);
        node
    }

    fn start(&mut self, idle: Duration) {
        let _ = fs::remove_file(self.socket());
        let listener = UnixListener::bind(self.socket()).expect("a socket in our own folder");
        let helper = Helper::open(self.settings.clone(), Default::default()).expect("a ledger");
        self.stop = CancellationToken::new();
        let stop = self.stop.clone();
        self.serving = Some(tokio::spawn(async move { serve(listener, helper, idle, &stop).await }));
    }

    /// Whether the helper runs.
    pub(crate) fn is_up(&self) -> bool {
        self.serving.as_ref().is_some_and(|serving| !serving.is_finished())
    }

    /// Waits for the helper's end.
    pub(crate) async fn ended(&mut self) -> anyhow::Result<()> {
        self.serving.take().expect("it was started").await.expect("it does not panic")
    }

    /// Ends the helper as systemd would, and starts the next one.
    pub(crate) async fn restart(&mut self) {
        self.stop.cancel();
        self.ended().await.expect("a good end");
        self.start(Duration::from_secs(600));
    }

    /// Ends the helper at once, wherever it is, and starts the next one.
    pub(crate) async fn kill(&mut self) {
        let serving = self.serving.take().expect("it was started");
        serving.abort();
        let _ = serving.await;
        self.start(Duration::from_secs(600));
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// Asks as the agent does.
    pub(crate) async fn ask(&self, request: &Request) -> Outcome {
        client::ask(&self.socket(), request, &(Arc::new(|_| {}) as _), &CancellationToken::new()).await
    }

    /// The code of why it was not done, or `done`.
    pub(crate) async fn told(&self, request: &Request) -> String {
        self.ask(request).await.map_or_else(|undone| undone.code, |_| "done".to_owned())
    }

    /// The power modes that were set so far.
    pub(crate) fn modes_set(&self) -> Vec<String> {
        let called = fs::read_to_string(self.folder.path().join("called")).unwrap_or_default();
        called.lines().map(str::to_owned).collect()
    }

    /// Lets the power mode that waits go on.
    pub(crate) fn let_go(&self) {
        fs::write(self.folder.path().join("go"), "").expect("ours");
    }
}

/// Sets the power mode `mode`.
pub(crate) fn power_mode(mode: u8) -> Value {
    command("power-mode", json!({ "mode": mode }))
}

/// The question for a command of one part, signed by operator 1.
pub(crate) fn act(command: &Value) -> Request {
    part(command, &sign(command, &[1]), Phase::Act)
}
