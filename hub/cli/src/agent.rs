//! The agent of a farm on one machine: it makes a node of this machine, without root, and obeys whoever holds the key that is
//! made beside it.

use std::{
    fs::{self, DirBuilder},
    net::SocketAddr,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use reelmill_api::{NodeId, fleet::Role};
use reelmill_daemon::Hinted;
use tokio::process::Command;

use crate::{
    addresses::{Fleet, Node},
    keys,
    port::Port,
    programs::Program,
};

/// The usual port of a node's page.
const PAGE: u16 = 9310;
/// The usual port where a worker tells what it does.
const WORKER_STATUS: u16 = 9320;
/// The key that signs commands, in the data folder.
const KEY: &str = "operator.key";
/// What `reelmill send --settings` reads, in the data folder.
pub(crate) const SETTINGS: &str = "operator.toml";
/// The agent's own folder in the data folder.
const STATE: &str = "agent";

/// Variables that speak of another farm's broker or another agent.
const FOREIGN: [&str; 12] = [
    "FLEET_BROKER",
    "FLEET_PORT",
    "FLEET_CA",
    "FLEET_CERT",
    "FLEET_KEY",
    "FLEET_NODE",
    "BROKER_HOST",
    "BROKER_PORT",
    "BROKER_CA",
    "BROKER_CERT",
    "BROKER_KEY",
    "TRUST",
];

/// How the agent of this machine is started.
#[derive(Debug)]
pub(crate) struct Agent {
    program: Program,
    page: Port,
    worker: Port,
}

impl Agent {
    /// An agent with a page on the usual port, or on one near it, and a worker beside it likewise.
    ///
    /// # Errors
    /// If the program is not beside this one.
    pub(crate) fn find() -> Result<Self, Hinted> {
        let worker = std::env::var("STATUS_LISTEN").ok().and_then(|at| at.parse::<SocketAddr>().ok());
        let worker = worker.filter(|at| at.port() != 0);
        Ok(Self {
            program: Program::find("reelmill-agent")?,
            page: Port::near(PAGE),
            worker: worker.map_or_else(|| Port::near(WORKER_STATUS), Port::at),
        })
    }

    /// Its program.
    pub(crate) fn program(&self) -> &Program {
        &self.program
    }

    /// The node's page.
    pub(crate) fn page(&self) -> String {
        format!("http://{}/", self.page.address())
    }

    /// Tells a worker where the agent looks for it.
    pub(crate) fn tell_worker(&self, command: &mut Command) {
        command.env("STATUS_LISTEN", self.worker.address().to_string());
    }

    /// The command that starts it at that broker, after all that it needs was made.
    ///
    /// # Errors
    /// If a file cannot be made.
    pub(crate) fn command(&self, data: &Path, fleet: &Fleet, node: &Node) -> anyhow::Result<Command> {
        let state = data.join(STATE);
        DirBuilder::new().recursive(true).mode(0o700).create(&state).with_context(|| cannot_write(&state))?;
        make_operator(data, &state, fleet)?;
        let (host, port) = fleet.broker.rsplit_once(':').context("the hub told no broker's port")?;
        let mut command = self.program.command();
        forget_others(&mut command);
        command
            .env("REELMILL_NODE", node.name.as_str())
            .env("STATE_DIRECTORY", &state)
            .env("PAGE_LISTEN", self.page.address().to_string())
            .env("WORKER_STATUS", format!("http://{}/status", self.worker.address()))
            .envs([("BROKER_HOST", host), ("BROKER_PORT", port)])
            .env("BROKER_CA", &fleet.ca)
            .env("BROKER_CERT", &node.cert)
            .env("BROKER_KEY", &node.key)
            // This machine's owner keeps its clock, by a service of the host's where this is a container.
            .env("CLOCK_IS_RIGHT", "true");
        Ok(command)
    }
}

/// Takes from a child what its environment says of other brokers.
pub(crate) fn forget_others(command: &mut Command) {
    for name in FOREIGN {
        command.env_remove(name);
    }
}

/// This machine's name as a node's, as far as it is one.
pub(crate) fn node_name() -> NodeId {
    name_of(&rustix::system::uname().nodename().to_string_lossy())
}

fn name_of(host: &str) -> NodeId {
    let first = host.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let fit: String = first.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(63).collect();
    fit.trim_matches('-').parse().unwrap_or_else(|_| "this-machine".parse().expect("it is a name"))
}

/// The key that signs commands, the document by which the node trusts it, and what `reelmill send` needs to know. The key is
/// made once; what is derived from it, whenever it is not there.
fn make_operator(data: &Path, state: &Path, fleet: &Fleet) -> anyhow::Result<()> {
    let key = data.join(KEY);
    if !key.exists() {
        keys::new(&key, "reelmill up")?;
    }
    let trust = state.join("trust.json");
    if !trust.exists() {
        let public = keys::beside(&key);
        let roles = [Role::Operator, Role::Release, Role::Admin];
        let grants: Vec<(Role, PathBuf)> = roles.into_iter().map(|role| (role, public.clone())).collect();
        let document = keys::trust(&grants, 1, 1)?;
        write(&trust, &document.to_payload())?;
    }
    let Fleet { broker, ca, cert, key: tls, .. } = fleet;
    let line = |name: &str, path: &Path| format!("{name} = {}\n", toml_text(&path.display().to_string()));
    let settings = format!(
        "# The way of `reelmill send` to this farm's broker.\nbroker = {}\n{}{}{}sign = [{}]\n",
        toml_text(broker),
        line("ca", ca),
        line("cert", cert),
        line("key", tls),
        toml_text(KEY),
    );
    write(&data.join(SETTINGS), settings.as_bytes())
}

/// A text as TOML writes it: what JSON escapes, TOML escapes in the same way.
fn toml_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn write(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let new = path.with_added_extension("new");
    fs::write(&new, content).and_then(|()| fs::rename(&new, path)).with_context(|| cannot_write(path))
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_node_is_named_after_its_machine() {
        let long = "a".repeat(80);
        for (host, want) in [
            ("Orin-3", "orin-3"),
            ("edge_1.example.net", "edge-1"),
            ("-x-", "x"),
            ("", "this-machine"),
            ("\u{e9}", "this-machine"),
            (&long, &long[..63]),
        ] {
            assert_eq!(name_of(host).as_str(), want, "{host}");
        }
    }

    #[test]
    fn an_operators_key_is_made_once_and_is_nobody_elses() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path();
        let fleet = Fleet {
            broker: "127.0.0.1:8883".to_owned(),
            ca: "/d/ca.pem".into(),
            cert: "/d/\"o\".pem".into(),
            key: "/d/o.key".into(),
            node: None,
        };
        make_operator(data, data, &fleet).expect("our folder");
        let first = fs::read(data.join(KEY)).expect("a key");
        let settings = fs::read_to_string(data.join(SETTINGS)).expect("settings");
        assert_eq!(
            settings,
            "# The way of `reelmill send` to this farm's broker.\nbroker = \"127.0.0.1:8883\"\nca = \"/d/ca.pem\"\n\
             cert = \"/d/\\\"o\\\".pem\"\nkey = \"/d/o.key\"\nsign = [\"operator.key\"]\n"
        );
        let trust = fs::read(data.join("trust.json")).expect("a document");
        let trust = reelmill_api::fleet::Trust::parse(&trust).expect("a good one");
        assert_eq!((trust.keys().len(), trust.keys()[0].roles.len()), (1, 3));
        make_operator(data, data, &Fleet { broker: "b:1".to_owned(), ..fleet }).expect("our folder");
        assert_eq!(fs::read(data.join(KEY)).expect("a key"), first);
        assert!(fs::read_to_string(data.join(SETTINGS)).expect("settings").contains("broker = \"b:1\""));
        assert_eq!(fs::metadata(data.join(KEY)).expect("a key").permissions().mode() & 0o777, 0o600);
    }
}
