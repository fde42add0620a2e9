//! The agent's configuration: a TOML file, over which the environment wins. Plain values only.

mod values;
mod window;

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU16,
    path::{Path, PathBuf},
};

use reelmill_api::NodeId;
use reelmill_api::preset::Tag;
use reelmill_daemon::{ConfigError, Env, SecretRef, load_toml};
use serde::Deserialize;
pub use values::{HostName, LoopbackUrl, SampleSeconds, Target, Unfit, WatchedUnit};
pub use window::Window;

/// The page's port, beside the worker's.
const PAGE_PORT: u16 = 9310;
/// Where a worker on this machine listens unless told otherwise.
const WORKER_STATUS: &str = "http://127.0.0.1:9320/status";
/// Where the agent's unit keeps what must outlast a reboot.
const STATE_FOLDER: &str = "/var/lib/reelmill-agent";
/// Where the root helper's units have it listen.
const HELPER_SOCKET: &str = "/run/reelmill-exec/socket";
/// Where they keep what must outlast a reboot.
const HELPER_FOLDER: &str = "/var/lib/reelmill-exec";
/// The unit that the worker's package brings.
const WORKER_UNIT: &str = "reelmill-worker.service";

/// Everything that can be set. Unknown keys are refused with file, line and column.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// This node's id (`REELMILL_NODE`): `a` to `z`, digits and `-`, at most 63. Default: the host's name as far as it is
    /// one.
    pub node: NodeId,
    /// Seconds between two looks at the node (`SAMPLE_SECONDS`), 1 to 60. Default: 1.
    pub sample_seconds: SampleSeconds,
    /// What the owner says of this node (`TAGS`, separated by commas); `lan` and `mesh` are found out. Default: none.
    pub tags: Vec<Tag>,
    /// Something in the local network that answers on a TCP port (`LAN_TARGET`), e.g. `10.0.0.2:9000`; where it can be
    /// reached, the node has the tag `lan`. Default: none.
    pub lan_target: Option<Target>,
    /// When the node may be disturbed (`WINDOW`), e.g. `Sat..Sun 02:00-05:00 local` or `22:30-04:00 UTC`: commands that take it
    /// out of work wait for it, unless they say otherwise. Default: none; then at any time.
    pub window: Option<Window>,
    /// Units of systemd that are watched (`WATCH_UNITS`, separated by commas). Default: the worker's.
    pub units: Vec<WatchedUnit>,
    /// The status page.
    pub page: PageSection,
    /// The worker on this node.
    pub worker: WorkerSection,
    /// What a Jetson is asked.
    pub tegrastats: TegrastatsSection,
    /// Where the ledger of commands and, unless told otherwise, the node's identity lie. Default: the folder that systemd's
    /// `StateDirectory=` makes (`STATE_DIRECTORY`), else `/var/lib/reelmill-agent`.
    pub state_folder: PathBuf,
    /// A folder in memory, where the node's key is laid out to be used and the agent has its door for root
    /// (`RUNTIME_DIRECTORY`); systemd's `RuntimeDirectory=` makes it. Default: none; then the key is used where it lies, and
    /// there is no door.
    pub runtime_folder: Option<PathBuf>,
    /// Files that bring the node into a farm (`JOIN`, separated by colons), the first that is there counts; only where no broker
    /// is named and no farm has taken the node in. Default: `reelmill/join.toml` on `/boot`, `/efi`, or whatever is labelled
    /// `REELMILL` below `/run/media` and `/mnt`.
    pub join: Vec<PathBuf>,
    /// The farm's broker.
    pub broker: BrokerSection,
    /// The root helper on this node.
    pub helper: HelperSection,
}

/// `[broker]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BrokerSection {
    /// The broker's host, which its certificate names (`BROKER_HOST`). Default: none; then nobody commands this node.
    pub host: Option<HostName>,
    /// Its port for nodes (`BROKER_PORT`). Default: 8883.
    pub port: Option<NonZeroU16>,
    /// The authorities that may vouch for the broker, PEM (`BROKER_CA`). Default: `ca.pem` in the state folder.
    pub ca: Option<PathBuf>,
    /// The node's certificate, PEM (`BROKER_CERT`). Default: `cert.pem` in the state folder.
    pub cert: Option<PathBuf>,
    /// The certificate's key, PEM (`BROKER_KEY`). Default: `key.pem` in the state folder.
    pub key: Option<PathBuf>,
    /// Whose commands this node obeys, as `reelmill keys trust` writes it (`TRUST`). Default: `trust.json` in the state
    /// folder.
    pub trust: Option<PathBuf>,
    /// Whether the clock is right though no time service on this node says so (`CLOCK_IS_RIGHT`), as in a machine whose host
    /// keeps it. Default: `false`; then commands, which all expire, wait for a time service.
    pub clock_is_right: bool,
}

/// `[helper]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HelperSection {
    /// Where it listens (`HELPER_SOCKET`); where nothing listens, the node cannot do what needs root, and says so. Default:
    /// `/run/reelmill-exec/socket`.
    pub socket: PathBuf,
    /// What it keeps and lets others read (`HELPER_FOLDER`). Default: `/var/lib/reelmill-exec`.
    pub folder: PathBuf,
}

/// `[page]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PageSection {
    /// Addresses where the page, its JSON and the metrics are served (`PAGE_LISTEN`, separated by commas). Default:
    /// `127.0.0.1:9310`; port 0 takes a free one. One that other machines can reach needs a password, or
    /// `without_password`.
    pub listen: Vec<SocketAddr>,
    /// The password that is asked for (`PAGE_PASSWORD`), whatever the user's name. Default: none.
    pub password: Option<SecretRef>,
    /// Whether other machines may read the page without a password (`PAGE_WITHOUT_PASSWORD`). Default: `false`.
    pub without_password: bool,
    /// More names that this node has in others' address bars (`PAGE_NAMES`, separated by commas), e.g.
    /// `edge-1.example.net`. Addresses in numbers, `localhost`, the node's id and that with `.local` are always taken.
    pub names: Vec<HostName>,
}

/// `[worker]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkerSection {
    /// Where the worker tells what it does (`WORKER_STATUS`); on this machine. Default: `http://127.0.0.1:9320/status`.
    pub status: LoopbackUrl,
}

/// `[tegrastats]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TegrastatsSection {
    /// NVIDIA's program (`TEGRASTATS`), which is started on a Jetson. Default: from `PATH`.
    pub program: PathBuf,
    /// A Unix socket that sends what the program prints (`TEGRASTATS_SOCKET`), taken instead where it is set: only root's
    /// tegrastats tells of engines. Default: none.
    pub socket: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            node: values::id_of_host(&host_name()),
            sample_seconds: SampleSeconds::default(),
            tags: Vec::new(),
            lan_target: None,
            window: None,
            units: vec![WORKER_UNIT.parse().expect("a unit's name")],
            page: PageSection {
                listen: vec![(Ipv4Addr::LOCALHOST, PAGE_PORT).into()],
                password: None,
                without_password: false,
                names: Vec::new(),
            },
            worker: WorkerSection { status: WORKER_STATUS.parse().expect("a loopback address") },
            tegrastats: TegrastatsSection { program: PathBuf::from("tegrastats"), socket: None },
            state_folder: PathBuf::from(STATE_FOLDER),
            runtime_folder: None,
            join: Vec::new(),
            broker: BrokerSection::default(),
            helper: HelperSection { socket: PathBuf::from(HELPER_SOCKET), folder: PathBuf::from(HELPER_FOLDER) },
        }
    }
}

impl Default for HelperSection {
    fn default() -> Self {
        Config::default().helper
    }
}

impl Default for PageSection {
    fn default() -> Self {
        Config::default().page
    }
}

impl Default for TegrastatsSection {
    fn default() -> Self {
        Config::default().tegrastats
    }
}

impl Default for WorkerSection {
    fn default() -> Self {
        Config::default().worker
    }
}

impl Config {
    /// The file's settings, if there is one, under the environment's.
    ///
    /// # Errors
    /// The file's first mistake with its place, or all of the environment's.
    pub fn load(file: Option<&Path>, mut env: Env) -> Result<Self, ConfigError> {
        let mut config = file.map_or_else(|| Ok(Self::default()), load_toml)?;
        config.overlay(&mut env);
        env.finish()?;
        Ok(config)
    }

    fn overlay(&mut self, env: &mut Env) {
        env.read("REELMILL_NODE", &mut self.node);
        env.read("SAMPLE_SECONDS", &mut self.sample_seconds);
        env.read_list("TAGS", &mut self.tags);
        env.read_some("LAN_TARGET", &mut self.lan_target);
        env.read_some("WINDOW", &mut self.window);
        env.read_list("WATCH_UNITS", &mut self.units);
        env.read_list("PAGE_LISTEN", &mut self.page.listen);
        env.secret("PAGE_PASSWORD", &mut self.page.password);
        env.read("PAGE_WITHOUT_PASSWORD", &mut self.page.without_password);
        env.read_list("PAGE_NAMES", &mut self.page.names);
        env.read("WORKER_STATUS", &mut self.worker.status);
        env.read("TEGRASTATS", &mut self.tegrastats.program);
        env.read_some("TEGRASTATS_SOCKET", &mut self.tegrastats.socket);
        env.read("STATE_DIRECTORY", &mut self.state_folder);
        env.read_some("RUNTIME_DIRECTORY", &mut self.runtime_folder);
        env.read_paths("JOIN", &mut self.join);
        env.read_some("BROKER_HOST", &mut self.broker.host);
        env.read_some("BROKER_PORT", &mut self.broker.port);
        env.read_some("BROKER_CA", &mut self.broker.ca);
        env.read_some("BROKER_CERT", &mut self.broker.cert);
        env.read_some("BROKER_KEY", &mut self.broker.key);
        env.read_some("TRUST", &mut self.broker.trust);
        env.read("CLOCK_IS_RIGHT", &mut self.broker.clock_is_right);
        env.read("HELPER_SOCKET", &mut self.helper.socket);
        env.read("HELPER_FOLDER", &mut self.helper.folder);
    }
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn from_env(pairs: &[(&str, &str)]) -> Result<Config, String> {
        Config::load(None, Env::from_pairs(pairs.iter().copied())).map_err(|e| e.to_string())
    }

    fn from_toml(text: &str) -> Result<Config, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("agent.toml");
        std::fs::write(&file, text).expect("written");
        let told = |e: ConfigError| e.to_string().replace(&format!("{}/", folder.path().display()), "");
        Config::load(Some(&file), Env::from_pairs([("X", "y")])).map_err(told)
    }

    #[test]
    fn without_settings_it_listens_on_loopback_and_asks_the_workers_port() {
        let config = from_env(&[]).expect("the defaults");
        assert_eq!(config.page.listen, ["127.0.0.1:9310".parse().expect("an address")]);
        assert_eq!(config.sample_seconds.duration(), Duration::from_secs(1));
        assert_eq!(config.worker.status.at, "127.0.0.1:9320".parse().expect("an address"));
        assert_eq!((config.worker.status.path.as_str(), config.lan_target), ("/status", None));
        assert_eq!(config.units.iter().map(WatchedUnit::as_str).collect::<Vec<_>>(), ["reelmill-worker.service"]);
    }

    #[test]
    fn every_setting_can_come_from_the_environment() {
        let config = from_env(&[
            ("REELMILL_NODE", "edge-1"),
            ("SAMPLE_SECONDS", "5"),
            ("TAGS", "rack, fast"),
            ("LAN_TARGET", "nas:2049"),
            ("WINDOW", "Sat..Sun 02:00-05:00 local"),
            ("WATCH_UNITS", "a.service, b@1.timer"),
            ("PAGE_LISTEN", "127.0.0.1:1, [::1]:2"),
            ("PAGE_PASSWORD", "topsecret"),
            ("PAGE_WITHOUT_PASSWORD", "true"),
            ("PAGE_NAMES", "Edge-1.example.net"),
            ("WORKER_STATUS", "http://[::1]:9321/a"),
            ("TEGRASTATS", "/opt/tegrastats"),
            ("TEGRASTATS_SOCKET", "/run/tegrastats"),
            ("STATE_DIRECTORY", "/srv/agent"),
            ("JOIN", "/a:/b"),
            ("BROKER_HOST", "hub.example"),
            ("BROKER_PORT", "8884"),
            ("BROKER_CA", "/ca"),
            ("BROKER_CERT", "/cert"),
            ("BROKER_KEY", "/key"),
            ("TRUST", "/trust"),
            ("CLOCK_IS_RIGHT", "true"),
            ("HELPER_SOCKET", "/run/helper"),
            ("HELPER_FOLDER", "/srv/helper"),
        ])
        .expect("a configuration");
        let shown = format!("{config:?}");
        assert!(!shown.contains("topsecret"), "{shown}");
        assert_eq!(
            shown,
            "Config { node: NodeId(\"edge-1\"), sample_seconds: SampleSeconds(5), tags: [Tag(\"rack\"), \
             Tag(\"fast\")], lan_target: Some(Target(\"nas:2049\")), window: Some(Window(Sat,Sun 02:00-05:00 local)), \
             units: [WatchedUnit(\"a.service\"), WatchedUnit(\"b@1.timer\")], page: PageSection { listen: [127.0.0.1:1, \
             [::1]:2], password: Some(Plain([secret])), without_password: true, names: \
             [HostName(\"edge-1.example.net\")] }, worker: WorkerSection { status: LoopbackUrl { at: [::1]:9321, path: \
             \"/a\" } }, tegrastats: TegrastatsSection { program: \"/opt/tegrastats\", socket: \
             Some(\"/run/tegrastats\") }, state_folder: \"/srv/agent\", runtime_folder: None, \
             join: [\"/a\", \"/b\"], broker: BrokerSection { host: \
             Some(HostName(\"hub.example\")), port: Some(8884), ca: Some(\"/ca\"), cert: Some(\"/cert\"), key: \
             Some(\"/key\"), trust: Some(\"/trust\"), clock_is_right: true }, helper: \
             HelperSection { socket: \"/run/helper\", folder: \"/srv/helper\" } }"
        );
    }

    #[test]
    fn all_mistakes_in_the_environment_are_told_at_once() {
        let error = from_env(&[
            ("REELMILL_NODE", "Edge 1"),
            ("SAMPLE_SECONDS", "0"),
            ("LAN_TARGET", "nas"),
            ("WATCH_UNITS", "worker"),
            ("PAGE_NAMES", "edge:80"),
            ("WORKER_STATUS", "http://10.0.0.2/status"),
        ])
        .expect_err("six mistakes");
        assert_eq!(
            error,
            "6 mistakes in the environment:\n  \
             REELMILL_NODE is \"Edge 1\": `Edge 1` cannot name a node: use 1 to 63 lower-case letters, digits and hyphens\n  \
             SAMPLE_SECONDS is \"0\": it must be a whole number from 1 to 60\n  \
             LAN_TARGET is \"nas\": it must be a host and a port such as 10.0.0.2:9000\n  \
             WATCH_UNITS is \"worker\": it must be a unit's whole name such as reelmill-worker.service\n  \
             PAGE_NAMES is \"edge:80\": it must be a host's name such as edge-1.example.net, without a port\n  \
             WORKER_STATUS is \"http://10.0.0.2/status\": it must be an address on this machine such as \
             http://127.0.0.1:9320/status"
        );
    }

    #[test]
    fn a_mistake_in_the_file_is_told_with_its_place() {
        let check = |text: &str, want: &str| assert_eq!(from_toml(text).expect_err(text), want);
        check(
            "node = \"a\"\n[page]\nlisten_on = []\n",
            "agent.toml:3:1: unknown key `listen_on`; known are `listen`, `password`, `without_password`, `names`",
        );
        check("sample_seconds = 61", "agent.toml:1:18: it must be a whole number from 1 to 60");
        check(
            "node = \"A\"",
            "agent.toml:1:8: `A` cannot name a node: use 1 to 63 lower-case letters, digits and hyphens",
        );
    }
}
