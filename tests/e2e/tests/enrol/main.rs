//! A node comes into a farm: the hub's own program and the agent's own, over HTTPS, and brokers that take what came of it.

mod farm;

use std::{fs, net::TcpStream, os::unix::fs::PermissionsExt as _, process::Command};

use farm::{Farm, Node};
use reelmill_lab::programs::{Running, eventually, free_port};

/// A node that was let in by a token, at the farm's broker.
fn enrolled(farm: &Farm) -> Node {
    let mut node = Node::new("edge-1");
    node.join(&farm.operator("token join --tag rack"));
    node.start();
    node.eventually("a line to the broker", |status| status["farm"]["broker"]["connected"] == true);
    node
}

#[test]
fn a_node_with_a_good_token_comes_in_and_its_token_is_gone() {
    let farm = Farm::new();
    let mut node = enrolled(&farm);
    let status = node.status().expect("a page");
    assert_eq!(status["farm"]["enrolment"]["state"], "enrolled");
    assert!(status["tags"].to_string().contains("\"rack\""), "{}", status["tags"]);
    let join = fs::read_to_string(node.path("join.toml")).expect("the stick's file");
    assert!(!join.contains("rmj_") && join.contains("token = \"\""), "{join}");
    let state = fs::read_to_string(node.path("state/enrolled.toml")).expect("it is in");
    assert!(state.starts_with("node = \"edge-1\"\nhub = \"https://127.0.0.1:") && !state.contains("rmj_"), "{state}");
    for file in ["key.pem", "cert.pem", "ca.pem", "enrolled.toml"] {
        let mode = fs::metadata(node.path("state").join(file)).expect(file).permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{file}");
    }
    let listed = farm.operator("node list");
    assert!(listed.starts_with("edge-1 certificate good until ") && listed.ends_with(" tags=rack\n"), "{listed}");
    assert!(farm.operator("token list").contains(" used tags=rack\n"));
    // Without the stick, after a restart.
    fs::remove_file(node.path("join.toml")).expect("ours");
    node.stop();
    node.start();
    node.eventually("a line to the broker", |status| status["farm"]["broker"]["connected"] == true);
}

#[test]
fn a_node_is_let_in_by_its_code_and_tells_what_is_wrong_with_its_token() {
    let farm = Farm::new();
    let mut node = Node::new("edge-2");
    let join = farm.operator("token join");
    let token = join.lines().find(|line| line.starts_with("token")).expect("a token");
    node.join(&join.replace(token, "token = \"rmj_00000000000000000000000000000000\""));
    node.start();
    let why = "the hub does not know the token; an operator can approve this node's code at the hub";
    let status = node.eventually("its code", |status| status["farm"]["enrolment"]["why"] == why);
    assert_eq!(status["state"], "not_enrolled");
    let code = status["farm"]["enrolment"]["pairing_code"].as_str().expect("a code").to_owned();
    let listed = farm.operator("node list");
    assert!(listed.starts_with(&format!("{code} asks node=edge-2 address=127.0.0.1")), "{listed}");
    farm.operator(&format!("node approve {code} --node edge-3"));
    let status = node.eventually("a line", |status| status["farm"]["broker"]["connected"] == true);
    assert_eq!(status["node"]["id"], "edge-3", "the hub's word counts, without a restart");
}

#[test]
fn a_hub_that_is_away_is_waited_for_and_a_stranger_is_not_believed() {
    let mut farm = Farm::new();
    let mut node = Node::new("edge-4");
    let join = farm.operator("token join");
    farm.kill();
    node.join(&join);
    node.start();
    let why = |status: &serde_json::Value| status["farm"]["enrolment"]["why"].as_str().unwrap_or_default().to_owned();
    node.eventually("why not", |status| why(status).starts_with("cannot reach the hub at https://127.0.0.1:"));
    let other = Farm::at(farm.door);
    node.eventually("why not", |status| why(status).contains("is not this farm's hub"));
    drop(other);
    farm.start();
    node.eventually("a line to the broker", |status| status["farm"]["broker"]["connected"] == true);
}

#[test]
fn a_certificate_is_renewed_in_time_and_a_revoked_one_is_not() {
    let farm = Farm::new();
    let mut node = enrolled(&farm);
    let cert = |node: &Node| fs::read(node.path("state/cert.pem")).expect("a certificate");
    let key = |node: &Node| fs::read(node.path("state/key.pem")).expect("a key");
    let first = (cert(&node), key(&node));
    let make_due = |node: &mut Node| {
        node.stop();
        let path = node.path("state/enrolled.toml");
        let text = fs::read_to_string(&path).expect("it is in");
        let due = |line: &str| {
            if line.starts_with("renew_at") { "renew_at = \"2020-01-01T00:00:00Z\"" } else { line }.to_owned()
        };
        fs::write(&path, text.lines().map(due).collect::<Vec<_>>().join("\n")).expect("ours");
        node.start();
    };
    make_due(&mut node);
    eventually("another certificate", || (cert(&node) != first.0).then_some(()));
    eventually("the end of the old one", || (!node.path("state/cert.pem.last").exists()).then_some(()));
    assert_ne!(key(&node), first.1, "the key is another one too");
    node.eventually("a line to the broker", |status| status["farm"]["broker"]["connected"] == true);
    farm.operator("node revoke edge-1");
    let second = cert(&node);
    make_due(&mut node);
    node.eventually("the end of its line", |status| {
        status["farm"]["broker"]["connected"] == false && status["farm"]["broker"]["why"].is_string()
    });
    node.logged("this node was put out of the farm");
    assert_eq!(cert(&node), second);
}

#[test]
fn mosquitto_takes_the_certificate_until_it_is_revoked() {
    let farm = Farm::new();
    let mut node = enrolled(&farm);
    node.stop();
    let takes = || {
        let port = free_port();
        let data = farm.data();
        let config = format!(
            "listener {port} 127.0.0.1\nuser root\ncafile {0}/ca/ca.pem\ncrlfile {0}/ca/crl.pem\n\
             certfile {0}/fleet/broker.pem\nkeyfile {0}/fleet/broker.key\nrequire_certificate true\n\
             use_identity_as_username true\n",
            data.display()
        );
        let path = node.path("mosquitto.conf");
        fs::write(&path, config).expect("ours");
        let mut broker = Command::new("/usr/sbin/mosquitto");
        broker.arg("-c").arg(&path);
        let _broker = Running::start(broker);
        eventually("mosquitto", || TcpStream::connect(("127.0.0.1", port)).ok());
        let mut client = Command::new("mosquitto_pub");
        client.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-q", "1", "-t", "x", "-m", "y", "--cafile"]);
        client.arg(node.path("state/ca.pem")).arg("--cert").arg(node.path("state/cert.pem"));
        client.arg("--key").arg(node.path("state/key.pem"));
        client.output().expect("mosquitto_pub runs").status.success()
    };
    assert!(takes());
    farm.operator("node revoke edge-1");
    assert!(!takes());
}
