//! Nodes and brokers that go away, by their own will or not, and come back.

use std::time::{Duration, Instant};

use reelmill_lab::{mosquitto::Mosquitto, programs::eventually};
use serde_json::json;

use crate::{
    hub::{Ear, command, send},
    node::Place,
};

const NODE: &str = "orin-3";

#[test]
fn a_node_that_is_killed_is_missed_after_the_wills_delay() {
    let broker = Mosquitto::start();
    let ear = Ear::open(&broker);
    let apart = Place::new(&broker, NODE);
    let node = apart.start_apart("boot-1");
    let up = ear.health(NODE, "up", 1);
    let killed = Instant::now();
    node.kill();
    let down = ear.health(NODE, "down", 1);
    assert!(killed.elapsed() >= Duration::from_secs(18), "the broker held it back for {:?}", killed.elapsed());
    assert_eq!((&down["conn"], down["reasons"].is_null()), (&up["conn"], true), "{down}");
}

#[test]
fn a_node_that_leaves_says_so() {
    let broker = Mosquitto::start();
    let ear = Ear::open(&broker);
    let place = Place::new(&broker, NODE);
    let node = place.start().connected();
    let up = ear.health(NODE, "up", 1);
    node.stop();
    let down = ear.health(NODE, "down", 1);
    assert_eq!((&down["conn"], &down["reasons"]), (&up["conn"], &json!(["the agent was stopped"])));
}

#[test]
fn a_command_is_taken_that_was_given_while_the_node_was_away() {
    let broker = Mosquitto::start();
    let ear = Ear::open(&broker);
    let place = Place::new(&broker, NODE);
    place.start().connected().stop();
    let restart = command(NODE, "restart-worker", json!({}));
    send(&broker, NODE, &restart, &[1]);
    assert!(ear.states(NODE, restart.id).is_empty());
    let _node = place.start();
    assert_eq!(ear.end(NODE, restart.id).state.as_str(), "succeeded");
    assert_eq!(place.deeds(), ["restart-worker"]);
}

#[test]
fn a_node_finds_its_broker_again() {
    let mut broker = Mosquitto::start();
    let ear = Ear::open(&broker);
    let place = Place::new(&broker, NODE);
    let node = place.start().connected();
    let first = ear.health(NODE, "up", 1);
    place.hold();
    let restart = command(NODE, "restart-worker", json!({}));
    send(&broker, NODE, &restart, &[1]);
    eventually("a deed", || (place.deeds() == ["restart-worker"]).then_some(()));
    broker.stop();
    eventually("a loss", || (!node.line.borrow().connected).then_some(()));
    // It goes on without the broker, and tells when there is one.
    place.let_go();
    eventually("an end", || node.line.borrow().last.as_ref().is_some_and(|s| s.state.is_final()).then_some(()));
    broker.start_again();
    let ear = Ear::open(&broker);
    assert_eq!(ear.end(NODE, restart.id).state.as_str(), "succeeded");
    eventually("another connection", || (ear.health(NODE, "up", 1)["conn"] != first["conn"]).then_some(()));
    assert_eq!(place.deeds(), ["restart-worker"]);
}

#[test]
fn who_shows_the_same_certificate_takes_over_and_is_noticed() {
    let broker = Mosquitto::start();
    let ear = Ear::open(&broker);
    let place = Place::new(&broker, NODE);
    let _node = place.start().connected();
    let first = ear.health(NODE, "up", 1);
    let thief =
        Ear::of(broker.client_as("mosquitto_sub", broker.fleet, &broker.identity(NODE)), "reelmill/1/n/orin-3/cmd/#");
    let second = ear.health(NODE, "up", 2);
    assert_ne!(first["conn"], second["conn"]);
    eventually("a note in the broker's log", || broker.log().contains("already connected, closing old").then_some(()));
    drop(thief);
    let restart = command(NODE, "restart-worker", json!({}));
    send(&broker, NODE, &restart, &[1]);
    assert_eq!(ear.end(NODE, restart.id).state.as_str(), "succeeded");
    let downs = ear.on(&format!("reelmill/1/n/{NODE}/health")).iter().filter(|h| h.contains("\"down\"")).count();
    assert_eq!(downs, 0, "nobody was told that the node is gone: it was not");
}

#[test]
fn a_killed_agent_takes_up_what_it_was_doing() {
    let broker = Mosquitto::start();
    let ear = Ear::open(&broker);
    let place = Place::new(&broker, NODE);
    place.hold();
    let node = place.start_apart("boot-1");
    let batch = command(NODE, "batch", json!({}));
    send(&broker, NODE, &batch, &[1]);
    eventually("a deed", || (place.deeds() == ["batch"]).then_some(()));
    node.kill();
    place.let_go();
    let node = place.start_apart("boot-1");
    assert_eq!(ear.end(NODE, batch.id).state.as_str(), "succeeded");
    assert_eq!(place.deeds(), ["batch", "batch"]);
    let seqs: Vec<u64> = ear.states(NODE, batch.id).iter().map(|state| state.seq).collect();
    assert!(seqs.is_sorted(), "{seqs:?}");
    node.kill();
}

#[test]
fn a_reboot_is_done_when_the_node_is_back_in_another_boot() {
    let broker = Mosquitto::start();
    let ear = Ear::open(&broker);
    let place = Place::new(&broker, NODE);
    let node = place.start_apart("boot-1");
    let reboot = command(NODE, "reboot", json!({}));
    send(&broker, NODE, &reboot, &[1]);
    eventually("a reboot", || (place.deeds() == ["finish work", "reboot"]).then_some(()));
    eventually("its state", || {
        ear.states(NODE, reboot.id).last().is_some_and(|s| s.state.as_str() == "rebooting").then_some(())
    });
    node.kill();
    let node = place.start_apart("boot-2");
    let end = ear.end(NODE, reboot.id);
    assert_eq!((end.state.as_str(), &end.result["boot_id"]), ("succeeded", &json!("boot-2")));
    assert_eq!(place.deeds(), ["finish work", "reboot"], "once is enough");
    assert!(!ear.on(&format!("reelmill/1/n/{NODE}/ev/boot")).is_empty());
    node.kill();
}
