//! Deaths: the helper and the machine are killed in each part. What was begun ends committed or undone, and nothing is pending.

use reelmill_lab::{nspawn::Setup, programs::eventually};
use serde_json::json;

use crate::node::{BEFORE, Node, Order, Release, node};

/// Where a part is held: what holds it, and how one sees that it is there.
struct Held {
    phase: &'static str,
    before: &'static [&'static str],
    hold: &'static str,
    is_there: &'static str,
    release: &'static str,
}

/// A file of the cache that nobody writes holds a reader; a gate holds a system's script. The brackets keep a pattern from
/// finding the shell that looks for it.
const PARTS: [Held; 6] = [
    Held {
        phase: "preflight",
        before: &[],
        hold: "mv /cache/$H.narinfo /root/kept; mkfifo /cache/$H.narinfo",
        is_there: "pgrep -f '[n]ix-store --realise'",
        release: "rm /cache/$H.narinfo; mv /root/kept /cache/$H.narinfo; pkill -KILL nix-store || true",
    },
    Held {
        phase: "fetch",
        before: &["preflight"],
        hold: "for f in /cache/nar/*; do mv $f /root/; mkfifo $f; done",
        is_there: "pgrep -f '[n]ix-store --realise' && ! pgrep -f '[d]ry-run'",
        release: "pkill -KILL nix-store || true; for f in /cache/nar/*; do rm $f; mv /root/${f##*/} $f; done",
    },
    Held {
        phase: "check",
        before: &["preflight", "fetch"],
        hold: "touch /run/gate-check",
        is_there: "test -e /run/at-check",
        release: "rm /run/gate-check",
    },
    Held {
        phase: "activate",
        before: &BEFORE,
        hold: "touch /run/gate-new-test",
        is_there: "test -e /run/at-new-test",
        release: "rm /run/gate-new-test",
    },
    Held {
        phase: "commit",
        before: &["preflight", "fetch", "check", "activate"],
        hold: "touch /run/gate-new-boot",
        is_there: "test -e /run/at-new-boot",
        release: "rm /run/gate-new-boot",
    },
    Held {
        phase: "undo",
        before: &["preflight", "fetch", "check", "activate"],
        hold: "touch /run/gate-old-test",
        is_there: "test -e /run/at-old-test",
        release: "rm /run/gate-old-test",
    },
];

/// A node, and a release whose checks can be held too.
fn start(setup: Setup) -> (Node, Release) {
    let node = Node::start(setup);
    let checks =
        "if test -e /run/gate-check; then touch /run/at-check; while test -e /run/gate-check; do sleep 0.1; done; fi";
    let release = node.release("new", &[("checks", checks)]);
    (node, release)
}

fn sh(node: &Node, release: &Release, script: &str) -> bool {
    let hash = release.path.trim_start_matches("/nix/store/").split('-').next().unwrap_or_default().to_owned();
    node.machine.run(&["env", &format!("H={hash}"), "sh", "-c", script]).status.success()
}

/// Begins a part in a unit of its own, and waits until it is held.
fn begin(node: &Node, release: &Release, order: &Order<'_>, held: &Held) {
    order.parts(held.before);
    assert!(sh(node, release, held.hold), "{}", held.hold);
    order.begin(held.phase);
    eventually(held.phase, || sh(node, release, held.is_there).then_some(()));
}

#[test]
fn a_helper_that_is_killed_in_any_part_does_it_again() {
    for held in &PARTS {
        let Some(setup) = node("a_helper_that_is_killed_in_any_part_does_it_again") else { return };
        let (node, release) = start(setup);
        let order = node.order("A", &release, 7, json!({}));
        begin(&node, &release, &order, held);
        node.machine.ok(&["systemctl", "kill", "--kill-whom=main", "--signal=KILL", "helper.service"]);
        assert!(sh(&node, &release, held.release), "{}", held.release);

        order.parts(&[held.phase]);
        let rest = ["preflight", "fetch", "check", "activate", "commit"];
        let at = rest.iter().position(|phase| *phase == held.phase).map_or(rest.len(), |at| at + 1);
        order.parts(&rest[at..]);
        let want = if held.phase == "undo" { "old" } else { "new" };
        assert_eq!(node.systems(), [want; 3], "killed in {}", held.phase);
        assert_eq!((node.record("pending"), node.dead_men().as_str()), (None, ""), "killed in {}", held.phase);
    }
}

#[test]
fn a_fetch_that_is_stopped_leaves_nothing_behind() {
    let Some(setup) = node("a_fetch_that_is_stopped_leaves_nothing_behind") else { return };
    let (node, release) = start(setup);
    let order = node.order("A", &release, 7, json!({}));
    let held = PARTS.iter().find(|held| held.phase == "fetch").expect("it is one of them");
    begin(&node, &release, &order, held);
    // Whoever asked has gone away.
    node.machine.ok(&["systemctl", "kill", "--kill-whom=main", "--signal=TERM", "helper.service"]);
    eventually("the end of the part", || {
        let ended = ["inactive", "failed"].contains(&node.machine.property("helper.service", "ActiveState").as_str());
        ended.then_some(())
    });
    assert!(!node.machine.run(&["pgrep", "nix-store"]).status.success(), "the fetch has ended too");
    let told = node.machine.journal(&["--unit=helper.service"]);
    let told: Vec<_> = told.iter().filter_map(|entry| entry["MESSAGE"].as_str()).collect();
    assert!(told.iter().any(|line| line.contains(r#"{"undone":{"code":"stopped""#)), "{told:?}");
    assert!(sh(&node, &release, held.release), "{}", held.release);
    order.parts(&["undo"]);
    assert_eq!((node.record("pending"), node.bad()), (None, vec![]));
}

#[test]
fn a_power_cut_in_any_part_leaves_a_node_that_knows_what_to_do() {
    for held in &PARTS {
        let Some(setup) = node("a_power_cut_in_any_part_leaves_a_node_that_knows_what_to_do") else { return };
        let (node, release) = start(setup);
        let order = node.order("A", &release, 7, json!({}));
        begin(&node, &release, &order, held);
        let mut node = node;
        node.machine.kill();
        let node = node.boot_again();
        let script = held.release.replace("rm /run/", "rm -f /run/");
        assert!(sh(&node, &release, &script), "{script}");
        assert_eq!(node.systems()[0], "old", "the boot loader never knew another one");
        let order = node.order("A", &release, 7, json!({}));
        let has_touched = ["activate", "commit", "undo"].contains(&held.phase);
        if has_touched {
            assert_eq!(node.record("pending"), None, "cut in {}", held.phase);
            assert_eq!(order.refused("commit"), "rolled_back");
            order.parts(&["undo"]);
            // What was being confirmed had proven itself.
            let want = if held.phase == "commit" { vec![] } else { vec!["new".to_owned()] };
            assert_eq!(node.bad(), want, "cut in {}", held.phase);
        } else {
            order.parts(&["preflight", "fetch", "check", "activate", "commit"]);
        }
        let want = if has_touched { "old" } else { "new" };
        assert_eq!(node.systems(), [want; 3], "cut in {}", held.phase);
        assert_eq!((node.record("pending"), node.dead_men().as_str()), (None, ""), "cut in {}", held.phase);
    }
}
