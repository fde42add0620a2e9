//! Systems that somebody puts into force by hand: judged as those of commands are, and undone where the node is unwell.

use reelmill_lab::{
    mosquitto::Mosquitto,
    nspawn::{Ended, Machine, Setup},
    programs::eventually,
};
use serde_json::json;

use crate::{
    farm::{AGENT, NODE, WAY, WORKER, at_broker, by_way},
    hub::Ear,
    node::{BEFORE, Node, node},
};

/// A system that does without an agent, also after a boot.
const LONE: &str = "touch /etc/reelmill/lone; systemctl stop --no-block reelmill-agent.service";
const STAND_IN: &str = "[Service]\nType=exec\nExecStart=/usr/bin/sleep infinity\n";

/// A node with its agent, a worker, and the guard, which has found the first system well.
fn guarded(test: &str, more: impl FnOnce(Setup) -> Setup) -> Option<Node> {
    let setup = node(test)?
        .unit(AGENT, include_str!("../../units/reelmill-agent.service"))
        .file("/usr/lib/sysusers.d/reelmill-agent.conf", include_str!("../../units/reelmill-agent.sysusers"))
        .file("/usr/share/polkit-1/rules.d/reelmill-agent.rules", include_str!("../../units/reelmill-agent.rules"))
        .file("/etc/reelmill/agent.toml", "")
        .enabled(AGENT)
        .file(&format!("/etc/systemd/system/{AGENT}.d/lab.conf"), "[Unit]\nConditionPathExists=!/etc/reelmill/lone\n")
        .unit(WORKER, STAND_IN)
        .enabled(WORKER);
    let old = format!("rm -f /etc/reelmill/lone; systemctl start --no-block {AGENT} {WORKER}");
    Some(watched(more(setup), &old))
}

/// A node whose guard has looked at its first system.
fn watched(setup: Setup, old: &str) -> Node {
    let setup = setup.enabled("reelmill-guard.path").enabled("reelmill-guard.service");
    let node = Node::start_with(setup, old);
    look(&node);
    node
}

/// Has the guard look whether there is something to judge; it has found nothing more when this returns.
fn look(node: &Node) {
    node.machine.ok(&["systemctl", "start", "--wait", "reelmill-guard.service"]);
}

/// `nixos-rebuild switch` to a system that is built here.
fn rebuild(node: &Node, name: &str, activate: &str) {
    let system = node.local(name, &[("activate", activate)]);
    node.machine.ok(&["nix-env", "--profile", "/nix/var/nix/profiles/system", "--set", &system]);
    node.machine.ok(&[&format!("{system}/bin/switch-to-configuration"), "switch"]);
}

fn good(node: &Node) -> String {
    let standing = node.record("systems").unwrap_or_default();
    standing["good"]["system"]
        .as_str()
        .and_then(|path| path.split_once('-'))
        .map(|(_, name)| name.to_owned())
        .unwrap_or_default()
}

fn errors(machine: &Machine) -> Vec<String> {
    let entries = machine.journal(&["--unit=reelmill-guard.service", "--priority=err"]);
    entries.iter().filter_map(|entry| entry["MESSAGE"].as_str().map(str::to_owned)).collect()
}

#[test]
fn a_good_system_by_hand_is_remembered_and_a_bad_one_undone() {
    const TEST: &str = "a_good_system_by_hand_is_remembered_and_a_bad_one_undone";
    let Some(node) = guarded(TEST, |setup| setup) else { return };
    assert_eq!(good(&node), "old");

    rebuild(&node, "good", "rm -f /etc/reelmill/lone; systemctl start --no-block reelmill-agent.service");
    eventually("the good one to be remembered", || (good(&node) == "good").then_some(()));
    node.wait_until_over();
    assert_eq!(node.systems(), ["good", "good", "good"]);
    assert_eq!(node.dead_men(), "");

    rebuild(&node, "lone", LONE);
    eventually("the bad one to be undone", || (node.bad() == ["lone"]).then_some(()));
    node.wait_until_over();
    assert_eq!(node.systems(), ["good", "good", "good"]);
    let told = errors(&node.machine).join("\n");
    assert!(told.contains("it was undone") && told.contains("reelmill-agent.service does not run"), "{told}");
    assert_eq!(good(&node), "good");
}

#[test]
fn a_power_cut_while_it_is_judged_does_not_save_a_bad_system() {
    const TEST: &str = "a_power_cut_while_it_is_judged_does_not_save_a_bad_system";
    let Some(mut node) = guarded(TEST, |setup| setup) else { return };
    rebuild(&node, "lone", LONE);
    eventually("the guard to have seen it", || node.record("pending"));
    node.machine.kill();
    let mut node = node.boot_again();
    assert_eq!(node.systems(), ["lone", "lone", "lone"], "it is the loader's default");
    assert_eq!(node.machine.ended(), Ended::Rebooting, "only a boot brings the old one back");
    let node = node.boot_again();
    node.wait_until_over();
    assert_eq!((node.systems(), node.bad()), (["old", "old", "old"].map(str::to_owned), vec!["lone".to_owned()]));
    node.machine.wait_for(AGENT, "ActiveState", "active");
}

#[test]
fn a_command_that_has_changed_nothing_yet_gives_way_only_to_a_change() {
    const TEST: &str = "a_command_that_has_changed_nothing_yet_gives_way_only_to_a_change";
    let Some(node) = guarded(TEST, |setup| setup) else { return };
    let release = node.release("new", &[]);
    let order = node.order("A", &release, 7, json!({}));
    order.parts(&BEFORE);
    look(&node);
    assert_eq!(node.record("pending").expect("the command's")["new"], release.path, "nobody has changed anything");

    rebuild(&node, "good", "true");
    eventually("the good one to be remembered", || (good(&node) == "good").then_some(()));
    node.wait_until_over();
    assert_eq!(order.refused("activate"), "not_begun", "its way back would be another one");
    order.parts(&[&BEFORE[..], &["activate", "commit"]].concat());
    assert_eq!(node.systems(), ["new", "new", "new"]);
}

#[test]
fn the_guard_can_be_switched_off() {
    let off = |setup: Setup| setup.file("/etc/reelmill/exec.env", "GUARD=false\nGUARD_SECONDS=1\n");
    let Some(node) = guarded("the_guard_can_be_switched_off", off) else { return };
    rebuild(&node, "lone", LONE);
    // The path unit may have started it or not; this one has ended for sure.
    look(&node);
    assert_eq!(node.systems(), ["lone", "lone", "lone"]);
    assert_eq!(node.record("pending"), None);
}

/// A node at its broker keeps a system with which it connects anew, and goes back from one that drops the network in silence:
/// the connection that it had still stands then, and nobody has noticed yet.
fn connects_anew_or_goes_back(test: &str, more: impl FnOnce(Setup) -> Setup) {
    /// It has time for a connection, and none in which a silence would be noticed by itself.
    const SETTINGS: &str = "STORE_SPARE_MIB=1\nACTIVATE_SECONDS=60\nGUARD_STEADY_SECONDS=1\nGUARD_SECONDS=15\n";
    let mends = format!("systemctl kill --signal=CONT {WAY} || true");
    let Some(setup) = node(test) else { return };
    let broker = Mosquitto::start();
    let ear = Ear::open(&broker);
    let setup = more(by_way(at_broker(setup, &broker, SETTINGS), &broker).enabled(WORKER));
    let node = watched(setup, &mends);
    eventually("a guard that knows of the broker", || {
        look(&node);
        (node.record("systems")?["good"]["well"]["broker"] == true).then_some(())
    });

    rebuild(&node, "good", &mends);
    eventually("the good one to be remembered", || (good(&node) == "good").then_some(()));
    node.wait_until_over();

    rebuild(&node, "mute", &format!("systemctl kill --signal=STOP {WAY}"));
    eventually("the one without a network to be undone", || (node.bad() == ["mute"]).then_some(()));
    node.wait_until_over();
    assert_eq!(node.systems(), ["good", "good", "good"]);
    let told = errors(&node.machine).join("\n");
    assert!(told.contains("because the agent makes no new connection to its broker; "), "{told}");
    // The first connection, the good one's, and that of the good one put back.
    ear.health_of(NODE, 2);
}

#[test]
fn a_network_that_is_dropped_in_silence_by_hand_comes_back() {
    connects_anew_or_goes_back("a_network_that_is_dropped_in_silence_by_hand_comes_back", |setup| setup);
}

#[test]
fn a_network_that_is_dropped_in_silence_comes_back_where_the_page_has_a_password() {
    const TEST: &str = "a_network_that_is_dropped_in_silence_comes_back_where_the_page_has_a_password";
    let password = |setup: Setup| {
        let asks = "[Service]\nEnvironment=PAGE_PASSWORD=hunter2hunter2\n";
        setup.file(&format!("/etc/systemd/system/{AGENT}.d/password.conf"), asks)
    };
    connects_anew_or_goes_back(TEST, password);
}
