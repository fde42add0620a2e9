//! The whole way of a new system: signed by two operators, by a real broker to the agent, by its root helper and Nix into force,
//! and for good or back.

use reelmill_api::fleet::{Command, State};
use reelmill_lab::{mosquitto::Mosquitto, programs::eventually};
use serde_json::{Value, json};

use crate::{
    farm::{NODE, WORKER, at_broker},
    hub::{Ear, command, send},
    node::{Node, Release, node},
};

const HELPER: &str = "STORE_SPARE_MIB=1\nBOOT_SPARE_MIB=0\nACTIVATE_SECONDS=60\nGUARD=false\n";
/// The old system mends the worker.
const OLD: &str = "rm -f /run/worker-is-broken";

/// A node that is at a broker, with its first system.
struct Place {
    node: Node,
    broker: Mosquitto,
    ear: Ear,
}

impl Place {
    fn start(test: &str) -> Option<Self> {
        let setup = node(test)?;
        let broker = Mosquitto::start();
        let ear = Ear::open(&broker);
        let node = Node::start_with(at_broker(setup, &broker, HELPER).enabled(WORKER), OLD);
        let place = Self { node, broker, ear };
        place.told("cap");
        Some(place)
    }

    fn told(&self, topic: &str) -> Value {
        self.ear.said_on(&format!("reelmill/1/n/{NODE}/{topic}"))
    }

    fn switch(&self, release: &Release, ctr: u64) -> State {
        let switch = command(
            NODE,
            "switch",
            json!({"store_path": release.path, "nar_hash": release.hash, "release_ctr": ctr, "verify": {"timeout_s": 10}}),
        );
        self.end(&switch, &[1, 2])
    }

    fn end(&self, command: &Command, seeds: &[u8]) -> State {
        send(&self.broker, NODE, command, seeds);
        self.ear.end(NODE, command.id)
    }

    /// The parts that were told of a command.
    fn parts(&self, end: &State) -> Vec<String> {
        let states = self.ear.states(NODE, end.id);
        let mut parts: Vec<_> = states.iter().filter_map(|s| Some(json!(s)["phase"].as_str()?.to_owned())).collect();
        // What is under way is told again on a new connection.
        parts.dedup();
        parts
    }

    fn worker_is(&self, state: &str) {
        eventually("the worker", || (self.node.machine.property(WORKER, "ActiveState") == state).then_some(()));
    }
}

#[test]
fn a_release_commits_and_one_that_breaks_the_worker_is_undone_and_remembered() {
    const TEST: &str = "a_release_commits_and_one_that_breaks_the_worker_is_undone_and_remembered";
    let Some(place) = Place::start(TEST) else { return };
    let good = place.node.release("good", &[("activate", OLD)]);
    let end = place.switch(&good, 7);
    assert_eq!((end.state.as_str(), &end.error), ("succeeded", &None));
    assert_eq!(place.parts(&end), ["preflight", "fetch", "check", "drain", "activate", "verify", "commit"]);
    assert_eq!(place.node.systems(), ["good", "good", "good"]);
    place.worker_is("active");

    let breaks = "touch /run/worker-is-broken; systemctl restart reelmill-worker.service || true";
    let bad = place.node.release("bad", &[("activate", breaks)]);
    let end = place.switch(&bad, 8);
    let fault = end.error.as_ref().expect("a reason");
    assert_eq!((end.state.as_str(), fault.code.as_str()), ("rolled_back", "unwell"));
    assert!(fault.msg.as_str().starts_with("the worker is not well: "), "{}", fault.msg.as_str());
    assert_eq!(place.parts(&end), ["preflight", "fetch", "check", "drain", "activate", "verify", "undo"]);
    assert_eq!(place.node.systems(), ["good", "good", "good"]);
    place.worker_is("active");
    let told = place.told("ev/rollback");
    assert_eq!((&told["command"], &told["detail"]["code"]), (&json!(end.id), &json!("unwell")));
    assert_eq!(place.node.bad(), ["bad"]);
    let known = || (place.told("rep/os")["bad"][0]["system"] == bad.path).then_some(());
    eventually("a report of what was bad", known);

    let again = place.switch(&bad, 9);
    let fault = again.error.as_ref().expect("a reason");
    assert_eq!((again.state.as_str(), fault.code.as_str()), ("failed", "bad_release"), "{}", fault.msg.as_str());
    let back = place.end(&command(NODE, "rollback", json!({"to": "previous"})), &[1]);
    assert_eq!((back.state.as_str(), &back.error), ("succeeded", &None));
    assert_eq!(place.node.systems(), ["old", "old", "old"]);
}
