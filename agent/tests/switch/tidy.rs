//! Old systems are taken away by a real Nix, and those that the node may have to go back to are not.

use reelmill_lab::programs::eventually;
use serde_json::json;

use crate::node::{BEFORE, Node, node};

/// Tidies by hand, as the timer's unit does.
fn tidy(node: &Node, keep: &str) {
    let script = format!("set -a; . /etc/reelmill/exec.env; exec /usr/bin/reelmill-agent system tidy --keep {keep}");
    let ran = node.machine.run(&["sh", "-c", &script]);
    assert!(ran.status.success(), "{ran:?}");
}

/// Gives the profile another generation; the path of its system.
fn generation(node: &Node, name: &str) -> String {
    let system = node.local(name, &[]);
    node.machine.ok(&["nix-env", "--profile", "/nix/var/nix/profiles/system", "--set", &system]);
    system
}

/// The numbers of the generations, as their links say.
fn generations(node: &Node) -> String {
    node.machine.ok(&["sh", "-c", "cd /nix/var/nix/profiles; ls -d system-*-link | tr -dc '0-9\\n' | tr '\\n' ' '"])
}

fn is_there(node: &Node, system: &str) -> bool {
    node.machine.run(&["test", "-e", &format!("{system}/bin/switch-to-configuration")]).status.success()
}

#[test]
fn old_systems_go_and_the_booted_and_the_good_one_stay() {
    let Some(setup) = node("old_systems_go_and_the_booted_and_the_good_one_stay") else { return };
    let node = Node::start(setup);
    // One is booted and in force; of the others, the third was the last good one.
    let systems: Vec<String> = ["b", "c", "d", "e"].iter().map(|name| generation(&node, name)).collect();
    let good = json!({"good": {"system": systems[1], "well": {"agent": true, "answers": true, "broker": true, "worker": true}}});
    node.machine.write("/var/lib/reelmill-exec/systems.json", &good.to_string());
    node.machine.ok(&["sh", "-c", "touch /boot/entries/system-2-link.conf"]);

    tidy(&node, "9");
    assert_eq!(generations(&node), "1 2 3 4 5", "there is nothing to take away");
    tidy(&node, "1");
    assert_eq!(generations(&node), "1 3 5", "booted, good, present");
    let there: Vec<bool> = [&node.old].into_iter().chain(&systems).map(|system| is_there(&node, system)).collect();
    assert_eq!(there, [true, false, true, false, true], "what has no generation any more is collected");
    let menu = node.machine.ok(&["ls", "/boot/entries"]);
    assert_eq!(menu, "system-1-link.conf\nsystem-3-link.conf\nsystem-5-link.conf", "the menu leads nowhere else");
    assert_eq!(node.machine.ok(&["cat", "/boot/default"]), systems[3], "the default is what the profile names");
}

#[test]
fn nothing_goes_while_a_change_is_not_decided() {
    let Some(setup) = node("nothing_goes_while_a_change_is_not_decided") else { return };
    let node = Node::start(setup);
    generation(&node, "b");
    generation(&node, "c");
    let release = node.release("new", &[]);
    let order = node.order("A", &release, 7, json!({}));
    order.parts(&[&BEFORE[..], &["activate"]].concat());
    tidy(&node, "1");
    let before = generations(&node);
    assert!(before.starts_with("1 2 3"), "{before}");
    order.parts(&["commit"]);
    eventually("the end of the change", || node.record("pending").is_none().then_some(()));
    tidy(&node, "1");
    assert_eq!(generations(&node), "1 4", "the booted one, and the new one, which is the good one too");
    assert!(is_there(&node, &release.path) && is_there(&node, &node.old));
}

#[test]
fn a_menu_that_could_not_be_written_keeps_the_systems_that_it_names() {
    let Some(setup) = node("a_menu_that_could_not_be_written_keeps_the_systems_that_it_names") else { return };
    let node = Node::start(setup);
    let old = generation(&node, "b");
    generation(&node, "c");
    // Somebody else has the lock of switch-to-configuration.
    let hold = "flock /run/nixos/switch-to-configuration.lock sleep infinity & echo $! > /run/holder";
    node.machine.ok(&["sh", "-c", &format!("setsid sh -c '{hold}' > /dev/null 2>&1")]);
    eventually("the lock", || {
        let free = node.machine.run(&["flock", "--nonblock", "/run/nixos/switch-to-configuration.lock", "true"]);
        (!free.status.success()).then_some(())
    });
    let script = "set -a; . /etc/reelmill/exec.env; exec /usr/bin/reelmill-agent system tidy --keep 1";
    let ran = node.machine.run(&["sh", "-c", script]);
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(!ran.status.success() && said.contains("cannot tell the boot loader"), "{said}");
    assert!(is_there(&node, &old), "the menu may still start it");
    node.machine.ok(&["sh", "-c", "kill $(cat /run/holder); pkill -x sleep || true"]);
    tidy(&node, "1");
    assert!(!is_there(&node, &old), "the next time, the menu is written first though nothing else is to be taken away");
}
