//! The end of a node's work: a worker that has something in work finishes it, or hands it back at the deadline, or goes on, as the
//! command says; and a node that is drained stays so over a boot.

use std::{thread::sleep, time::Duration};

use reelmill_api::fleet::CommandId;
use reelmill_lab::{nspawn::Ended, programs::eventually};
use serde_json::{Value, json};

use crate::{
    farm::{NODE, WORKER},
    node::node,
    whole::Place,
};

/// What is asked of a node at work.
struct Node(Place);

impl Node {
    fn boot(test: &str) -> Option<Self> {
        Some(Self(Place::boot(node(test)?)))
    }

    fn give(&self, op: &str, args: Value) -> CommandId {
        self.0.give(op, args)
    }

    /// The end, with the code of its fault.
    fn end(&self, id: CommandId) -> (String, String) {
        let state = self.0.ear.end(NODE, id);
        (state.state.as_str().to_owned(), state.error.map_or(String::new(), |fault| fault.code.to_string()))
    }

    fn worker(&self, property: &str) -> String {
        self.0.machine.property(WORKER, property)
    }

    fn is_busy(&self, busy: bool) {
        self.0.machine.ok(&[if busy { "touch" } else { "rm" }, "/run/busy"]);
    }

    fn drains(&self) -> bool {
        self.0.machine.run(&["test", "-e", "/run/worker/drains"]).status.success()
    }
}

fn succeeded() -> (String, String) {
    ("succeeded".to_owned(), String::new())
}

#[test]
fn a_drain_waits_for_what_is_in_work_until_its_deadline() {
    let Some(place) = Node::boot("a_drain_waits_for_what_is_in_work_until_its_deadline") else { return };
    place.is_busy(true);
    let pid = place.worker("MainPID");

    let restart = place.give("restart-worker", json!({}));
    assert_eq!(place.end(restart), ("failed".to_owned(), "worker_busy".to_owned()));
    assert_eq!(place.worker("MainPID"), pid);

    // However long it takes.
    let drain = place.give("drain", json!({}));
    eventually("a worker that drains", || place.drains().then_some(()));
    // Longer than it is looked again, and than anything here takes by itself.
    sleep(Duration::from_secs(3));
    assert_eq!((place.worker("ActiveState"), place.worker("MainPID")), ("active".to_owned(), pid));
    place.is_busy(false);
    assert_eq!(place.end(drain), succeeded());
    assert_eq!(place.worker("ActiveState"), "inactive");
    assert_eq!(place.end(place.give("undrain", json!({}))), succeeded());
    assert_eq!((place.worker("ActiveState"), place.drains()), ("active".to_owned(), false));

    // At the deadline it is stopped, and hands back what it has.
    place.is_busy(true);
    assert_eq!(place.end(place.give("drain", json!({"deadline_s": 2}))), succeeded());
    assert_eq!(place.worker("ActiveState"), "inactive");
    assert_eq!(place.end(place.give("undrain", json!({}))), succeeded());

    // Or it goes on, and the drain is not done.
    let pid = place.worker("MainPID");
    let end = place.end(place.give("drain", json!({"deadline_s": 2, "mode": "abort"})));
    assert_eq!(end, ("failed".to_owned(), "too_slow".to_owned()));
    eventually("a worker that takes work again", || (!place.drains()).then_some(()));
    assert_eq!((place.worker("ActiveState"), place.worker("MainPID")), ("active".to_owned(), pid));
}

#[test]
fn a_drained_node_takes_no_work_after_a_boot_either() {
    let Some(mut place) = Node::boot("a_drained_node_takes_no_work_after_a_boot_either") else { return };
    place.0.machine.ok(&["systemctl", "enable", WORKER]);
    assert_eq!(place.end(place.give("drain", json!({}))), succeeded());
    // With the power's switch, as root: the drain holds off what asks.
    place.0.machine.run(&["systemctl", "reboot", "--force"]);
    assert_eq!(place.0.machine.ended(), Ended::Rebooting);
    place.0.machine = place.0.machine.boot_again();
    place.0.machine.wait_for(WORKER, "ActiveState", "inactive");
    let held = place.0.machine.run(&["systemctl", "reboot"]);
    assert!(!held.status.success(), "reboots are held off again");
    assert_eq!(place.end(place.give("undrain", json!({}))), succeeded());
    assert_eq!(place.worker("ActiveState"), "active");
}
