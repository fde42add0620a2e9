//! The whole way of a new system: signed by two operators, by a real broker to the agent, by its root helper and Nix into force,
//! and for good or back.

use reelmill_api::fleet::{Command, State};
use reelmill_lab::{mosquitto::Mosquitto, nspawn::Setup, programs::eventually};
use serde_json::{Value, json};

use crate::{
    farm::{AGENT, NODE, WAY, WORKER, at_broker, by_way},
    hub::{Ear, command, send},
    node::{Node, Release, node},
};

const HELPER: &str = "STORE_SPARE_MIB=1\nBOOT_SPARE_MIB=0\nACTIVATE_SECONDS=60\nGUARD=false\n";
/// The old system mends the worker.
const OLD: &str = "rm -f /run/worker-is-broken";
/// How many seconds a release has to be found well.
const LONG: u32 = 120;
const SHORT: u32 = 10;

/// A node that is at a broker, with its first system.
struct Place {
    node: Node,
    broker: Mosquitto,
    ear: Ear,
}

impl Place {
    fn start(test: &str) -> Option<Self> {
        Self::start_with(test, HELPER, OLD)
    }

    fn start_with(test: &str, helper: &str, old: &str) -> Option<Self> {
        Self::start_at(test, old, |setup, broker| at_broker(setup, broker, helper))
    }

    fn start_at(test: &str, old: &str, at: impl FnOnce(Setup, &Mosquitto) -> Setup) -> Option<Self> {
        let setup = node(test)?;
        let broker = Mosquitto::start();
        let ear = Ear::open(&broker);
        let node = Node::start_with(at(setup, &broker).enabled(WORKER), old);
        let place = Self { node, broker, ear };
        place.told("cap");
        Some(place)
    }

    fn told(&self, topic: &str) -> Value {
        self.ear.said_on(&format!("reelmill/1/n/{NODE}/{topic}"))
    }

    /// To one that is to be found well.
    fn switch(&self, release: &Release, ctr: u64) -> State {
        self.end(&to(release, ctr, LONG), &[1, 2])
    }

    /// To one that is to be found unwell: a test waits for that.
    fn switch_in_vain(&self, release: &Release, ctr: u64) -> State {
        self.end(&to(release, ctr, SHORT), &[1, 2])
    }

    fn end(&self, command: &Command, seeds: &[u8]) -> State {
        send(&self.broker, NODE, command, seeds);
        self.ear.end(NODE, command.id)
    }

    /// Waits until a command has come to that part, or beyond.
    fn in_part(&self, command: &Command, part: &str) {
        eventually(part, || {
            let states = self.ear.states(NODE, command.id);
            let there = |state: &State| state.state.is_final() || json!(state)["phase"] == part;
            states.iter().any(there).then_some(())
        });
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

fn to(release: &Release, ctr: u64, verify: u32) -> Command {
    let (path, hash) = (&release.path, &release.hash);
    let args = json!({"store_path": path, "nar_hash": hash, "release_ctr": ctr, "verify": {"timeout_s": verify}});
    command(NODE, "switch", args)
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
    let end = place.switch_in_vain(&bad, 8);
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

/// Switches to a release that the agent itself finds the node unwell with, and sees it undone and remembered; what was said of
/// it.
fn found_unwell(place: &Place, activate: &str) -> String {
    let bad = place.node.release("bad", &[("activate", activate)]);
    let end = place.switch_in_vain(&bad, 7);
    let fault = end.error.as_ref().expect("a reason");
    assert_eq!((end.state.as_str(), fault.code.as_str()), ("rolled_back", "unwell"), "{}", fault.msg.as_str());
    assert_eq!(place.node.systems(), ["old", "old", "old"]);
    assert_eq!(place.node.bad(), ["bad"]);
    place.worker_is("active");
    let again = place.switch(&bad, 8);
    assert_eq!(again.error.as_ref().map(|fault| fault.code.as_str()), Some("bad_release"));
    fault.msg.as_str().to_owned()
}

#[test]
fn a_release_that_fails_the_workers_self_test_is_undone_and_remembered() {
    const TEST: &str = "a_release_that_fails_the_workers_self_test_is_undone_and_remembered";
    let Some(place) = Place::start_with(TEST, HELPER, &format!("{OLD}; rm -f /run/doctor-fails")) else { return };
    let why = found_unwell(&place, "touch /run/doctor-fails");
    assert!(why.starts_with("the test encode failed: ") && why.ends_with("missing: encoders"), "{why}");
}

#[test]
fn a_release_that_drops_the_network_in_silence_is_found_out_by_the_agent_undone_and_remembered() {
    const TEST: &str = "a_release_that_drops_the_network_in_silence_is_found_out_by_the_agent_undone_and_remembered";
    let mends = format!("{OLD}; systemctl kill --signal=CONT {WAY} || true");
    let at = |setup, broker: &Mosquitto| by_way(at_broker(setup, broker, HELPER), broker);
    let Some(place) = Place::start_at(TEST, &mends, at) else { return };
    let why = found_unwell(&place, &format!("systemctl kill --signal=STOP {WAY}"));
    assert!(why.contains("there is no new connection to the broker"), "{why}");
}

#[test]
fn a_switch_ends_whoever_dies_in_whichever_part() {
    let Some(mut place) = Place::start("a_switch_ends_whoever_dies_in_whichever_part") else { return };
    let (mut ctr, mut in_force, mut seen) = (0, "old".to_owned(), Vec::new());
    for part in ["preflight", "fetch", "check", "drain", "activate", "verify", "commit"] {
        for cut in [false, true] {
            ctr += 1;
            let name = format!("release-{ctr}");
            let switch = to(&place.node.release(&name, &[]), ctr, LONG);
            send(&place.broker, NODE, &switch, &[1, 2]);
            place.in_part(&switch, part);
            if cut {
                place.node.machine.kill();
                place.node = place.node.boot_again();
            } else {
                place.node.machine.ok(&["systemctl", "kill", "--signal=KILL", AGENT]);
            }
            let end = place.ear.end(NODE, switch.id);
            let how = if cut { "power cut" } else { "agent killed" };
            let code = end.error.as_ref().map(|fault| format!(" {}: {}", fault.code, fault.msg.as_str()));
            seen.push(format!("{part}, {how}: {}{}", end.state.as_str(), code.unwrap_or_default()));
            match end.state.as_str() {
                "succeeded" => in_force = name,
                "rolled_back" | "failed" => {}
                _ => panic!("{seen:?}"),
            }
            assert_eq!(place.node.systems(), [&in_force, &in_force, &in_force].map(String::clone), "{seen:?}");
            place.worker_is("active");
            assert!(cut || end.state.as_str() == "succeeded", "an agent goes on where it was: {seen:?}");
        }
    }
    println!("{}", seen.join("\n"));
}

#[test]
fn a_release_that_stops_the_agent_is_undone_by_the_dead_man() {
    const TEST: &str = "a_release_that_stops_the_agent_is_undone_by_the_dead_man";
    let soon = format!("{HELPER}DEAD_MAN_SECONDS=1\nDEAD_MAN_GRACE_SECONDS=0\n").replace("=60", "=5");
    let old = format!("{OLD}; systemctl start --no-block {AGENT}");
    let Some(place) = Place::start_with(TEST, &soon, &old) else { return };
    let stops = place.node.release("stops", &[("activate", &format!("systemctl stop {AGENT}"))]);
    let end = place.switch_in_vain(&stops, 7);
    let fault = end.error.as_ref().expect("a reason");
    assert_eq!((end.state.as_str(), fault.code.as_str()), ("rolled_back", "rolled_back"), "{}", fault.msg.as_str());
    assert!(fault.msg.as_str().contains("nobody confirmed the new system"), "{}", fault.msg.as_str());
    assert_eq!(
        (place.node.systems(), place.node.bad()),
        (["old", "old", "old"].map(str::to_owned), vec!["stops".to_owned()])
    );
    place.worker_is("active");
}
