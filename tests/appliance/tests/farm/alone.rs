//! A farm of one machine: its worker is told by the hub beside it what to work for, and its agent is let in by it, once there is
//! somebody whom it is to obey.

use crate::lab::{ALONE, Farm, appoint};

const OWN: &str = "reelmill-own-node.service";

#[test]
fn one_machine_is_a_farm() {
    let Some(farm) = Farm::alone("one_machine_is_a_farm") else { return };
    let hub = &farm.hub;
    hub.wait_for("reelmill-worker.service", "ActiveState", "active");
    let report = farm.ladder();
    assert!(report.contains(&format!("\"{ALONE}\"")), "{report}");

    // A node that came in before there was an operator would obey nobody.
    hub.wait_for("reelmill-agent.service", "ActiveState", "active");
    assert_eq!(hub.property(OWN, "ConditionResult"), "no");
    assert!(farm.asked(&format!("/v1/nodes/{ALONE}")).is_none());
    appoint(hub);
    farm.wait_for_node(ALONE);
    let join = hub.ok(&["cat", "/var/lib/reelmill-host/join.toml"]);
    assert!(join.contains("hub.lab:7443") && !join.contains("rmj_"), "{join}");
    assert_eq!(hub.run(&["ls", "/run/reelmill-own-node"]).status.code(), Some(2), "nothing is left of the token");
    farm.send(&[ALONE, "drain", "deadline_s=60"]);
    assert_eq!(hub.property("reelmill-worker.service", "ActiveState"), "inactive");
    farm.send(&[ALONE, "undrain"]);
    hub.wait_for("reelmill-worker.service", "ActiveState", "active");

    // It is let in once.
    hub.ok(&["systemctl", "start", OWN]);
    assert_eq!(hub.property(OWN, "ConditionResult"), "no");
}
