//! The farm's machines, and its store, which is somebody else's.

use std::{
    collections::BTreeMap,
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use reelmill_appliance::{machine::lay, text};
use reelmill_lab::{
    nspawn::{Bridge, Machine, Setup},
    s3,
};
use serde_json::Value;
use tokio::{io::copy_bidirectional, net::TcpListener, runtime::Runtime};

/// The nodes, by their names.
pub(crate) const NODES: [&str; 2] = ["edge-1", "edge-2"];
/// The machine that is hub and node, which is named after its units' folder.
pub(crate) const ALONE: &str = "all-in-one";
const HUB_PACKAGES: &[&str] =
    &["curl", "mosquitto", "redis-server", "prometheus", "prometheus-node-exporter", "prometheus-redis-exporter"];
const NODE_PACKAGES: &[&str] = &["ffmpeg"];
const STORE_PORT: u16 = 3900;
const PAGE_PASSWORD: &str = "a-page-is-read-with-this";
/// Everything at once on two processors takes its time.
const PATIENCE: Duration = Duration::from_secs(300);

/// What NixOS starts of its own, with our settings: as its modules do it, for Debian's programs.
const REDIS: &str = "[Unit]\nRequires=reelmill-hub-secrets.service\nAfter=reelmill-hub-secrets.service\n[Service]\n\
    ExecStartPre=+/bin/sh -c 'umask 077; { cat /etc/redis.conf; printf \"requirepass %%s\\n\" \"$(cat /var/lib/reelmill-hub/secrets/queue-password)\"; } > /run/redis-reelmill/conf; chown redis /run/redis-reelmill/conf'\n\
    ExecStart=/usr/bin/redis-server /run/redis-reelmill/conf\nUser=redis\nStateDirectory=redis\nRuntimeDirectory=redis-reelmill\n";
const PROMETHEUS: &str = "[Unit]\nAfter=reelmill-hub.service\n[Service]\nUser=prometheus\nStateDirectory=prometheus\n\
    LoadCredential=node-password:/var/lib/secrets/page\n\
    ExecStart=/usr/bin/prometheus --config.file=/etc/prometheus/reelmill.json --storage.tsdb.path=/var/lib/prometheus/reelmill \
    --web.listen-address=127.0.0.1:9090\n";
/// It is not the farm's: its password is read by its owner's means.
const REDIS_EXPORTER: &str = "[Unit]\nAfter=redis-reelmill.service\n[Service]\nExecStart=/bin/sh -c 'export REDIS_PASSWORD=\"$(cat /var/lib/reelmill-hub/secrets/queue-password)\"; exec prometheus-redis-exporter --web.listen-address=127.0.0.1:9121'\n";
const MOSQUITTO: &str = "[Unit]\nAfter=reelmill-broker-identity.service\n[Service]\nExecStart=/usr/sbin/mosquitto -c /etc/mosquitto/reelmill.conf\n\
    ExecReload=/bin/kill -HUP $MAINPID\nUser=mosquitto\nStateDirectory=mosquitto\n";

/// A hub, nodes, and a store on the host.
pub(crate) struct Farm {
    pub(crate) hub: Machine,
    pub(crate) nodes: BTreeMap<&'static str, Machine>,
    buckets: PathBuf,
    _store: (s3::Server, Runtime),
    _bridge: Bridge,
}

impl Farm {
    /// All of it, with the nodes told of the hub; `None`, loudly, where no machine can boot.
    pub(crate) fn start(test: &str) -> Option<Self> {
        let hub = Setup::with_packages(test, HUB_PACKAGES)?;
        let bridge = Bridge::new();
        let (store, buckets) = store(bridge.host());
        let hosts = hosts(&bridge);
        let hub = hub_machine(hub, "hub", &bridge, &hosts).boot();
        // Before the first node comes.
        appoint(&hub);
        // The store is not the hub's: its owner gives the workers a key.
        let worker_env = hub.ok(&["cat", "/var/lib/reelmill-hub/secrets/worker.env"]);
        let worker_env = format!("{worker_env}\n{}", keys());
        let nodes = NODES.iter().zip(21..).map(|(&name, last)| {
            let words = format!(
                "reelmill-hub token join --data /var/lib/reelmill-hub --hub https://hub.lab:7443 --node {name}"
            );
            let join = hub.ok(&["runuser", "--user", "reelmill-hub", "--", "sh", "-c", &words]);
            let join = format!("{join}\n[network]\ninterface = \"host0\"\naddress = \"{}/24\"\n", bridge.address(last));
            let setup = Setup::with_packages(test, NODE_PACKAGES).expect("machines can boot");
            (name, node_machine(setup, &bridge, &hosts, &join, &worker_env).boot())
        });
        let nodes = nodes.collect();
        Some(Self { hub, nodes, buckets, _store: store, _bridge: bridge })
    }

    /// A machine that is hub and node; nobody may command it yet.
    pub(crate) fn alone(test: &str) -> Option<Self> {
        let setup = Setup::with_packages(test, &[HUB_PACKAGES, NODE_PACKAGES].concat())?;
        let bridge = Bridge::new();
        let (store, buckets) = store(bridge.host());
        let setup = hub_machine(setup, ALONE, &bridge, &hosts(&bridge));
        // The store is not the hub's: its owner brings the worker's key, and nothing else.
        let hub = setup.file("/boot/reelmill/worker.env", &keys()).boot();
        Some(Self { hub, nodes: BTreeMap::new(), buckets, _store: store, _bridge: bridge })
    }

    /// Makes a job into a ladder; what is told of it.
    pub(crate) fn ladder(&self) -> String {
        let job = self.hub.ok(&["reelmill", "submit", "/clip.mp4", "--hub", "http://127.0.0.1:7700", "--no-wait"]);
        let id = job.split_whitespace().find_map(|word| word.rsplit_once("/jobs/")).map(|(_, id)| id.to_owned());
        let id = id.unwrap_or_else(|| panic!("a job's page: {job}"));
        let report = self.eventually("the end of the job", |farm| {
            let job = farm.asked(&format!("/v1/jobs/{id}"))?;
            assert_ne!(job["state"], "failed", "{job}");
            (job["state"] == "done").then(|| job.to_string())
        });
        let master = self.stored(&format!("media-output/{id}/master.m3u8"));
        assert!(master.starts_with("#EXTM3U") && master.contains("1280x720"), "{master}");
        report
    }

    /// Waits until the hub knows a node that is well.
    pub(crate) fn wait_for_node(&self, node: &str) {
        self.eventually(&format!("{node} at the hub"), |farm| {
            let known = farm.asked(&format!("/v1/nodes/{node}"));
            known.is_some_and(|known| known["state"] == "up").then_some(())
        });
    }

    /// What the store has under a key.
    fn stored(&self, key: &str) -> String {
        let path = self.buckets.join(key);
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// What the hub's API answers, if it knows.
    pub(crate) fn asked(&self, path: &str) -> Option<Value> {
        let ran = self.hub.run(&["curl", "-sf", &format!("http://127.0.0.1:7700{path}")]);
        ran.status.success().then(|| serde_json::from_slice(&ran.stdout).expect("JSON"))
    }

    /// An operator's command, to its good end.
    pub(crate) fn send(&self, words: &[&str]) -> String {
        self.hub.ok(&[&["env", "HOME=/root", "reelmill", "send"], words].concat())
    }

    /// A command that is only given; its id.
    pub(crate) fn give(&self, words: &[&str]) -> String {
        self.send(&[words, &["--no-wait"]].concat())
    }

    /// Waits for what takes as long as a transcode.
    pub(crate) fn eventually<T>(&self, what: &str, mut ask: impl FnMut(&Self) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = ask(self) {
                return answer;
            }
            assert!(Instant::now() < until, "waited in vain for {what}:\n{}", self.journals());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn journals(&self) -> String {
        let words = [
            "journalctl",
            "--no-pager",
            "--priority=info",
            "--lines=80",
            "--output=cat",
            "--unit=reelmill-*",
            "--unit=systemd-networkd",
        ];
        let of = |name: &str, machine: &Machine| format!("==== {name}\n{}\n", machine.ok(&words));
        let nodes = self.nodes.iter().map(|(name, machine)| of(name, machine));
        [of("hub", &self.hub)].into_iter().chain(nodes).collect()
    }
}

/// Says whose commands nodes obey that come in from now on.
pub(crate) fn appoint(hub: &Machine) {
    hub.ok(&[
        "sh",
        "-c",
        "cd /root && reelmill keys new anna.key && \
        reelmill keys trust operator=anna.key.pub release=anna.key.pub admin=anna.key.pub > /run/trust && \
        install -o reelmill-hub -g reelmill-hub -m 0600 /run/trust /var/lib/reelmill-hub/trust.json",
    ]);
    hub.write("/root/.config/reelmill/operator.toml", OPERATOR);
    hub.wait_for("reelmill-hub.service", "ActiveState", "active");
}

fn hosts(bridge: &Bridge) -> String {
    format!("127.0.0.1 localhost\n{} hub.lab\n{} store.lab\n", bridge.address(10), bridge.host())
}

/// The keys of the store, for a worker.
fn keys() -> String {
    format!("AWS_ACCESS_KEY_ID={}\nAWS_SECRET_ACCESS_KEY={}\n", s3::ACCESS_KEY, s3::SECRET_KEY)
}

const OPERATOR: &str = "broker = \"hub.lab\"\nca = \"/var/lib/reelmill-hub/fleet/ca.pem\"\n\
    cert = \"/var/lib/reelmill-hub/fleet/operator.pem\"\nkey = \"/var/lib/reelmill-hub/fleet/operator.key\"\nsign = [\"/root/anna.key\"]\n";

/// A machine of the units of a folder, with all that its hub needs.
fn hub_machine(setup: Setup, folder: &str, bridge: &Bridge, hosts: &str) -> Setup {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../nixos/modules/hub/scripts");
    let script = |name: &str| fs::read_to_string(scripts.join(name)).expect("a script of the hub's module");
    let (draw, own) = (script("draw-secrets.sh"), script("own-node.sh"));
    let media = Path::new(env!("CARGO_MANIFEST_DIR")).join("../media/bbb-5s.mp4");
    let setup = lay(setup, &format!("farm/{folder}"), &[("reelmill-hub-secrets", &draw), ("reelmill-own-node", &own)]);
    let settings = |setup: Setup, (name, to): (&str, &str)| setup.file(to, &text(&format!("farm/hub/{name}")));
    [
        ("redis.conf", "/etc/redis.conf"),
        ("prometheus.json", "/etc/prometheus/reelmill.json"),
        ("rules.json", "/etc/prometheus/rules.json"),
        ("mosquitto.conf", "/etc/mosquitto/reelmill.conf"),
        ("acl-0.conf", "/etc/mosquitto/acl-0.conf"),
        ("acl-1.conf", "/etc/mosquitto/acl-1.conf"),
    ]
    .into_iter()
    .fold(setup, settings)
    .at(bridge, folder, bridge.address(10))
    .program("reelmill")
    .program("reelmill-hub")
    .bind(&media, "/clip.mp4")
    .file("/etc/hosts", hosts)
    .file("/var/lib/secrets/access", s3::ACCESS_KEY)
    .file("/var/lib/secrets/secret", s3::SECRET_KEY)
    .file("/var/lib/secrets/page", PAGE_PASSWORD)
    // Where the module of NixOS lays them.
    .file(
        "/etc/tmpfiles.d/acl.conf",
        "d /var/lib/mosquitto 0700 mosquitto mosquitto\n\
        C /var/lib/mosquitto/acl-0.conf 0600 mosquitto mosquitto - /etc/mosquitto/acl-0.conf\n\
        C /var/lib/mosquitto/acl-1.conf 0600 mosquitto mosquitto - /etc/mosquitto/acl-1.conf\n",
    )
    .file("/etc/systemd/system/mosquitto.service", MOSQUITTO)
    .file("/etc/systemd/system/redis-reelmill.service", REDIS)
    .file("/etc/systemd/system/prometheus.service", PROMETHEUS)
    .file("/etc/systemd/system/prometheus-redis-exporter.service", REDIS_EXPORTER)
    .link("/etc/systemd/system/redis-server.service", "/dev/null")
}

fn node_machine(setup: Setup, bridge: &Bridge, hosts: &str, join: &str, worker_env: &str) -> Setup {
    lay(setup, "farm/node", &[])
        .in_network(bridge, "unnamed")
        .enabled("systemd-networkd.service")
        .file("/etc/hosts", hosts)
        .file("/var/lib/secrets/page", PAGE_PASSWORD)
        .file("/boot/reelmill/join.toml", join)
        .file("/boot/reelmill/worker.env", worker_env)
}

/// A store on the host with two buckets, which the machines reach in their network; the folder of its buckets.
fn store(at: Ipv4Addr) -> ((s3::Server, Runtime), PathBuf) {
    let runtime = Runtime::new().expect("a runtime");
    let server = runtime.block_on(s3::Server::start());
    let buckets = server.folder.parent().expect("a folder of buckets").to_owned();
    for bucket in ["media-ingest", "media-output"] {
        fs::create_dir(buckets.join(bucket)).expect("a bucket");
    }
    let to = server.endpoint.trim_start_matches("http://").to_owned();
    runtime.spawn(async move {
        let door = TcpListener::bind((at, STORE_PORT)).await.expect("the network is this test's own");
        while let Ok((mut from, _)) = door.accept().await {
            let to = to.clone();
            tokio::spawn(async move {
                if let Ok(mut to) = tokio::net::TcpStream::connect(to).await {
                    // Who hangs up is no concern of ours.
                    let _ = copy_bidirectional(&mut from, &mut to).await;
                }
            });
        }
    });
    ((server, runtime), buckets)
}
