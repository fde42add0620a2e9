//! Messages that are obeyed, and how a node introduces itself.

use reelmill_lab::{mosquitto::Mosquitto, programs::eventually};
use serde_json::{Value, json};

use crate::{
    hub::{Ear, command, send, signed, topic},
    node::Place,
};

const NODE: &str = "orin-3";

#[test]
fn introduces_itself_once_it_knows_what_was_kept_for_it() {
    let broker = Mosquitto::start();
    // More than the broker may send before the first is acknowledged.
    let kept: Vec<_> = (0..40).map(|_| command(NODE, "logs-tail", json!({"unit": "a.service"}))).collect();
    kept.iter().for_each(|command| send(&broker, NODE, command, &[1]));
    let ear = Ear::open(&broker);
    let place = Place::new(&broker, NODE);
    let _node = place.start().connected();
    for command in &kept {
        let states = || ear.end(NODE, command.id);
        assert_eq!(states().result["lines"], json!(["one", "a.service"]));
    }
    let topics = ear.topics();
    let at = |end: &str| topics.iter().position(|topic| *topic == format!("reelmill/1/n/{NODE}/{end}"));
    let order = [at("cap"), at("health"), at("rep/os"), at("rep/worker")];
    assert!(order.is_sorted() && order[0].is_some(), "{order:?} of {topics:?}");
    let before = topics[..order[0].expect("a place")].iter().filter(|topic| topic.contains("/st/")).count();
    assert_eq!(before, 40, "all that was kept was accepted before");
    let cap: Value = serde_json::from_str(&ear.on(&format!("reelmill/1/n/{NODE}/cap"))[0]).expect("JSON");
    assert!(cap["ops"]["reboot"] == 1 && cap["ops"]["switch"].is_null() && cap["proto"] == json!([1, 1]), "{cap}");
}

#[test]
fn a_command_is_told_of_from_its_acceptance_to_its_end_and_then_cleared() {
    let broker = Mosquitto::start();
    let ear = Ear::open(&broker);
    let place = Place::new(&broker, NODE);
    let _node = place.start().connected();
    let drain = command(NODE, "drain", json!({}));
    send(&broker, NODE, &drain, &[1]);
    ear.end(NODE, drain.id);
    let states = ear.states(NODE, drain.id);
    let told: Vec<_> = states.iter().map(|state| (state.seq, state.state.as_str())).collect();
    assert_eq!(told, [(1, "accepted"), (2, "running"), (3, "succeeded")]);
    broker.publish(&topic(NODE, &drain), "", &["-r"]);
    let st = format!("reelmill/1/n/{NODE}/st/{}", drain.id);
    eventually("a cleared state", || ear.on(&st).last().is_some_and(String::is_empty).then_some(()));
    assert_eq!(place.deeds(), ["drain"]);
}

#[test]
fn a_running_command_is_called_off() {
    let broker = Mosquitto::start();
    let ear = Ear::open(&broker);
    let place = Place::new(&broker, NODE);
    let _node = place.start().connected();
    place.hold();
    let batch = command(NODE, "batch", json!({}));
    send(&broker, NODE, &batch, &[1]);
    eventually("a deed", || (place.deeds() == ["batch"]).then_some(()));
    let cancel = command(NODE, "cancel", json!({"target": batch.id.to_string()}));
    send(&broker, NODE, &cancel, &[1]);
    assert_eq!(ear.end(NODE, batch.id).state.as_str(), "canceled");
    assert_eq!(ear.end(NODE, cancel.id).state.as_str(), "succeeded");
    place.let_go();
    eventually("a clean node", || (place.deeds() == ["batch", "clean up"]).then_some(()));
}

#[test]
fn answers_requests_where_it_may_and_nowhere_else() {
    let broker = Mosquitto::start();
    let ear = Ear::open(&broker);
    let place = Place::new(&broker, NODE);
    let _node = place.start().connected();
    let ask = |group: bool, respond_to: &str| {
        let mut ping = command(NODE, "ping", json!({"nonce": "n1"}));
        let mut to = topic(NODE, &ping);
        if group {
            ping.node = "@lan".parse().expect("a group");
            to = to.replace(&format!("/n/{NODE}/"), "/g/lan/");
        }
        let correlation = ping.id.to_string();
        let words = ["-D", "publish", "response-topic", respond_to, "-D", "publish", "correlation-data", &correlation];
        broker.publish(&to, signed(&ping, &[]), &words);
        ping.id
    };
    let answers = format!("reelmill/1/r/hub-1/{NODE}");
    for (group, n) in [(false, 1), (true, 2)] {
        let id = ask(group, &answers);
        let answer = eventually("an answer", || ear.on(&answers).get(n - 1).cloned());
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert_eq!((&answer["id"], &answer["result"]["nonce"]), (&json!(id.to_string()), &json!("n1")));
    }
    // A deputy that can be confused would write its own health here, or another's answers.
    for wrong in [format!("reelmill/1/n/{NODE}/health"), "reelmill/1/r/hub-1/orin-4".to_owned()] {
        let before = ear.on(&wrong).len();
        let id = ask(false, &wrong);
        assert_eq!(ear.end(NODE, id).state.as_str(), "succeeded", "it is told where it always is");
        assert_eq!(ear.on(&wrong).len(), before);
    }
}

#[test]
fn tells_what_has_changed() {
    let broker = Mosquitto::start();
    let ear = Ear::open(&broker);
    let place = Place::new(&broker, NODE);
    let node = place.start().connected();
    ear.health(NODE, "up", 1);
    node.world.send_modify(|world| world.unwell = vec!["the disk is full".to_owned()]);
    assert_eq!(ear.health(NODE, "degraded", 1)["reasons"], json!(["the disk is full"]));
    node.world
        .send_modify(|world| drop(world.documents.insert(reelmill_api::fleet::topic::Document::Os, json!({"ver": 2}))));
    let os = format!("reelmill/1/n/{NODE}/rep/os");
    eventually("a new document", || (ear.on(&os) == [r#"{"ver":1}"#, r#"{"ver":2}"#]).then_some(()));
    assert_eq!(ear.on(&format!("reelmill/1/n/{NODE}/rep/worker")).len(), 1);
    let status = command(NODE, "status", json!({"docs": ["worker"]}));
    send(&broker, NODE, &status, &[]);
    assert_eq!(ear.end(NODE, status.id).state.as_str(), "succeeded");
    eventually("the document again", || (ear.on(&format!("reelmill/1/n/{NODE}/rep/worker")).len() == 2).then_some(()));
}
