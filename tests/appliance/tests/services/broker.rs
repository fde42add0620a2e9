//! Mosquitto with what the module renders: who may say and hear what, and who gets no further than the greeting.

use std::{
    fs,
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use reelmill_lab::{
    programs::{Running, command, eventually, free_port},
    redis::Redis,
};
use rustix::process::Signal;
use serde_json::Value;

use crate::place::{Place, ran, served, tried};

/// Mosquitto with its golden settings, and the farm's real authority.
struct Farm {
    place: Place,
    nodes: u16,
    operators: u16,
    running: Running,
}

impl Farm {
    fn start() -> Self {
        let place = Place::new();
        identity(&place);
        for acl in ["broker/acl-0.conf", "broker/acl-1.conf"] {
            place.golden(acl, &[]);
        }
        // Somebody else may take a port before the broker does; then it ends at once.
        let (nodes, operators, running) = (0..5)
            .find_map(|_| {
                let (nodes, operators) = (free_port(), free_port());
                Some((nodes, operators, come_up(&place, nodes, operators)?))
            })
            .expect("mosquitto starts on two of ten ports");
        Self { place, nodes, operators, running }
    }

    /// A certificate by the farm's authority for that name.
    fn certified(&self, name: &str) {
        let at = |file: &str| self.place.at(file);
        let (key, request, cert) = (at(&format!("{name}.key")), at("request"), at(&format!("{name}.pem")));
        let asked = ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj"];
        ran(Command::new("openssl").args(asked).arg(format!("/CN={name}")).args(["-keyout", &key, "-out", &request]));
        let (ca, ca_key) = (at("data/ca/ca.pem"), at("data/ca/ca.key"));
        ran(Command::new("openssl").args(["x509", "-req", "-in", &request, "-days", "1", "-out", &cert]).args([
            "-CA",
            &ca,
            "-CAkey",
            &ca_key,
            "-CAcreateserial",
        ]));
    }

    fn client(&self, program: &str, port: u16, cert: PathBuf, key: PathBuf, words: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(["-V", "5", "-q", "1", "-h", "127.0.0.1", "-p", &port.to_string(), "--cafile"]);
        command.arg(self.place.path("out/ca.pem")).arg("--cert").arg(cert).arg("--key").arg(key).args(words);
        command
    }

    fn node(&self, name: &str, program: &str, words: &[&str]) -> Command {
        let at = |ending: &str| self.place.path(&format!("{name}.{ending}"));
        self.client(program, self.nodes, at("pem"), at("key"), words)
    }

    /// As the hub or an operator, with the files that the hub's program made for them.
    fn own(&self, name: &str, program: &str, words: &[&str]) -> Command {
        let at = |ending: &str| self.place.path(&format!("data/fleet/{name}.{ending}"));
        self.client(program, self.operators, at("pem"), at("key"), words)
    }

    /// What a client that was here before, and went, hears first when it is back.
    fn first_of(&self, back: &mut Command) -> String {
        ran(back.args(["-C", "1", "-W", "30", "-F", "%t"])).trim().to_owned()
    }
}

fn identity(place: &Place) {
    let names = ["--name", "hub.example.net", "--name", "10.0.0.2"];
    let out = place.at("out");
    place.hub(&[&["ca", "broker", "--out", &out][..], &names].concat());
}

fn come_up(place: &Place, nodes: u16, operators: u16) -> Option<Running> {
    let (nodes_at, operators_at) =
        (format!("listener {nodes} 127.0.0.1\n"), format!("listener {operators} 127.0.0.1\n"));
    let conf = place.golden(
        "broker/mosquitto.conf",
        &[
            ("listener 8883 \n", &nodes_at),
            ("listener 8884 \n", &operators_at),
            ("/var/lib/reelmill-broker", &place.at("out")),
            ("/var/lib/mosquitto", &place.at("")),
            // It runs as a user of its own there, and as the test's here.
            ("per_listener_settings", "user root\nper_listener_settings"),
        ],
    );
    let mut command = Command::new(served("mosquitto"));
    command.arg("-c").arg(conf).current_dir(place.path("")).stdout(Stdio::null()).stderr(Stdio::null());
    let mut running = Running::start(command);
    eventually("mosquitto", || {
        let ended = running.has_ended();
        let listens = |port: &u16| TcpStream::connect(("127.0.0.1", *port)).is_ok();
        (ended || [nodes, operators].iter().all(listens)).then_some(!ended)
    })
    .then_some(running)
}

#[test]
fn a_node_hears_and_says_only_what_is_its_own() {
    let farm = Farm::start();
    farm.certified("orin-1");
    farm.certified("orin-2");
    // A session that outlives the link, so nothing is lost between one call and the next.
    let everything = |name: &'static str| ["-i", name, "-c", "-x", "3600", "-t", "#"];
    ran(farm.node("orin-1", "mosquitto_sub", &everything("orin-1")).arg("-E"));
    ran(farm.own("hub", "mosquitto_sub", &everything("hub")).arg("-E"));

    // The broker keeps the order; so whoever hears the second first was not given the first.
    for topic in ["reelmill/1/n/orin-2/cmd/reboot/a", "reelmill/1/n/orin-1/cmd/drain/b"] {
        ran(&mut farm.own("operator", "mosquitto_pub", &["-i", "operator", "-t", topic, "-m", "x"]));
    }
    assert_eq!(
        farm.first_of(&mut farm.node("orin-1", "mosquitto_sub", &everything("orin-1"))),
        "reelmill/1/n/orin-1/cmd/drain/b"
    );

    let says = |node, topic| {
        // A broker may tell a client that it may not; whether it does is not asked here.
        tried(&mut farm.node(node, "mosquitto_pub", &["-t", topic, "-m", "x"]));
    };
    for topic in ["reelmill/1/n/orin-2/health", "reelmill/1/n/orin-1/cmd/drain/c", "elsewhere"] {
        says("orin-1", topic);
    }
    says("orin-1", "reelmill/1/n/orin-1/health");
    let mut heard = Vec::new();
    while heard.last().is_none_or(|topic| topic != "reelmill/1/n/orin-1/health") {
        heard.push(farm.first_of(&mut farm.own("hub", "mosquitto_sub", &everything("hub"))));
    }
    let own = ["reelmill/1/n/orin-2/cmd/reboot/a", "reelmill/1/n/orin-1/cmd/drain/b", "reelmill/1/n/orin-1/health"];
    assert_eq!(heard, own);
}

#[test]
fn only_the_farm_gets_further_than_the_greeting() {
    let farm = Farm::start();
    farm.certified("orin-1");
    let hello = ["-t", "reelmill/1/n/orin-1/health", "-m", "x"];
    assert!(tried(&mut farm.node("orin-1", "mosquitto_pub", &hello)).0);

    let cafile = farm.place.at("out/ca.pem");
    for port in [farm.nodes, farm.operators] {
        let mut nobody = Command::new("mosquitto_pub");
        nobody.args(["-h", "127.0.0.1", "-p", &port.to_string(), "--cafile", &cafile]).args(hello);
        assert!(!tried(&mut nobody).0, "without a certificate");
        let mut stranger = Farm::start();
        stranger.certified("orin-1");
        let at = |name: &str| stranger.place.path(name);
        let mut other = farm.client("mosquitto_pub", port, at("orin-1.pem"), at("orin-1.key"), &hello);
        assert!(!tried(&mut other).0, "by another authority");
        stranger.running.kill();
    }
}

#[test]
fn the_hub_comes_up_with_the_rendered_settings_and_is_at_the_broker() {
    let farm = Farm::start();
    let place = &farm.place;
    let redis = Redis::start_with(&["--requirepass", "horse"]);
    place.write("queue-url", &format!("redis://:horse@127.0.0.1:{}", redis.port));
    // Another hub's store is the S3 store here.
    let mut other = command("reelmill-hub");
    other.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(place.path("other")).stderr(Stdio::null());
    let _other = Running::start(other);
    let said = |data: &str, what: &str| {
        eventually(data, || {
            let said = fs::read_to_string(place.path(data).join("hub.json")).ok()?;
            Some(serde_json::from_str::<Value>(&said).ok()?[what].as_str()?.to_owned())
        })
    };
    let settings = place.golden(
        "queue/hub.toml",
        &[
            ("/var/lib/reelmill-hub", &place.at("data")),
            ("127.0.0.1:7700", "127.0.0.1:0"),
            ("broker = \"hub.example.net\"", "broker = \"127.0.0.1\""),
            ("0.0.0.0:7443", "127.0.0.1:0"),
            ("port = 8884", &format!("port = {}", farm.operators)),
            ("http://127.0.0.1:3900", &said("other", "store")),
            ("/run/credentials/reelmill-hub.service/queue-url", &place.at("queue-url")),
            ("/run/credentials/reelmill-hub.service/access-key", &place.at("other/keys/access_key")),
            ("/run/credentials/reelmill-hub.service/secret-key", &place.at("other/keys/secret_key")),
        ],
    );
    let mut hub = command("reelmill-hub");
    hub.args(["serve", "--config"]).arg(settings).stderr(Stdio::null());
    let _hub = Running::start(hub);
    let api = said("data", "api");
    eventually("the hub is at the broker", || {
        let nodes = ran(Command::new("curl").args(["-sSf", &format!("{api}/v1/nodes")]));
        let nodes: Value = serde_json::from_str(&nodes).expect("JSON");
        (nodes["broker"]["connected"] == true).then_some(())
    });
}

#[test]
fn a_new_certificate_is_taken_without_a_restart_and_links_stay() {
    let farm = Farm::start();
    farm.certified("orin-1");
    let shown = || {
        let at = format!("127.0.0.1:{}", farm.nodes);
        let (_, out, _) = tried(Command::new("openssl").args(["s_client", "-connect", &at]).stdin(Stdio::null()));
        out.split("-----END CERTIFICATE").next().unwrap_or_default().to_owned()
    };
    let before = shown();
    assert!(before.contains("BEGIN CERTIFICATE"), "{before}");
    identity(&farm.place);
    farm.running.signal(Signal::HUP);
    eventually("the new certificate", || (shown() != before).then_some(()));
    let hello = ["-t", "reelmill/1/n/orin-1/health", "-m", "x"];
    ran(&mut farm.node("orin-1", "mosquitto_pub", &hello));
}

#[test]
fn the_brokers_files_are_for_its_group_and_the_hubs_for_nobody_else() {
    let place = Place::new();
    identity(&place);
    let mode = |name: &str| fs::metadata(place.path(name)).expect("it is there").permissions().mode() & 0o777;
    for name in ["out/ca.pem", "out/crl.pem", "out/broker.pem", "out/broker.key"] {
        assert_eq!(mode(name), 0o640, "{name}");
    }
    for name in ["data/fleet/hub.key", "data/fleet/operator.key", "data/fleet/hub.pem", "data/ca/ca.key"] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
    assert_eq!([mode("data/fleet"), mode("out")], [0o700, 0o750]);
    let shown = ran(Command::new("openssl")
        .args(["x509", "-noout", "-ext", "subjectAltName", "-in"])
        .arg(place.path("out/broker.pem")));
    for name in ["DNS:hub.example.net", "IP Address:10.0.0.2", "DNS:localhost", "IP Address:127.0.0.1"] {
        assert!(shown.contains(name), "{shown}");
    }
}
