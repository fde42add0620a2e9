//! All nodes with a tag.

use reelmill_api::fleet::health::Capabilities;

use crate::fleet::Fleet;

#[test]
fn each_node_with_a_tag_gets_a_command_of_its_own() {
    let fleet = Fleet::start();
    let _nodes = fleet.simulate(&["orin-1", "orin-2", "xavier-10"], 0);
    let said = fleet.send("@shelf restart-worker --sign anna.key");
    assert_eq!(said.code, Some(0), "{said:?}");
    let mut states: Vec<_> = said.out.lines().filter(|line| !line.contains(['{', '}', '"'])).collect();
    states.sort_unstable();
    assert_eq!(
        states,
        [
            "orin-1:    accepted",
            "orin-1:    running, at it",
            "orin-1:    succeeded",
            "orin-2:    accepted",
            "orin-2:    running, at it",
            "orin-2:    succeeded",
            "xavier-10: accepted",
            "xavier-10: running, at it",
            "xavier-10: succeeded",
        ]
    );
    assert_eq!(said.err.lines().count(), 1, "{said:?}");
    assert!(said.err.ends_with("; id ID, and 2 more alike\n"), "{said:?}");
    let dry = fleet.send("@shelf ping --dry-run");
    let topics: Vec<_> = dry.out.lines().filter(|line| line.starts_with("reelmill/1")).collect();
    let topic = |node: &str| format!("reelmill/1/n/{node}/cmd/ping/ID");
    assert_eq!(topics, ["orin-1", "orin-2", "xavier-10"].map(topic));
}

#[test]
fn two_hundred_nodes_at_once_are_no_flood() {
    let fleet = Fleet::start();
    let cap = Capabilities::of("1.0.0", vec!["shelf".parse().expect("a tag")], &[]);
    let cap = serde_json::to_vec(&cap).expect("JSON");
    for n in 0..200 {
        fleet.broker.publish(&format!("reelmill/1/n/node-{n}/cap"), &cap, &["-r"]);
    }
    let dry = fleet.send("@shelf ping --dry-run");
    let topics = dry.out.lines().filter(|line| line.starts_with("reelmill/1")).count();
    assert_eq!((dry.code, topics), (Some(0), 200), "{}", dry.err);
}
