//! Changes by a boot: the new system is tried once, and stays only if somebody confirms it.

use reelmill_lab::nspawn::{Ended, Setup};
use serde_json::json;

use crate::node::{BEFORE, Node, Release, node};

/// A node that has prepared a boot of a release with another kernel.
fn prepared(setup: Setup) -> (Node, Release) {
    let node = Node::start(setup);
    let release = node.release("new", &[("kernel", "k2")]);
    let order = node.order("A", &release, 7, json!({})).with("ACTIVATE_SECONDS=4");
    let order = order.with("DEAD_MAN_SECONDS=1").with("DEAD_MAN_GRACE_SECONDS=5");
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
    let (node, release) = prepared(setup);
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
