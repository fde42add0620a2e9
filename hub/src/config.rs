//! The hub's configuration: a TOML file, over it the environment, over both the command line.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU16,
    path::{Path, PathBuf},
};

use anyhow::Context;
use reelmill_api::{NodeId, QueueName, S3Location, preset::Presets};
use reelmill_daemon::{Env, Hinted, SecretRef, StoreSection, config::toml_files, http::require_loopback, load_toml};
use serde::Deserialize;

/// Where the hub listens unless told otherwise.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7700);
/// Where hubs and operators reach a broker unless told otherwise.
const FLEET_PORT: u16 = 8884;
/// Where uploads go unless told otherwise.
const DEFAULT_INPUT_BUCKET: &str = "media-ingest";
/// Where output goes unless a job or the configuration says otherwise.
const DEFAULT_OUTPUT_BUCKET: &str = "media-output";

/// What may stand in the file; a key that is not here is refused. The sections are written as in the worker's file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the API and the page are served; a loopback address. Default: `127.0.0.1:7700`.
    pub listen: SocketAddr,
    /// The folder of the database, and of whatever is embedded.
    pub data: Option<PathBuf>,
    /// A folder with presets of your own (`PRESET_FOLDER`), each `NAME.toml`, as the workers have it; they override
    /// built-in ones.
    pub preset_folder: Option<PathBuf>,
    /// The queue server; without an address, an embedded queue.
    pub queue: QueueSection,
    /// The S3 store; without an address, an embedded store. Its buckets are by default `media-ingest`, where uploads go,
    /// and `media-output`.
    pub store: StoreSection,
    /// Folders of `file://` outputs.
    pub files: FilesSection,
    /// The fleet's broker; without one the hub knows no nodes.
    pub fleet: FleetSection,
}

/// `[queue]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueueSection {
    /// The queue's address (`QUEUE_URL`); a secret, because it may hold a password.
    pub url: Option<SecretRef>,
    /// The queue's name (`QUEUE_NAME`). Default: `reelmill`.
    pub name: QueueName,
}

/// `[files]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FilesSection {
    /// Folders whose files the page may show, for jobs with a `file://` output (`REELMILL_OUTPUT_ROOTS`, separated by
    /// colons).
    pub read: Vec<PathBuf>,
}

/// `[fleet]`: a broker of your own, or one that the hub brings.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FleetSection {
    /// The broker's host, which its certificate names (`FLEET_BROKER`). Default: none.
    pub broker: Option<String>,
    /// Its port for hubs and operators (`FLEET_PORT`). Default: 8884.
    pub port: Option<NonZeroU16>,
    /// The authorities that may vouch for the broker, PEM (`FLEET_CA`).
    pub ca: Option<PathBuf>,
    /// The hub's certificate, PEM (`FLEET_CERT`).
    pub cert: Option<PathBuf>,
    /// The certificate's key, PEM (`FLEET_KEY`).
    pub key: Option<PathBuf>,
    /// Where a broker that the hub brings listens for nodes and operators (`FLEET_LISTEN`); port 0 is the one of last time, or
    /// a free one. Instead of the five above. Default: none.
    pub listen: Option<SocketAddr>,
    /// More names and addresses by which nodes know that broker (`FLEET_NAMES`, separated by commas), for its certificate;
    /// `localhost` and the address that it listens at are always among them. Default: none.
    pub names: Vec<String>,
    /// A node on this machine, for which an identity at that broker is made (`FLEET_NODE`). Default: none.
    pub node: Option<NodeId>,
    /// Where nodes ask to be taken in (`FLEET_ENROL`), by HTTPS with a certificate for the same names; other machines may reach
    /// it. Default: none; then nobody is.
    pub enrol: Option<SocketAddr>,
    /// The broker's port for nodes (`FLEET_NODE_PORT`), which they are told. Default: that of the broker that the hub brings, else
    /// 8883.
    pub node_port: Option<NonZeroU16>,
    /// Whose commands nodes obey (`FLEET_TRUST`), as `reelmill keys trust` writes it; they are told when they are taken in.
    /// Default: `trust.json` in the data folder, if it is there.
    pub trust: Option<PathBuf>,
}

/// Where the hub hears the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broker<'a> {
    /// Somebody else's broker.
    Given {
        /// Its host.
        host: &'a str,
        /// Its port.
        port: u16,
        /// Who vouches for it.
        ca: &'a Path,
        /// The hub's certificate.
        cert: &'a Path,
        /// The certificate's key.
        key: &'a Path,
    },
    /// One that the hub brings.
    Embedded {
        /// Where it listens.
        listen: SocketAddr,
        /// More of its names.
        names: &'a [String],
        /// A node on this machine.
        node: Option<&'a NodeId>,
    },
}

impl FleetSection {
    /// The broker that is meant; `None` if none is.
    ///
    /// # Errors
    /// What is missing or too much, in words.
    pub fn broker(&self) -> Result<Option<Broker<'_>>, String> {
        let Self { broker, port, ca, cert, key, listen, names, node, .. } = self;
        match (broker, listen) {
            (Some(_), Some(_)) => {
                Err("FLEET_BROKER and FLEET_LISTEN are both set: use a broker of yours or the hub's".to_owned())
            }
            (None, Some(listen)) => Ok(Some(Broker::Embedded { listen: *listen, names, node: node.as_ref() })),
            (None, None) => Ok(None),
            (Some(host), None) => {
                let (Some(ca), Some(cert), Some(key)) = (ca, cert, key) else {
                    return Err("FLEET_BROKER needs FLEET_CA, FLEET_CERT and FLEET_KEY too".to_owned());
                };
                Ok(Some(Broker::Given { host, port: port.map_or(FLEET_PORT, NonZeroU16::get), ca, cert, key }))
            }
        }
    }
}

impl FleetSection {
    /// Where nodes reach a door at which they ask to be taken in, and that listens at `at`.
    pub fn door_url(&self, at: SocketAddr) -> String {
        let host = match (self.names.first(), at.ip().is_unspecified()) {
            (Some(name), _) => name.clone(),
            (None, true) => rustix::system::uname().nodename().to_string_lossy().into_owned(),
            (None, false) => at.ip().to_string(),
        };
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        format!("https://{host}:{}", at.port())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: DEFAULT_LISTEN,
            data: None,
            preset_folder: None,
            queue: QueueSection::default(),
            store: StoreSection::default(),
            files: FilesSection::default(),
            fleet: FleetSection::default(),
        }
    }
}

/// What the command line says over it.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Where to listen.
    pub listen: Option<SocketAddr>,
    /// The data folder.
    pub data: Option<PathBuf>,
    /// Where the hub's own broker listens.
    pub fleet_listen: Option<SocketAddr>,
    /// A node on this machine.
    pub fleet_node: Option<NodeId>,
}

impl Config {
    /// The configuration of this process, checked.
    ///
    /// # Errors
    /// What is wrong: with line and column in the file, or by the variable's name.
    pub fn load(file: Option<&Path>, mut env: Env, over: Overrides) -> anyhow::Result<Self> {
        let mut config = match file {
            Some(file) => load_toml(file)?,
            None => Self::default(),
        };
        config.read_environment(&mut env);
        config.listen = over.listen.unwrap_or(config.listen);
        config.data = over.data.or(config.data);
        config.fleet.listen = over.fleet_listen.or(config.fleet.listen);
        config.fleet.node = over.fleet_node.or(config.fleet.node);
        config.check(&mut env);
        env.finish().context("the configuration cannot be used")?;
        require_loopback(config.listen)?;
        Ok(config)
    }

    /// Known presets.
    ///
    /// # Errors
    /// If the folder cannot be read, or a preset in it is wrong.
    pub fn presets(&self) -> anyhow::Result<Presets> {
        let mut presets = Presets::built_in();
        if let Some(folder) = &self.preset_folder {
            presets.add_files(&toml_files(folder)?).map_err(|e| anyhow::anyhow!(e))?;
        }
        Ok(presets)
    }

    /// The data folder.
    ///
    /// # Errors
    /// If none is named.
    pub fn data(&self) -> anyhow::Result<&Path> {
        let none = || Hinted::new("no data folder is named", "give `--data DIR`, or `data = \"/path\"` in the file");
        Ok(self.data.as_deref().ok_or_else(none)?)
    }

    /// Where uploads go.
    pub fn input_bucket(&self) -> &str {
        self.store.input_bucket.as_deref().unwrap_or(DEFAULT_INPUT_BUCKET)
    }

    /// Where output goes unless a job says otherwise.
    pub fn output_bucket(&self) -> &str {
        self.store.output_bucket.as_deref().unwrap_or(DEFAULT_OUTPUT_BUCKET)
    }

    fn read_environment(&mut self, env: &mut Env) {
        env.read_some("PRESET_FOLDER", &mut self.preset_folder);
        env.secret("QUEUE_URL", &mut self.queue.url);
        env.read("QUEUE_NAME", &mut self.queue.name);
        self.store.read_environment(env);
        env.read_paths("REELMILL_OUTPUT_ROOTS", &mut self.files.read);
        env.read_some("FLEET_BROKER", &mut self.fleet.broker);
        env.read_some("FLEET_PORT", &mut self.fleet.port);
        env.read_some("FLEET_CA", &mut self.fleet.ca);
        env.read_some("FLEET_CERT", &mut self.fleet.cert);
        env.read_some("FLEET_KEY", &mut self.fleet.key);
        env.read_some("FLEET_LISTEN", &mut self.fleet.listen);
        env.read_list("FLEET_NAMES", &mut self.fleet.names);
        env.read_some("FLEET_NODE", &mut self.fleet.node);
        env.read_some("FLEET_ENROL", &mut self.fleet.enrol);
        env.read_some("FLEET_NODE_PORT", &mut self.fleet.node_port);
        env.read_some("FLEET_TRUST", &mut self.fleet.trust);
    }

    /// What no single setting shows. Keys without an address are passed over: many a shell has them set for other
    /// programs, and they must not turn an embedded store off.
    fn check(&self, env: &mut Env) {
        let store = &self.store;
        for (name, bucket) in [("INPUT_BUCKET", self.input_bucket()), ("OUTPUT_BUCKET", self.output_bucket())] {
            if let Err(e) = S3Location::new(bucket, "") {
                env.mistake(format!("{name}: {e}"));
            }
        }
        match (&store.endpoint, &self.queue.url) {
            (None, Some(_)) => {
                env.mistake("a queue is set and no store: set S3_ENDPOINT_URL and its keys too, or neither")
            }
            (Some(_), None) => env.mistake("a store is set and no queue: set QUEUE_URL too, or neither"),
            _ => {}
        }
        if store.endpoint.is_some() {
            let keys = [("AWS_ACCESS_KEY_ID", &store.access_key), ("AWS_SECRET_ACCESS_KEY", &store.secret_key)];
            for (name, _) in keys.into_iter().filter(|(_, key)| key.is_none()) {
                env.mistake(format!("S3_ENDPOINT_URL is set and {name} is not: the store needs both keys"));
            }
        }
        if let Err(why) = self.fleet.broker() {
            env.mistake(why);
        }
        for root in self.files.read.iter().filter(|root| !root.is_absolute()) {
            env.mistake(format!("{} is not an absolute path; it is a folder of file:// outputs", root.display()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn load(toml: &str, env: &[(&str, &str)]) -> Result<Config, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("hub.toml");
        fs::write(&file, toml).expect("a file");
        let env = Env::from_pairs(env.iter().copied());
        Config::load(Some(&file), env, Overrides::default()).map_err(|e| reelmill_daemon::report::render(&*e))
    }

    fn refused(toml: &str, env: &[(&str, &str)], parts: &[&str]) {
        let error = load(toml, env).expect_err("a mistake");
        for part in parts {
            assert!(error.contains(part), "{part} in {error}");
        }
    }

    #[test]
    fn nothing_configured_means_everything_embedded_on_loopback() {
        let config = load("", &[]).expect("defaults");
        assert!(config.queue.url.is_none() && config.store.endpoint.is_none() && config.listen.ip().is_loopback());
        assert_eq!((config.input_bucket(), config.output_bucket()), ("media-ingest", "media-output"));
    }

    #[test]
    fn a_broker_is_ours_or_yours() {
        let broker = |env: &[(&str, &str)]| load("", env).map(|config| format!("{:?}", config.fleet.broker()));
        assert_eq!(broker(&[]).as_deref(), Ok("Ok(None)"));
        let ours = broker(&[("FLEET_LISTEN", "127.0.0.1:0"), ("FLEET_NAMES", "hub.local, 10.0.0.2")]);
        let want = "Ok(Some(Embedded { listen: 127.0.0.1:0, names: [\"hub.local\", \"10.0.0.2\"], node: None }))";
        assert_eq!(ours.as_deref(), Ok(want));
        let files = [("FLEET_CA", "/ca"), ("FLEET_CERT", "/cert"), ("FLEET_KEY", "/key")];
        let yours = broker(&[("FLEET_BROKER", "broker"), files[0], files[1], files[2]]);
        let want = r#"Ok(Some(Given { host: "broker", port: 8884, ca: "/ca", cert: "/cert", key: "/key" }))"#;
        assert_eq!(yours.as_deref(), Ok(want));
        refused("", &[("FLEET_BROKER", "broker")], &["FLEET_BROKER needs FLEET_CA, FLEET_CERT and FLEET_KEY too"]);
        let both = [("FLEET_BROKER", "broker"), ("FLEET_LISTEN", "127.0.0.1:0")];
        refused("", &both, &["use a broker of yours or the hub's"]);
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let env = [
            ("QUEUE_URL", "redis://:hunter2@hub:6379"),
            ("QUEUE_NAME", "films"),
            ("S3_ENDPOINT_URL", "http://store:9000"),
            ("AWS_ACCESS_KEY_ID", "AK"),
            ("AWS_SECRET_ACCESS_KEY", "hunter3"),
            ("OUTPUT_BUCKET", "ladders"),
        ];
        let config =
            load("[queue]\nname = \"other\"\n[store]\ninput_bucket = \"ingest\"", &env).expect("a configuration");
        let got = (config.queue.name.as_str(), config.input_bucket(), config.output_bucket());
        assert_eq!(got, ("films", "ingest", "ladders"));
        let shown = format!("{config:?}");
        assert!(!shown.contains("hunter"), "{shown}");
    }

    #[test]
    fn tells_every_mistake_and_where() {
        refused("[queue]\nnmae = \"x\"", &[], &["hub.toml:2:1", "nmae", "name"]);
        refused("[queue]\nname = \"a b\"", &[], &["hub.toml:2:8", "cannot name a queue"]);
        refused("", &[("QUEUE_NAME", "a b"), ("INPUT_BUCKET", "X")], &["QUEUE_NAME", "INPUT_BUCKET", "2 mistakes"]);
        refused("", &[("QUEUE_URL", "redis://h:hunter2@x")], &["S3_ENDPOINT_URL"]);
        refused(
            "",
            &[("S3_ENDPOINT_URL", "http://s:9000")],
            &["QUEUE_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"],
        );
        refused("listen = \"0.0.0.0:80\"", &[], &["0.0.0.0:80", "hint:"]);
        refused("listen = \"[::]:80\"", &[], &["hint:"]);
        refused("[files]\nread = [\"films\"]", &[], &["absolute"]);
    }
}
