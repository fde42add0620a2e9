//! Messages that are not obeyed: each is refused with the right reason, and nothing is done.

use jiff::SignedDuration;
use reelmill_api::fleet::{Command, Envelope};
use reelmill_lab::mosquitto::Mosquitto;
use serde_json::{Value, json};

use crate::{
    hub::{Ear, command, send, signed, topic},
    node::Place,
};

const NODE: &str = "orin-3";

fn restart() -> Command {
    command(NODE, "restart-worker", json!({}))
}

/// Each message on a topic of the node, and how it is refused there.
fn messages() -> Vec<(&'static str, String, Command, Vec<u8>, &'static str)> {
    let case = |name, command: Command, message: Vec<u8>, want| (name, topic(NODE, &command), command, message, want);
    let plain = restart();
    let forged = restart();
    let mut altered = restart().to_envelope();
    altered.sign(&crate::hub::key(1)).expect("once");
    let altered_command = restart();
    let altered_json = json!({
        "payloadType": altered.kind(),
        "payload": base64(&altered_command.to_payload()),
        "signatures": serde_json::to_value(&altered).expect("JSON")["signatures"],
    });
    let mut late = restart();
    // After the node's ledger began, which allows for a clock that runs five minutes behind.
    (late.issued_at, late.exp) =
        (late.issued_at - SignedDuration::from_mins(4), late.issued_at - SignedDuration::from_mins(2));
    let mut early = restart();
    (early.issued_at, early.exp) =
        (early.issued_at + SignedDuration::from_hours(1), early.exp + SignedDuration::from_hours(1));
    let mut old = restart();
    old.issued_at -= SignedDuration::from_hours(48);
    let other = command("orin-4", "restart-worker", json!({}));
    let mut large = restart();
    large.reason = Some("x".parse().expect("a reason"));
    let large_message = [signed(&large, &[1]), vec![b' '; 33 * 1024]].concat();
    let mut conditional = restart();
    conditional.expect.boot_id = Some("another".parse().expect("an id"));
    let poweroff = command(NODE, "poweroff", json!({"confirm": NODE}));
    let firmware = command(NODE, "set-conf", json!({"ver": 2}));
    let broken = restart();
    let unsigned = restart();
    let mistaken = restart();
    let elsewhere = restart();
    let mut critical = restart();
    critical.crit = vec!["args.colour".parse().expect("a name")];
    let as_cancel = topic(NODE, &mistaken).replace("restart-worker", "undrain");
    vec![
        case("forged", forged.clone(), signed(&forged, &[9]), "rejected bad_signature 0"),
        case(
            "altered after it was signed",
            altered_command,
            altered_json.to_string().into_bytes(),
            "rejected bad_signature 0",
        ),
        case("not signed", unsigned.clone(), signed(&unsigned, &[]), "rejected bad_signature 0"),
        case("one signature of two", poweroff.clone(), signed(&poweroff, &[1]), "rejected unauthorized 0"),
        case("late", late.clone(), signed(&late, &[1]), "expired expired 1"),
        case("of the future", early.clone(), signed(&early, &[1]), "rejected issued_in_future 1"),
        case("of a time before the node's", old.clone(), signed(&old, &[1]), "rejected before_enrolment 1"),
        ("of another node", topic(NODE, &other), other.clone(), signed(&other, &[1]), "rejected wrong_node 0"),
        case("too large", large, large_message, "rejected too_large 0"),
        case("no JSON", broken, b"{\"v\":1,".to_vec(), "rejected malformed 0"),
        ("of another operation", as_cancel, mistaken.clone(), signed(&mistaken, &[1]), "rejected malformed 0"),
        case("critical and unknown", critical.clone(), signed(&critical, &[1]), "rejected unknown_crit 0"),
        case("expects another boot", conditional.clone(), signed(&conditional, &[1]), "rejected precondition 1"),
        case("not built", firmware.clone(), signed(&firmware, &[1]), "rejected not_supported 1"),
        // Last, what shows that the node listens all the time.
        ("good", topic(NODE, &plain), plain.clone(), signed(&plain, &[1]), "succeeded"),
        ("under another id", topic(NODE, &elsewhere), elsewhere.clone(), signed(&plain, &[1]), "rejected malformed 0"),
    ]
}

fn base64(bytes: &[u8]) -> String {
    let envelope = Envelope::unsigned("x", bytes.to_vec());
    serde_json::to_value(&envelope).expect("JSON")["payload"].as_str().expect("text").to_owned()
}

#[test]
fn each_is_refused_for_its_reason_and_nothing_is_done() {
    let broker = Mosquitto::start();
    let ear = Ear::open(&broker);
    let place = Place::new(&broker, NODE);
    let _node = place.start().connected();
    for (name, topic, command, message, want) in messages() {
        broker.publish(&topic, &message, &["-r"]);
        let end = ear.end(NODE, command.id);
        let code = end.error.as_ref().map(|fault| format!(" {} {}", fault.code, end.seq)).unwrap_or_default();
        assert_eq!(format!("{}{code}", end.state.as_str()), want, "{name}: {end:?}");
    }
    assert_eq!(place.deeds(), ["restart-worker"], "only the good one");
}

#[test]
fn a_command_that_comes_again_is_told_again_and_not_done_again() {
    let broker = Mosquitto::start();
    let ear = Ear::open(&broker);
    let place = Place::new(&broker, NODE);
    let node = place.start().connected();
    let restart = restart();
    send(&broker, NODE, &restart, &[1]);
    let end = ear.end(NODE, restart.id);
    for _ in 0..2 {
        send(&broker, NODE, &restart, &[1]);
    }
    let mut other = restart.clone();
    other.reason = Some("another".parse().expect("a reason"));
    send(&broker, NODE, &other, &[1]);
    let refused = format!("reelmill/1/n/{NODE}/ev/refused");
    let told = reelmill_lab::programs::eventually("an event", || ear.on(&refused).pop());
    assert_eq!(serde_json::from_str::<Value>(&told).expect("JSON")["code"], "id_conflict");
    assert_eq!(ear.states(NODE, restart.id).iter().filter(|state| **state == end).count(), 3);
    // Also not by an agent that starts anew and finds it retained.
    node.stop();
    let _node = place.start().connected();
    assert_eq!(place.deeds(), ["restart-worker"]);
    assert_eq!(ear.states(NODE, restart.id).last(), Some(&end));
}

#[test]
fn the_topics_of_another_node_are_closed() {
    let broker = Mosquitto::start();
    let ear = Ear::open(&broker);
    let (ours, theirs) = (broker.identity("orin-3"), "orin-4");
    // Whatever a node asks for, only what is its own is delivered.
    let spy = Ear::of(broker.client_as("mosquitto_sub", broker.fleet, &ours), "#");
    let secret = command(theirs, "restart-worker", json!({}));
    send(&broker, theirs, &secret, &[1]);
    let own = restart();
    send(&broker, NODE, &own, &[1]);
    reelmill_lab::programs::eventually("our own command", || spy.on("reelmill").pop());
    assert_eq!(spy.topics(), [topic(NODE, &own)]);
    drop(spy);
    // And whatever it writes, nothing arrives where it may not write.
    let forged = format!("reelmill/1/n/{theirs}/health");
    for (topic, message) in [
        (forged.as_str(), "{}"),
        ("reelmill/1/r/hub/orin-4", "{}"),
        (&topic(NODE, &own), "{}"),
        ("reelmill/1/n/orin-3/health", "{\"state\":\"up\"}"),
    ] {
        let mut writer = broker.client_as("mosquitto_pub", broker.fleet, &ours);
        writer.args(["-q", "1", "-t", topic, "-m", message]).output().expect("mosquitto_pub runs");
    }
    ear.health(NODE, "up", 1);
    assert!(ear.on(&forged).is_empty() && ear.on("reelmill/1/r/").is_empty());
    assert_eq!(ear.on(&topic(NODE, &own)).len(), 1);
}

#[test]
fn nobody_comes_in_whom_the_farms_authority_does_not_know() {
    let broker = Mosquitto::start();
    let ear = Ear::open(&broker);
    let stranger = broker.stranger(NODE);
    let place = Place::new(&broker, NODE).with_identity(stranger);
    let node = place.start();
    reelmill_lab::programs::eventually("a refusal", || {
        broker.log().contains("certificate verify failed").then_some(())
    });
    assert!(!node.line.borrow().connected && ear.topics().is_empty());
}
