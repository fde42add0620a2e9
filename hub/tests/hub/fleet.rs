//! The hub and the fleet: at a real Mosquitto, and at the broker that it brings, with Mosquitto's own clients.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::FutureExt as _;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use jiff::Timestamp;
use reelmill_hub::{
    Config,
    ca::{Ca, Csr, Revoked},
    config::FleetSection,
    folder::{FleetAddresses, NodeAddresses},
};
use reelmill_lab::{mosquitto::Mosquitto, programs::output};
use serde_json::{Value, json};

use crate::support::{PATIENCE, TestHub};

const NODE: &str = "reelmill/1/n/orin-3";
const COMMAND: &str = "reelmill/1/n/orin-3/cmd/reboot/01M81B5H80NENTQAXBNENTQAXB";

/// A hub at somebody else's broker.
pub(crate) async fn at(broker: &Mosquitto) -> TestHub {
    let file = |name: &str| Some(broker.folder().join(name));
    let fleet = FleetSection {
        broker: Some("127.0.0.1".to_owned()),
        port: broker.hub.try_into().ok(),
        ca: Some(broker.ca()),
        cert: file("hub.pem"),
        key: file("hub.key"),
        ..FleetSection::default()
    };
    TestHub::start_with(tempfile::tempdir().expect("a folder"), Config { fleet, ..Config::default() }).await
}

impl TestHub {
    /// Waits until what the hub tells of a node is as wished.
    pub(crate) async fn node(&self, wished: impl Fn(&Value) -> bool) -> Value {
        self.list(|list| list["nodes"].as_array().and_then(|nodes| nodes.iter().find(|n| wished(n))).cloned()).await
    }

    async fn list<T>(&self, look: impl Fn(&Value) -> Option<T>) -> T {
        let mut last = Value::Null;
        let wait = async {
            loop {
                last = self.get("/v1/nodes").await.json();
                if let Some(found) = look(&last) {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, wait).await;
        found.unwrap_or_else(|_| panic!("it becomes as wished: {last}"))
    }
}

/// The stream of changes.
struct Events(hyper::body::Incoming);

impl Events {
    async fn open(hub: &TestHub) -> Self {
        let request = Request::get(format!("{}/v1/events/nodes", hub.addresses.api));
        Self(hub.open(request.body(Full::default()).expect("a request")).await.into_body())
    }

    /// All that is told, to the end of what is waited for.
    async fn until(&mut self, what: &str) -> String {
        let mut told = String::new();
        let wait = async {
            while !told.contains(what) {
                let frame = self.0.frame().await.expect("more").expect("a frame");
                told.push_str(&String::from_utf8_lossy(frame.data_ref().expect("data")));
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{what}"));
        told
    }
}

fn health(state: &str, conn: &str) -> String {
    json!({"v": 1, "state": state, "conn": conn, "t": "2026-11-22T10:00:00Z"}).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn tells_of_the_nodes_that_speak_at_the_broker() {
    let mut broker = Mosquitto::start();
    broker.publish(&format!("{NODE}/health"), health("up", "a"), &["-r"]);
    let hub = at(&broker).await;
    let node = hub.node(|node| node["state"] == "up").await;
    assert_eq!(node, json!({"node": "orin-3", "state": "up", "last_seen": "2026-11-22T10:00:00Z"}));
    let mut events = Events::open(&hub).await;

    let beat = r#"{"v":1,"t":"2026-11-22T10:00:01Z","up_s":60,"temp_c":61.5,"tasks":1,"later":true}"#;
    broker.publish(&format!("{NODE}/m"), beat, &[]);
    broker.publish(&format!("{NODE}/rep/hw"), r#"{"ver":1,"board":{"model":"<b>Orin"}}"#, &["-r"]);
    let node = hub.node(|node| node["board"].is_string() && node["heartbeat"].is_object()).await;
    assert_eq!((&node["board"], &node["heartbeat"]["temp_c"]), (&json!("<b>Orin"), &json!(61.5)));
    let told = events.until("Orin").await;
    assert!(told.starts_with("event: node\n") && told.contains(r#"data: {"node":"orin-3""#), "{told}");
    let whole = hub.get("/v1/nodes/orin-3").await.json();
    assert_eq!(whole["reported"]["hw"]["ver"], 1);

    // The end of an old connection says nothing of the new one.
    broker.publish(&format!("{NODE}/health"), health("degraded", "b"), &["-r"]);
    broker.publish(&format!("{NODE}/health"), health("down", "a"), &["-r"]);
    broker.publish(&format!("{NODE}/cap"), "not JSON", &[]);
    broker.publish(&format!("{NODE}/m"), beat.replace("61.5", "62.5"), &[]);
    let node = hub.node(|node| node["heartbeat"]["temp_c"] == 62.5).await;
    assert_eq!(node["state"], "degraded");
    let metrics = hub.get("/metrics").await;
    assert!(metrics.text().contains("reelmill_nodes{state=\"degraded\"} 1\n"), "{}", metrics.text());

    broker.kill();
    let why = hub.list(|list| list["broker"]["why"].as_str().map(str::to_owned)).await;
    assert!(!why.is_empty());
    broker.start_again();
    hub.list(|list| (list["broker"]["connected"] == true).then_some(())).await;
    // Mosquitto was killed before it saved anything: nobody has said anything of the node.
    hub.node(|node| node["state"] == "unknown").await;
    broker.publish(&format!("{NODE}/health"), health("down", "z"), &["-r"]);
    hub.node(|node| node["state"] == "down").await;

    let folder = hub.stop().await;
    let hub = TestHub::start_in(folder).await;
    let list = hub.get("/v1/nodes").await.json();
    assert_eq!((list["nodes"][0]["board"].clone(), list["broker"].clone()), (json!("<b>Orin"), Value::Null));
    assert_eq!(hub.get("/v1/nodes/orin-4").await.status, 404);
    assert_eq!(hub.get("/nodes").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn tells_prometheus_where_the_nodes_metrics_are() {
    let broker = Mosquitto::start();
    let say = |node: &str, topic: &str, what: Value| {
        broker.publish(&format!("reelmill/1/n/{node}/{topic}"), what.to_string(), &["-r"]);
    };
    say("orin-1", "rep/worker", json!({"ver": 1, "worker": {"state": "ready"}}));
    say("orin-1", "rep/net", json!({"ver": 1, "metrics": {"at": "10.0.0.1:9310"}}));
    say("orin-2", "rep/worker", json!({"ver": 1, "worker": null}));
    say("orin-2", "rep/net", json!({"ver": 1, "metrics": {"at": "[fd00::2]:9310"}}));
    say("orin-3", "rep/net", json!({"ver": 1, "metrics": {"nowhere": "its page listens on loopback only"}}));
    say("orin-4", "rep/net", json!({"ver": 1, "metrics": {"at": "127.0.0.1:9090"}}));
    say("orin-5", "rep/net", json!({"ver": 1}));
    say("orin-5", "health", json!({"v": 1, "state": "up", "conn": "a", "t": "2026-11-22T10:00:00Z"}));
    let hub = at(&broker).await;
    hub.list(|list| (list["nodes"].as_array()?.len() == 5 && list["nodes"][4]["state"] == "up").then_some(())).await;

    let targets = hub.get("/v1/targets").await;
    assert_eq!(targets.header("content-type"), "application/json");
    let group = |at: &str, node: &str, job: &str, path: &str| json!({"targets": [at], "labels": {"__metrics_path__": path, "job": job, "node": node}});
    let want = [
        group("10.0.0.1:9310", "orin-1", "reelmill-node", "/metrics"),
        group("10.0.0.1:9310", "orin-1", "reelmill-worker", "/metrics/worker"),
        group("[fd00::2]:9310", "orin-2", "reelmill-node", "/metrics"),
    ];
    assert_eq!(targets.json(), json!(want));
    let why = |at: usize| hub.get("/v1/nodes").map(move |list| list.json()["nodes"][at]["metrics"].clone());
    assert_eq!(why(2).await, json!({"nowhere": "its page listens on loopback only"}));
    let refused = "it names 127.0.0.1:9090, which is no address of one other machine";
    assert_eq!(why(3).await, json!({"nowhere": refused}));
    assert_eq!(why(4).await, Value::Null);

    let metrics = hub.get("/metrics").await;
    let shown: Vec<&str> = metrics.text().lines().filter(|line| line.starts_with("reelmill_hub_node_")).collect();
    assert!(shown.contains(&"reelmill_hub_node_up{node=\"orin-5\"} 1.0"), "{shown:?}");
    assert!(shown.contains(&"reelmill_hub_node_up{node=\"orin-1\"} 0.0"), "{shown:?}");
    // 2026-11-22T10:00:00Z; of the others only the broker's memory tells.
    let seen: Vec<&&str> = shown.iter().filter(|line| line.contains("last_seen")).collect();
    assert_eq!(seen, [&"reelmill_hub_node_last_seen_timestamp_seconds{node=\"orin-5\"} 1795341600.0"]);
    let own = metrics.text().lines().filter(|line| line.starts_with("reelmill_hub_certificate_expiry")).count();
    assert_eq!(own, 2, "{}", metrics.text());
}

/// A hub that brings a broker, for a node of that name.
async fn with_broker(folder: tempfile::TempDir, node: &str) -> TestHub {
    let listen = "127.0.0.1:0".parse().ok();
    let fleet = FleetSection { listen, node: node.parse().ok(), ..FleetSection::default() };
    TestHub::start_with(folder, Config { fleet, ..Config::default() }).await
}

/// One of Mosquitto's clients at the hub's broker.
fn client(program: &str, at: &FleetAddresses, cert: &Path, key: &Path) -> Command {
    let (host, port) = at.broker.rsplit_once(':').expect("a host and a port");
    let mut command = Command::new(program);
    command.args(["-V", "5", "-h", host, "-p", port, "--cafile"]).arg(&at.ca);
    command.arg("--cert").arg(cert).arg("--key").arg(key);
    command
}

struct Desk {
    at: FleetAddresses,
    node: NodeAddresses,
}

impl Desk {
    fn of(hub: &TestHub) -> Self {
        let at = hub.addresses.fleet.clone().expect("a broker of its own");
        let node = at.node.clone().expect("a node");
        Self { at, node }
    }

    fn operator(&self, program: &str) -> Command {
        client(program, &self.at, &self.at.cert, &self.at.key)
    }

    fn node(&self, program: &str) -> Command {
        client(program, &self.at, &self.node.cert, &self.node.key)
    }
}

/// Runs a client to its end; its exit code and all that it says.
fn run(mut command: Command, words: &[&str]) -> (Option<i32>, String) {
    command.args(words);
    let ran = output(command, b"");
    let said = [ran.stdout, ran.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (ran.status.code(), said)
}

/// A subscriber that listens until it is dropped.
struct Ear {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
}

impl Ear {
    /// Listens; it has subscribed when this returns.
    fn open(command: Command, words: &[&str]) -> Self {
        // Into a pipe, the client would tell of its subscription only after many messages.
        let mut line = Command::new("stdbuf");
        line.arg("-oL").arg(command.get_program()).args(command.get_args());
        line.args(["-q", "1", "-d", "-F", "=%t %p"]).args(words);
        let mut child = line.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
        assert!(lines.by_ref().any(|line| line.starts_with("Subscribed")), "it subscribed");
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = said.clone();
        std::thread::spawn(move || {
            for line in lines.filter_map(|line| line.strip_prefix('=').map(str::to_owned)) {
                heard.lock().expect("ours").push(line);
            }
        });
        Self { child, said }
    }

    /// Waits until something was heard.
    fn hears(&self, what: &str) {
        reelmill_lab::programs::eventually(&format!("{what} in {:?}", self.said), || {
            self.said.lock().expect("ours").iter().any(|line| line == what).then_some(())
        });
    }

    fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.end();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_own_broker_remembers_over_a_restart_and_tells_of_a_death() {
    let hub = with_broker(tempfile::tempdir().expect("a folder"), "orin-3").await;
    let desk = Desk::of(&hub);
    let (code, said) = run(desk.operator("mosquitto_pub"), &["-q", "1", "-r", "-t", COMMAND, "-m", "reboot"]);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    let (code, said) =
        run(desk.node("mosquitto_pub"), &["-q", "1", "-r", "-t", &format!("{NODE}/health"), "-m", &health("up", "a")]);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    hub.node(|node| node["node"] == "orin-3" && node["state"] == "up").await;

    let before = desk.at.broker.clone();
    let hub = with_broker(hub.stop().await, "orin-3").await;
    let desk = Desk::of(&hub);
    assert_eq!(desk.at.broker, before, "nodes find it again");
    let once = ["-C", "1", "-W", "20", "-F", "%r %p", "-t", "reelmill/1/n/orin-3/cmd/#"];
    assert_eq!(run(desk.node("mosquitto_sub"), &once), (Some(0), "1 reboot\n".to_owned()));
    hub.node(|node| node["state"] == "up").await;

    let will_topic = format!("{NODE}/health");
    let will = health("down", "a");
    let words = [
        "-t",
        "reelmill/1/n/orin-3/cmd/#",
        "--will-topic",
        &will_topic,
        "--will-payload",
        &will,
        "--will-qos",
        "1",
        "--will-retain",
    ];
    let node = Ear::open(desk.node("mosquitto_sub"), &words);
    node.hears(&format!("{COMMAND} reboot"));
    node.kill();
    hub.node(|node| node["state"] == "down").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn its_own_broker_keeps_a_node_to_its_own_topics() {
    let hub = with_broker(tempfile::tempdir().expect("a folder"), "orin-4").await;
    let desk = Desk::of(&hub);
    let ear = Ear::open(desk.operator("mosquitto_sub"), &["-t", "reelmill/1/#"]);
    for topic in [&format!("{NODE}/health"), COMMAND, "other"] {
        let (_, said) = run(desk.node("mosquitto_pub"), &["-d", "-q", "1", "-t", topic, "-m", "stolen"]);
        assert!(said.contains("(Mid: 1, RC:135)") || said.contains("(Mid: 1, RC:144)"), "{topic}: {said}");
        // What is not confirmed is just not taken.
        run(desk.node("mosquitto_pub"), &["-q", "0", "-t", topic, "-m", "stolen"]);
    }
    let (_, said) = run(desk.node("mosquitto_sub"), &["-d", "-C", "1", "-W", "6", "-t", "reelmill/1/n/orin-3/cmd/#"]);
    assert!(said.contains("Subscribed (mid: 1): 135"), "{said}");
    let will = [
        "-t",
        "reelmill/1/n/orin-4/cmd/#",
        "-C",
        "1",
        "-W",
        "20",
        "--will-topic",
        "reelmill/1/n/orin-3/health",
        "--will-payload",
        "x",
    ];
    let (_, said) = run(desk.node("mosquitto_sub"), &will);
    assert!(said.contains("Not authorized"), "{said}");
    let own = run(desk.node("mosquitto_pub"), &["-q", "1", "-t", "reelmill/1/n/orin-4/ev/boot", "-m", "mine"]);
    assert_eq!(own, (Some(0), String::new()));
    ear.hears("reelmill/1/n/orin-4/ev/boot mine");
    let named = ["-i", "orin-4", "-q", "1", "-t", "reelmill/1/n/orin-4/ev/boot", "-m", "named"];
    assert_eq!(run(desk.node("mosquitto_pub"), &named), (Some(0), String::new()), "a client may name itself");
    ear.hears("reelmill/1/n/orin-4/ev/boot named");
    let said = ear.said.lock().expect("ours").join("\n");
    assert!(!said.contains("stolen"), "{said}");
    // Version 3.1.1 of MQTT is not spoken here.
    let (code, _) = run(desk.operator("mosquitto_pub"), &["-V", "311", "-q", "1", "-t", COMMAND, "-m", "x"]);
    assert_ne!(code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn its_own_broker_knows_only_its_own_authority() {
    let hub = with_broker(tempfile::tempdir().expect("a folder"), "orin-3").await;
    let desk = Desk::of(&hub);
    // A whole farm of somebody else's.
    let other = with_broker(tempfile::tempdir().expect("a folder"), "orin-3").await;
    let theirs = Desk::of(&other);
    let words = ["-q", "1", "-t", "reelmill/1/n/orin-3/health", "-m", "x"];
    for (cert, key) in [(&theirs.at.cert, &theirs.at.key), (&theirs.node.cert, &theirs.node.key)] {
        let (code, said) = run(client("mosquitto_pub", &desk.at, cert, key), &words);
        assert!(code != Some(0), "{said}");
    }
    let at = FleetAddresses { ca: theirs.at.ca.clone(), ..desk.at.clone() };
    let (code, said) = run(client("mosquitto_pub", &at, &desk.at.cert, &desk.at.key), &words);
    assert!(code != Some(0) && said.contains("TLS error"), "{said}");
    let mut bare = Command::new("mosquitto_pub");
    let (host, port) = desk.at.broker.rsplit_once(':').expect("a host and a port");
    bare.args(["-V", "5", "-h", host, "-p", port, "--cafile"]).arg(&desk.at.ca);
    assert_ne!(run(bare, &words).0, Some(0), "nobody without a certificate");
    let mode = |path: &PathBuf| {
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).expect("a file").permissions())
    };
    assert_eq!([mode(&desk.at.key) & 0o777, mode(&desk.node.key) & 0o777], [0o600, 0o600]);
}

#[tokio::test(flavor = "multi_thread")]
async fn its_own_broker_lets_nobody_in_whom_the_authority_has_revoked() {
    let hub = with_broker(tempfile::tempdir().expect("a folder"), "orin-3").await;
    let desk = Desk::of(&hub);
    let ca = Ca::open(&hub.folder().join("ca")).expect("the farm's authority");
    let key = rcgen::KeyPair::generate().expect("a key");
    let request = rcgen::CertificateParams::default().serialize_request(&key).and_then(|csr| csr.pem());
    let request = Csr::parse(&request.expect("a request")).expect("a good one");
    let issued = ca.sign_node(&request, &"orin-9".parse().expect("a name"), Timestamp::now()).expect("a certificate");
    let file = |name: &str, text: &str| {
        let path = hub.folder().join(name);
        std::fs::write(&path, text).expect("a file of ours");
        path
    };
    let (cert, key) = (file("orin-9.pem", &issued.pem), file("orin-9.key", &key.serialize_pem()));
    let words = ["-q", "1", "-t", "reelmill/1/n/orin-9/ev/boot", "-m", "x"];
    let say = || run(client("mosquitto_pub", &desk.at, &cert, &key), &words);
    assert_eq!(say(), (Some(0), String::new()));
    ca.write_crl(&[], Timestamp::now()).expect("a list of none");
    assert_eq!(say(), (Some(0), String::new()));
    let revoked = Revoked { serial: issued.serial, at: Timestamp::now() };
    ca.write_crl(&[revoked], Timestamp::now()).expect("a list of one");
    let (code, said) = say();
    assert!(code != Some(0), "{said}");
    let other = ["-q", "1", "-t", "reelmill/1/n/orin-3/ev/boot", "-m", "x"];
    assert_eq!(run(desk.node("mosquitto_pub"), &other), (Some(0), String::new()));
}
