//! Changes by a boot: the new system is tried once, and stays only if somebody confirms it.

use reelmill_lab::{
    nspawn::{Ended, Machine, Setup},
    programs::eventually,
};
use serde_json::json;

use crate::node::{BEFORE, Node, Release, node};

/// Nothing that needs the basic system ever starts: no message bus, no logind, no agent.
const HANGS: &str = "printf '[Unit]\nDefaultDependencies=no\nBefore=basic.target\n[Service]\nType=oneshot\n\
    ExecStart=/usr/bin/sleep infinity\n' > /run/systemd/system/hang.service; systemctl --no-block start hang.service";

/// How long a trial lasts beyond the five seconds of its parts where a test waits for its end, and elsewhere.
const SOON: u32 = 25;
const LATE: u32 = 295;

/// A node that has prepared a boot of a release with another kernel.
fn prepared(setup: Setup) -> (Node, Release) {
    prepared_with(setup, "", LATE)
}

/// The same of one that does something when it is booted, and is on trial for so long.
fn prepared_with(setup: Setup, activate: &str, grace: u32) -> (Node, Release) {
    let node = Node::start(setup);
    let release = node.release("new", &[("kernel", "k2"), ("activate", activate)]);
    let order = node.order("A", &release, 7, json!({})).with("ACTIVATE_SECONDS=4");
    let order = order.with("DEAD_MAN_SECONDS=1").with(&format!("DEAD_MAN_GRACE_SECONDS={grace}"));
    assert_eq!(order.parts(&[&BEFORE[..], &["activate"]].concat()), json!({"boot": true}));
    assert_eq!(node.systems(), ["old", "old", "old"], "nothing has changed but the next boot");
    assert_eq!(node.machine.ok(&["cat", "/boot/oneshot"]), "system-2-link.conf");
    (node, release)
}

fn rebooted(mut node: Node) -> Node {
    node.machine.run(&["systemctl", "reboot"]);
    assert_eq!(node.machine.ended(), Ended::Rebooting);
    node.boot_again()
}

#[test]
fn a_system_with_another_kernel_is_booted_once_and_stays_when_confirmed() {
    const TEST: &str = "a_system_with_another_kernel_is_booted_once_and_stays_when_confirmed";
    let Some(setup) = node(TEST) else { return };
    let (node, release) = prepared(setup);
    let node = rebooted(node);
    assert_eq!(node.systems(), ["new", "old", "old"], "on trial");
    assert!(node.dead_men().contains("reelmill-dead-man-"), "armed again by the boot");
    let order = node.order("A", &release, 7, json!({}));
    assert_eq!(order.parts(&["activate", "commit"]), json!({}));
    assert_eq!((node.record("pending"), node.dead_men().as_str()), (None, ""));
    let node = rebooted(node);
    assert_eq!(node.systems(), ["new", "new", "new"]);
}

#[test]
fn a_trial_that_nobody_confirms_ends_with_a_boot_of_the_old_system() {
    const TEST: &str = "a_trial_that_nobody_confirms_ends_with_a_boot_of_the_old_system";
    let Some(setup) = node(TEST) else { return };
    let (node, release) = prepared_with(setup, "", SOON);
    let mut node = rebooted(node);
    assert_eq!(node.systems()[0], "new");
    assert_eq!(node.machine.ended(), Ended::Rebooting, "by itself");
    let node = node.boot_again();
    node.wait_until_over();
    assert_eq!(node.systems(), ["old", "old", "old"]);
    assert_eq!(node.bad(), ["new"]);
    assert_eq!(node.machine.ok(&["ls", "/boot/entries"]), "system-1-link.conf", "its entry is gone");
    assert_eq!(node.order("A", &release, 7, json!({})).refused("commit"), "rolled_back");
    node.order("A", &release, 7, json!({})).parts(&["undo"]);
}

/// Boots into a trial from which nobody is ever heard, and sees the machine come back by itself; `mend` is done meanwhile.
fn comes_back(node: Node, mend: impl FnOnce(&Machine)) {
    let Node { mut machine, old } = node;
    machine.run(&["systemctl", "reboot"]);
    assert_eq!(machine.ended(), Ended::Rebooting);
    let mut machine = machine.switch_on_again();
    assert_eq!(machine.ended(), Ended::Rebooting, "by itself");
    let told = std::fs::read_to_string(machine.on_disk("/var/lib/reelmill-exec/pending.json")).expect("it is not over");
    assert!(told.contains("nobody confirmed the new system within 30 s"), "{told}");
    mend(&machine);
    let node = Node { machine: machine.boot_again(), old };
    node.wait_until_over();
    assert_eq!((node.systems(), node.bad()), (["old", "old", "old"].map(str::to_owned), vec!["new".to_owned()]));
}

#[test]
fn a_trial_that_hangs_before_the_message_bus_is_up_ends_with_a_boot_of_the_old_system() {
    const TEST: &str = "a_trial_that_hangs_before_the_message_bus_is_up_ends_with_a_boot_of_the_old_system";
    let Some(setup) = node(TEST) else { return };
    comes_back(prepared_with(setup, HANGS, SOON).0, |_| ());
}

#[test]
fn a_trial_that_ends_in_emergency_mode_ends_with_a_boot_of_the_old_system() {
    const TEST: &str = "a_trial_that_ends_in_emergency_mode_ends_with_a_boot_of_the_old_system";
    /// A file system that is not there; as the new system would have it, and the old one not.
    const UNIT: &str = "[Mount]\nWhat=/dev/null\nWhere=/mnt\nType=ext4\n[Install]\nRequiredBy=local-fs.target\n";
    let Some(setup) = node(TEST) else { return };
    let (node, _) = prepared_with(setup, "", SOON);
    node.machine.write("/etc/systemd/system/mnt.mount", UNIT);
    node.machine.ok(&["systemctl", "enable", "mnt.mount"]);
    let wish = "/etc/systemd/system/local-fs.target.requires/mnt.mount";
    comes_back(node, |machine| std::fs::remove_file(machine.on_disk(wish)).expect("it is there"));
}

#[test]
fn a_trial_that_does_not_come_up_is_over_with_the_next_boot() {
    let Some(setup) = node("a_trial_that_does_not_come_up_is_over_with_the_next_boot") else { return };
    let (node, release) = prepared(setup);
    // The new one was tried and has panicked: the boot loader has forgotten it.
    node.machine.ok(&["rm", "/boot/oneshot"]);
    let node = rebooted(node);
    node.wait_until_over();
    assert_eq!((node.systems(), node.bad()), (["old", "old", "old"].map(str::to_owned), vec!["new".to_owned()]));
    assert_eq!(node.order("A", &release, 7, json!({})).refused("commit"), "rolled_back");
}

#[test]
fn a_prepared_boot_is_called_off() {
    let Some(setup) = node("a_prepared_boot_is_called_off") else { return };
    let (node, release) = prepared(setup);
    node.order("A", &release, 7, json!({})).parts(&["undo"]);
    assert_eq!(node.machine.ok(&["sh", "-c", "cat /boot/oneshot; ls /boot/entries"]), "system-1-link.conf");
    assert_eq!((node.record("pending"), node.dead_men().as_str()), (None, ""));
    assert_eq!(rebooted(node).systems(), ["old", "old", "old"]);
}

/// Does a part in a unit of its own until a system's script is held there, then cuts the power; the node after its next boot.
fn cut(mut node: Node, release: &Release, phase: &str, gate: &str) -> Node {
    node.machine.ok(&["touch", &format!("/run/gate-{gate}")]);
    node.order("A", release, 7, json!({})).begin(phase);
    eventually(gate, || node.machine.run(&["test", "-e", &format!("/run/at-{gate}")]).status.success().then_some(()));
    node.machine.kill();
    let node = node.boot_again();
    node.wait_until_over();
    assert_eq!(node.systems(), ["old", "old", "old"], "cut in {phase}");
    assert_eq!(
        (node.dead_men(), node.machine.ok(&["ls", "/boot/entries"])),
        (String::new(), "system-1-link.conf".into())
    );
    assert_eq!(node.order("A", release, 7, json!({})).refused("commit"), "rolled_back");
    node
}

#[test]
fn a_power_cut_while_a_boot_is_prepared_or_a_trial_confirmed_leaves_the_old_system() {
    const TEST: &str = "a_power_cut_while_a_boot_is_prepared_or_a_trial_confirmed_leaves_the_old_system";
    let (Some(first), Some(second), Some(third)) = (node(TEST), node(TEST), node(TEST)) else { return };
    let node = Node::start(first);
    let release = node.release("new", &[("kernel", "k2")]);
    node.order("A", &release, 7, json!({})).parts(&BEFORE);
    assert!(cut(node, &release, "activate", "old-boot").bad().is_empty(), "the release is not to blame");

    let (node, release) = prepared(second);
    assert!(cut(rebooted(node), &release, "commit", "new-boot").bad().is_empty(), "it had proven itself");

    let (node, release) = prepared(third);
    let mut node = rebooted(node);
    assert_eq!(node.systems()[0], "new");
    node.machine.kill();
    let node = node.boot_again();
    node.wait_until_over();
    assert_eq!((node.systems(), node.bad()), (["old", "old", "old"].map(str::to_owned), vec!["new".to_owned()]));
    assert_eq!(node.order("A", &release, 7, json!({})).refused("commit"), "rolled_back");
}
