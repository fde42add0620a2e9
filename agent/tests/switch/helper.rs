//! A change of the system through the root helper itself: signed by two, over its socket, with all that locks it in.

#[path = "../exec/signed.rs"]
mod signed;

use reelmill_agent::exec::wire::Request;
use reelmill_api::fleet::state::Phase;
use reelmill_lab::nspawn::{Machine, Setup};
use serde_json::{Value, json};
use signed::{NAME, adopt, command, part, sign, with};

use crate::node::{Node, node};

const SETTINGS: &str = "CLOCK_IS_RIGHT=true\nSTORE_SPARE_MIB=1\nACTIVATE_SECONDS=60\n";
const AGENT: &str = "reelmill-agent";

fn node_with_helper(test: &str) -> Option<Setup> {
    let setup = node(test)?
        .program("reelmill-exec")
        .unit("reelmill-exec.service", include_str!("../../units/reelmill-exec.service"))
        .unit("reelmill-exec.socket", include_str!("../../units/reelmill-exec.socket"))
        .enabled("reelmill-exec.socket")
        .file("/usr/lib/sysusers.d/reelmill-agent.conf", include_str!("../../units/reelmill-agent.sysusers"))
        .file("/etc/reelmill/exec.env", SETTINGS);
    Some(setup)
}

/// What the helper answers the agent: its result, or in a line why not.
fn ask(machine: &Machine, request: &Request) -> Result<Value, String> {
    machine.write("/run/question", &serde_json::to_string(request).expect("JSON"));
    machine.ok(&["chmod", "644", "/run/question"]);
    let asked = machine.run_as(AGENT, &["sh", "-c", "reelmill-exec ask < /run/question"]);
    if asked.status.success() {
        return Ok(serde_json::from_slice(&asked.stdout).expect("JSON"));
    }
    Err(String::from_utf8_lossy(&asked.stderr).trim_start_matches("error: ").trim_end().to_owned())
}

/// The questions for a change to a release, signed by an operator and a release key.
fn switch(node: &Node, name: &str, activate: &str, ctr: u64) -> impl Fn(Phase) -> Request + use<> {
    let command = command("switch", args(node, name, activate, ctr));
    move |phase| part(&command, &sign(&command, &[1, 3]), phase)
}

fn args(node: &Node, name: &str, activate: &str, ctr: u64) -> Value {
    let release = node.release(name, &[("activate", activate)]);
    json!({"store_path": release.path, "nar_hash": release.hash, "release_ctr": ctr, "verify": {"timeout_s": 1}})
}

#[test]
fn locked_in_the_helper_changes_the_system_and_its_dead_man_undoes_it() {
    let Some(setup) = node_with_helper("locked_in_the_helper_changes_the_system_and_its_dead_man_undoes_it") else {
        return;
    };
    let node = Node::start(setup);
    let does = |request: Request| ask(&node.machine, &request);
    assert_eq!(does(adopt(NAME, 1)), Ok(json!({})));
    let alone = command("switch", args(&node, "alone", "true", 7));
    let refused = does(part(&alone, &sign(&alone, &[1]), Phase::Preflight)).expect_err("by one only");
    assert!(refused.starts_with("unauthorized: "), "{refused}");
    let elsewhere = with(alone, &json!({"node": "orin-4"}));
    let refused = does(part(&elsewhere, &sign(&elsewhere, &[1, 2]), Phase::Preflight)).expect_err("not for this node");
    assert!(refused.starts_with("wrong_node: "), "{refused}");
    assert_eq!(node.record("pending"), None);
    let good = switch(&node, "new", "echo new > /run/greeting", 7);
    for phase in [Phase::Preflight, Phase::Fetch, Phase::Check, Phase::Activate] {
        if let Err(why) = does(good(phase)) {
            panic!("{phase:?}: {why}");
        }
    }
    assert_eq!(node.systems(), ["new", "old", "old"]);
    assert_eq!(does(good(Phase::Commit)).map(drop), Ok(()));
    assert_eq!(node.systems(), ["new", "new", "new"]);
    assert!(does(good(Phase::Activate)).expect_err("it has ended").starts_with("ended: "));

    let lost = switch(&node, "lost", "true", 8);
    for phase in [Phase::Preflight, Phase::Fetch, Phase::Check, Phase::Activate] {
        assert_eq!(does(lost(phase)).map(drop), Ok(()), "{phase:?}");
    }
    let timers = node.dead_men();
    let dead_man = timers.split_whitespace().next().expect("it is armed").replace(".timer", ".service");
    node.machine.ok(&["systemctl", "start", &dead_man]);
    node.wait_until_over();
    assert_eq!(node.systems(), ["new", "new", "new"]);
    let late = does(lost(Phase::Commit)).expect_err("it was undone");
    assert!(late.starts_with("rolled_back: "), "{late}");
    assert_eq!(does(lost(Phase::Undo)).map(drop), Ok(()), "there is nothing left to undo");
    assert!(does(lost(Phase::Commit)).expect_err("it has ended").starts_with("ended: "));
    assert_eq!(node.bad(), ["lost"]);
}
