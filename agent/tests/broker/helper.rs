//! What the agent asks of the root helper, in which order and in which words. Who answers here knows the words only; the true
//! helper is tried where there is a machine to change.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    sync::{Arc, Mutex},
    thread,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reelmill_api::fleet::{Command, Role, Trust, command::DrainFirst, state::Phase, trust::TrustedKey};
use reelmill_lab::{mosquitto::Mosquitto, programs::eventually};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    hub::{Ear, command, key, send, signed, topic},
    program::{Agent, NODE},
};

/// Answers each question as it is told to, and notes it.
struct Helper {
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Helper {
    fn listen(folder: &TempDir, answer: impl Fn(&Value) -> Option<Value> + Send + 'static) -> Self {
        let listener = UnixListener::bind(folder.path().join("helper")).expect("a folder of ours");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let notes = asked.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                attend(stream, &notes, &answer);
            }
        });
        Self { asked }
    }

    /// The parts that were asked for, in their order.
    fn parts(&self) -> Vec<String> {
        let asked = self.asked.lock().expect("ours");
        asked.iter().map(|question| question["phase"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

fn attend(mut stream: UnixStream, asked: &Mutex<Vec<Value>>, answer: &impl Fn(&Value) -> Option<Value>) {
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line).expect("a line");
    let question: Value = serde_json::from_str(&line).expect("JSON");
    let answer = answer(&question);
    asked.lock().expect("ours").push(question);
    // Without an answer it has died.
    if let Some(answer) = answer {
        let _ = writeln!(stream, "{}\n{answer}", json!({"told": 50}));
    }
}

fn done() -> Option<Value> {
    Some(json!({"done": {}}))
}

fn node(folder: &TempDir, broker: &Mosquitto) -> (Ear, Agent) {
    std::fs::write(folder.path().join("trust.json"), crate::hub::trust().to_payload()).expect("a folder of ours");
    let ear = Ear::open(broker);
    let agent = Agent::start(broker, folder);
    ear.said_on(&format!("reelmill/1/n/{NODE}/cap"));
    (ear, agent)
}

fn switch() -> Command {
    let mut switch = command(
        NODE,
        "switch",
        json!({
            "store_path": "/nix/store/5rnfzla9kcx4mj5zdc7nlnv8na1najvg-nixos-system-orin-26.05",
            "nar_hash": "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            "release_ctr": 7,
            "verify": {"timeout_s": 15},
        }),
    );
    // There is no service manager here that has a worker to stop.
    switch.policy.drain = DrainFirst::Skip;
    switch
}

#[test]
fn a_switch_is_asked_for_part_by_part_and_undone_where_there_is_no_worker() {
    let (broker, folder) = (Mosquitto::start(), TempDir::new().expect("a temporary folder"));
    let helper = Helper::listen(&folder, |_| done());
    let (ear, _agent) = node(&folder, &broker);
    let first = ear.health_of(NODE, 0);
    let switch = switch();
    send(&broker, NODE, &switch, &[1, 2]);
    let end = ear.end(NODE, switch.id);
    let fault = end.error.expect("a reason");
    assert_eq!((end.state.as_str(), fault.code.as_str()), ("rolled_back", "unwell"));
    assert!(fault.msg.as_str().starts_with("the worker is not well: "), "only that: {}", fault.msg.as_str());
    assert_eq!(helper.parts(), ["preflight", "fetch", "check", "activate", "undo"]);
    for question in helper.asked.lock().expect("ours").iter() {
        assert_eq!(question["ask"], "part");
        assert_eq!(question["topic"], topic(NODE, &switch));
        let message = BASE64_STANDARD.decode(question["message"].as_str().expect("text")).expect("base 64");
        assert_eq!(message, signed(&switch, &[1, 2]), "as it came");
    }
    let told = ear.said_on(&format!("reelmill/1/n/{NODE}/ev/rollback"));
    assert_eq!((&told["command"], &told["detail"]["code"]), (&json!(switch.id), &json!("unwell")));
    let again = ear.health_of(NODE, 1);
    assert_ne!(first["conn"], again["conn"], "the broker was reached by a connection from after the change");
    let downs = ear.on(&format!("reelmill/1/n/{NODE}/health")).iter().filter(|h| h.contains("\"down\"")).count();
    assert_eq!(downs, 0, "and nobody missed the node meanwhile");
}

#[test]
fn a_part_is_asked_for_again_when_the_helper_dies_in_it() {
    let (broker, folder) = (Mosquitto::start(), TempDir::new().expect("a temporary folder"));
    let died = Mutex::new(false);
    let helper = Helper::listen(&folder, move |_| {
        if std::mem::replace(&mut *died.lock().expect("ours"), true) {
            return Some(json!({"done": {"mode": "MAXN"}}));
        }
        None
    });
    let (ear, _agent) = node(&folder, &broker);
    let mode = command(NODE, "power-mode", json!({"mode": "MAXN"}));
    send(&broker, NODE, &mode, &[1]);
    let end = ear.end(NODE, mode.id);
    assert_eq!((end.state.as_str(), &end.result["mode"]), ("succeeded", &json!("MAXN")));
    assert_eq!(helper.parts(), ["act", "act"]);
}

#[test]
fn what_the_helper_refuses_fails_with_its_words_and_is_given_back() {
    let (broker, folder) = (Mosquitto::start(), TempDir::new().expect("a temporary folder"));
    let helper = Helper::listen(&folder, |question| {
        let full = json!({"undone": {"code": "disk_full", "message": "need 3.1 GiB, have 1.2", "retry": true}});
        if question["phase"] == json!(Phase::Preflight) { Some(full) } else { done() }
    });
    let (ear, _agent) = node(&folder, &broker);
    let switch = switch();
    send(&broker, NODE, &switch, &[1, 2]);
    let end = ear.end(NODE, switch.id);
    let fault = end.error.expect("a reason");
    assert_eq!((end.state.as_str(), fault.code.as_str(), fault.retry), ("failed", "disk_full", true));
    assert_eq!(fault.msg.as_str(), "need 3.1 GiB, have 1.2");
    eventually("an end at the helper too", || (helper.parts() == ["preflight", "undo"]).then_some(()));
}

#[test]
fn new_keys_are_on_the_agents_disk_once_the_helper_has_them() {
    let (broker, folder) = (Mosquitto::start(), TempDir::new().expect("a temporary folder"));
    let helper = Helper::listen(&folder, |_| done());
    let (ear, agent) = node(&folder, &broker);
    let keys = [(2, Role::Operator), (3, Role::Admin)].map(|(seed, role)| TrustedKey {
        key: key(seed).public(),
        name: format!("key {seed}").parse().expect("a name"),
        roles: [role].into(),
    });
    let next = Trust::new(2, 1, keys.into()).expect("well formed");
    let trust = command(NODE, "trust", json!({"document": next.signed(&key(3))}));
    send(&broker, NODE, &trust, &[1, 3]);
    assert_eq!(ear.end(NODE, trust.id).state.as_str(), "succeeded");
    assert_eq!(helper.parts(), ["act"]);
    let kept = std::fs::read(folder.path().join("trust.json")).expect("it is there");
    assert_eq!(Trust::parse(&kept), Ok(next));
    drop(agent);
    // Also for an agent that starts now, the first key is nobody's.
    let _agent = Agent::start(&broker, &folder);
    let late = command(NODE, "logs-tail", json!({"unit": "reelmill-worker.service"}));
    send(&broker, NODE, &late, &[1]);
    assert_eq!(ear.end(NODE, late.id).error.expect("a reason").code, "bad_signature");
}

#[test]
fn a_node_without_a_helper_says_that_it_cannot() {
    let (broker, folder) = (Mosquitto::start(), TempDir::new().expect("a temporary folder"));
    let (ear, _agent) = node(&folder, &broker);
    let ops = ear.said_on(&format!("reelmill/1/n/{NODE}/cap"))["ops"].clone();
    assert!(ops["reboot"] == 1 && ops["switch"].is_null() && ops["trust"].is_null(), "{ops}");
    let switch = switch();
    send(&broker, NODE, &switch, &[1, 2]);
    assert_eq!(ear.end(NODE, switch.id).error.expect("a reason").code, "not_supported");
}
