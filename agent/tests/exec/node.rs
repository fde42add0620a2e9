//! A node with a root helper, in a folder; and what its operators sign.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};
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
use reelmill_api::fleet::{Envelope, PrivateKey, Role, Text, Trust, envelope, state::Phase, trust::TrustedKey};
use serde_json::{Value, json};
use tokio::{net::UnixListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// The node's name.
pub(crate) const NAME: &str = "orin-3";
const MODES: &str = "< POWER_MODEL ID=0 NAME=MAXN >\n< POWER_MODEL ID=1 NAME=10W >\n< POWER_MODEL ID=2 NAME=15W >\n";
/// Writes down that it was called; for mode 1 it waits to be let go, and mode 2 fails.
const NVPMODEL: &str = "#!/bin/sh\ncd \"${0%/*}\"\necho \"$2\" >> called\n\
                        case $2 in 1) until test -e go; do sleep 0.05; done;; 2) exit 1;; esac\n";

pub(crate) fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_seed(&[seed; 32])
}

/// Keys 1 and 2 are operators, 3 is a release key, 5 an admin; 9 is nobody's.
pub(crate) fn trust(ctr: u64) -> Trust {
    let roles = [(1, Role::Operator), (2, Role::Operator), (3, Role::Release), (5, Role::Admin)];
    let trusted = roles.map(|(seed, role)| TrustedKey {
        key: key(seed).public(),
        name: Text::default(),
        roles: [role].into_iter().collect(),
    });
    Trust::new(ctr, 1, trusted.into()).expect("well formed")
}

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
        let helper = Helper::open(self.settings.clone()).expect("a ledger");
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

/// A question that gives a node its first keys.
pub(crate) fn adopt(node: &str, ctr: u64) -> Request {
    Request::Adopt { node: node.parse().expect("a name"), trust: trust(ctr) }
}

/// A command for this node, from a second ago on and for an hour, with an id of its own.
pub(crate) fn command(op: &str, args: Value) -> Value {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let id = format!("01M81B5H80{:016}", COUNT.fetch_add(1, Ordering::Relaxed));
    json!({"v": 1, "id": id, "op": op, "node": NAME, "by": "anna", "args": args, "issued_at": ago(1), "exp": ago(-3600)})
}

/// So many seconds ago, as it is written.
pub(crate) fn ago(seconds: i64) -> String {
    Timestamp::now().checked_sub(SignedDuration::from_secs(seconds)).expect("not that long").to_string()
}

/// The same with other fields.
pub(crate) fn with(mut command: Value, changes: &Value) -> Value {
    for (key, value) in changes.as_object().expect("an object") {
        command[key] = value.clone();
    }
    command
}

/// Sets the power mode `mode`.
pub(crate) fn power_mode(mode: u8) -> Value {
    command("power-mode", json!({ "mode": mode }))
}

/// A message with a command, signed by these keys.
pub(crate) fn sign(command: &Value, seeds: &[u8]) -> Vec<u8> {
    let mut envelope = Envelope::unsigned(envelope::COMMAND, command.to_string().into_bytes());
    seeds.iter().for_each(|seed| envelope.sign(&key(*seed)).expect("each once"));
    envelope.to_message()
}

/// The question for one part of a command, in a message of these bytes.
pub(crate) fn part(command: &Value, message: &[u8], phase: Phase) -> Request {
    let text = |field: &str| command[field].as_str().expect("text").to_owned();
    let topic = format!("reelmill/1/n/{}/cmd/{}/{}", text("node"), text("op"), text("id"));
    Request::Part { topic, message: STANDARD.encode(message), phase }
}

/// The question for a command of one part, signed by operator 1.
pub(crate) fn act(command: &Value) -> Request {
    part(command, &sign(command, &[1]), Phase::Act)
}
