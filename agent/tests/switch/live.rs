//! Changes without a boot: for good, undone, and left alone.

use reelmill_lab::programs::eventually;
use serde_json::{Value, json};

use crate::node::{BEFORE, Node, node};

#[test]
fn a_good_release_commits() {
    let Some(setup) = node("a_good_release_commits") else { return };
    let node = Node::start(setup);
    let release = node.release("new", &[("activate", "echo new > /run/greeting")]);
    assert!(!node.machine.run(&["test", "-e", &release.path]).status.success(), "only the cache has it");
    let order = node.order("A", &release, 7, json!({}));
    order.parts(&BEFORE);
    assert_eq!(node.systems(), ["old", "old", "old"], "nothing has changed");
    assert_eq!(node.dead_men(), "");

    assert_eq!(order.parts(&["activate"]), json!({"boot": false}));
    assert_eq!(node.systems(), ["new", "old", "old"], "a power cut would bring the old one");
    assert_eq!(node.machine.ok(&["cat", "/run/greeting"]), "new");
    assert!(node.dead_men().contains("reelmill-dead-man-01M81B5H80NENTQAXBNENTQAXA.timer"), "{}", node.dead_men());
    let other = node.order("B", &release, 8, json!({}));
    assert_eq!(other.refused("preflight"), "busy");
    assert_eq!(order.parts(&["activate"]), json!({"boot": false}), "a part may come again");

    order.parts(&["commit"]);
    assert_eq!(node.systems(), ["new", "new", "new"]);
    assert_eq!((node.record("pending"), node.dead_men().as_str()), (None, ""));
    assert_eq!(node.record("systems").expect("a record")["release_ctr"], 7);
    order.parts(&["commit"]);
    assert_eq!(order.refused("undo"), "committed");
    for ctr in [6, 7] {
        assert_eq!(node.order("C", &release, ctr, json!({})).refused("preflight"), "release_not_newer");
    }
}

#[test]
fn a_rollback_goes_to_a_generation_and_back() {
    let Some(setup) = node("a_rollback_goes_to_a_generation_and_back") else { return };
    let node = Node::start(setup);
    let release = node.release("new", &[]);
    node.order("A", &release, 7, json!({})).parts(&[&BEFORE[..], &["activate", "commit"]].concat());
    let all = [&BEFORE[..], &["activate", "commit"]].concat();
    node.give("B", "rollback", json!({"to": "previous"})).parts(&all);
    assert_eq!(node.systems(), ["old", "old", "old"]);
    assert_eq!(node.give("C", "rollback", json!({"to": "previous"})).refused("preflight"), "no_generation");
    assert_eq!(node.give("D", "rollback", json!({"to": 1})).refused("preflight"), "already_there");
    node.give("E", "rollback", json!({"to": 2})).parts(&all);
    assert_eq!(node.systems(), ["new", "new", "new"]);
    assert_eq!(node.record("systems").expect("a record")["release_ctr"], 7, "its number is known");
}

#[test]
fn a_release_that_hangs_or_fails_is_undone_and_remembered() {
    let Some(setup) = node("a_release_that_hangs_or_fails_is_undone_and_remembered") else { return };
    let node = Node::start_with(setup, "echo old > /run/greeting");
    for (id, name, activate) in [("A", "hangs", "echo bad > /run/greeting; sleep 1000"), ("B", "fails", "false")] {
        let release = node.release(name, &[("activate", activate)]);
        let order = node.order(id, &release, 7, json!({})).with("ACTIVATE_SECONDS=3");
        order.parts(&BEFORE);
        assert_eq!(order.refused("activate"), "activation_failed");
        order.parts(&["undo", "undo"]);
        assert_eq!(node.systems(), ["old", "old", "old"]);
        assert_eq!(node.machine.ok(&["cat", "/run/greeting"]), "old", "the old one was put into force again");
        assert_eq!((node.record("pending"), node.dead_men().as_str()), (None, ""));
        assert_eq!(order.refused("commit"), "rolled_back");
        assert_eq!(node.order("D", &release, 8, json!({})).refused("preflight"), "bad_release");
    }
    assert_eq!(node.bad(), ["hangs", "fails"]);
}

#[test]
fn a_dead_man_goes_off_when_nobody_confirms() {
    let Some(setup) = node("a_dead_man_goes_off_when_nobody_confirms") else { return };
    let node = Node::start_with(setup, "ip link set lo up");
    let cut_off = node.release("cut-off", &[("activate", "ip link set lo down")]);
    let soon = |order: crate::node::Order<'_>| -> Value {
        let order = order.with("ACTIVATE_SECONDS=2").with("DEAD_MAN_SECONDS=1").with("DEAD_MAN_GRACE_SECONDS=15");
        order.parts(&[&BEFORE[..], &["activate"]].concat())
    };
    soon(node.order("A", &cut_off, 7, json!({})));
    assert!(node.machine.ok(&["ip", "-o", "link", "show", "lo"]).contains("state DOWN"), "it breaks the network");
    node.wait_until_over();
    assert_eq!(node.systems(), ["old", "old", "old"]);
    assert!(!node.machine.ok(&["ip", "-o", "link", "show", "lo"]).contains("state DOWN"), "it is mended");
    assert_eq!(node.bad(), ["cut-off"]);
    let order = node.order("A", &cut_off, 7, json!({}));
    assert_eq!(order.refused("commit"), "rolled_back", "too late");

    // One that hangs while it is put into force, and whose helper has died too.
    let hangs = node.release("hangs", &[("activate", "touch /run/hangs; sleep 1000")]);
    let order = node.order("B", &hangs, 7, json!({}));
    let order = order.with("ACTIVATE_SECONDS=10").with("DEAD_MAN_SECONDS=1").with("DEAD_MAN_GRACE_SECONDS=0");
    order.parts(&BEFORE);
    order.begin("activate");
    eventually("one that hangs", || node.machine.run(&["test", "-e", "/run/hangs"]).status.success().then_some(()));
    node.machine.ok(&["systemctl", "kill", "--kill-whom=main", "--signal=KILL", "helper.service"]);
    eventually("the second bad release", || (node.bad() == ["cut-off", "hangs"]).then_some(()));
    assert_eq!(node.systems(), ["old", "old", "old"]);
}
