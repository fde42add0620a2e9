//! A farm of the units that the modules produce: a hub and two nodes, booted in one network. Each node comes in by its join file,
//! a job becomes a ladder, a drain and a reboot end well, and Prometheus reads all of it. Only root can boot machines; without root
//! this is skipped, loudly. A machine that is hub and node becomes a farm by itself.

mod alone;
mod lab;

use lab::{Farm, NODES};
use reelmill_lab::nspawn::Ended;

#[test]
fn a_hub_and_two_nodes_take_work_and_commands_and_are_watched() {
    const TEST: &str = "a_hub_and_two_nodes_take_work_and_commands_and_are_watched";
    let Some(mut farm) = Farm::start(TEST) else { return };

    // The nodes came in by their join files, whose tokens are gone.
    for node in NODES {
        farm.wait_for_node(node);
        let machine = &farm.nodes[node];
        assert_eq!(machine.ok(&["uname", "-n"]), node);
        assert_eq!(machine.ok(&["find", "/boot/reelmill", "-type", "f"]), "");
        let join = machine.ok(&["cat", "/var/lib/reelmill-host/join.toml"]);
        assert!(!join.contains("rmj_"), "{join}");
    }

    // A job becomes a ladder.
    let report = farm.ladder();
    assert!(NODES.iter().any(|node| report.contains(&format!("\"{node}\""))), "a node of the farm made it: {report}");

    // A drain ends well, and the worker takes no more.
    let [first, second] = NODES;
    farm.send(&[first, "drain", "deadline_s=60"]);
    assert_eq!(farm.nodes[first].property("reelmill-worker.service", "ActiveState"), "inactive");
    farm.send(&[first, "undrain"]);
    farm.nodes[first].wait_for("reelmill-worker.service", "ActiveState", "active");

    // So does a reboot, which the node itself asks for.
    let command = farm.give(&[second, "reboot"]);
    let mut machine = farm.nodes.remove(second).expect("it runs");
    assert_eq!(machine.ended(), Ended::Rebooting);
    let machine = machine.boot_again();
    assert_eq!(machine.ok(&["uname", "-n"]), second, "it is the same machine");
    farm.nodes.insert(second, machine);
    farm.send(&["--follow", second, &command]);

    // Prometheus reads every target.
    let up = |farm: &Farm| {
        let query = "http://127.0.0.1:9090/api/v1/query?query=up";
        let told = farm.hub.ok(&["curl", "-sf", query]);
        let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
        let series = told["data"]["result"].as_array().cloned().unwrap_or_default();
        let of = |one: &serde_json::Value| {
            let label = |name: &str| one["metric"][name].as_str().unwrap_or_default().to_owned();
            (label("job"), label("node"), one["value"][1] == "1")
        };
        let mut series: Vec<_> = series.iter().map(of).collect();
        series.sort();
        series
    };
    let [hub, edge_1, edge_2] = ["hub", first, second];
    let all = [
        ("redis", hub),
        ("reelmill-host", hub),
        ("reelmill-hub", hub),
        ("reelmill-node", edge_1),
        ("reelmill-node", edge_2),
        ("reelmill-worker", edge_1),
        ("reelmill-worker", edge_2),
    ];
    let all = all.map(|(job, node)| (job.to_owned(), node.to_owned(), true));
    farm.eventually("all targets", |farm| (up(farm) == all).then_some(()));
}
