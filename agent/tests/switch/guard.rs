//! Systems that somebody puts into force by hand: judged as those of commands are, and undone where the node is unwell.

use reelmill_lab::{
    nspawn::{Ended, Machine, Setup},
    programs::eventually,
};
use serde_json::json;

use crate::node::{BEFORE, Node, node};

const AGENT: &str = "reelmill-agent.service";
/// A system that does without an agent, also after a boot.
const LONE: &str = "touch /etc/reelmill/lone; systemctl stop --no-block reelmill-agent.service";
const WORKER: &str = "[Service]\nType=exec\nExecStart=/usr/bin/sleep infinity\n";

/// A node with its agent, a worker, and the guard, which has found the first system well.
fn guarded(test: &str, more: impl FnOnce(Setup) -> Setup) -> Option<Node> {
    let setup = node(test)?
        .unit(AGENT, include_str!("../../units/reelmill-agent.service"))
        .file("/usr/lib/sysusers.d/reelmill-agent.conf", include_str!("../../units/reelmill-agent.sysusers"))
        .file("/usr/share/polkit-1/rules.d/reelmill-agent.rules", include_str!("../../units/reelmill-agent.rules"))
        .file("/etc/reelmill/agent.toml", "")
        .enabled(AGENT)
        .file(&format!("/etc/systemd/system/{AGENT}.d/lab.conf"), "[Unit]\nConditionPathExists=!/etc/reelmill/lone\n")
        .unit("reelmill-worker.service", WORKER)
        .enabled("reelmill-worker.service");
    let setup = more(setup).enabled("reelmill-guard.path").enabled("reelmill-guard.service");
    let node = Node::start_with(
        setup,
        &format!("rm -f /etc/reelmill/lone; systemctl start --no-block {AGENT} reelmill-worker.service"),
    );
    node.machine.ok(&["systemctl", "start", "--wait", "reelmill-guard.service"]);
    Some(node)
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
    node.machine.ok(&["systemctl", "start", "--wait", "reelmill-guard.service"]);
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
    node.machine.ok(&["systemctl", "start", "--wait", "reelmill-guard.service"]);
    assert_eq!(node.systems(), ["lone", "lone", "lone"]);
    assert_eq!(node.record("pending"), None);
}
