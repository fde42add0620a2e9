//! The journal: what the page shows of it, and who may read it.

use serde_json::Value;

use crate::node::{AGENT, WORKER, answer, ask, complaint, node};

/// A worker that complains, whispers, and goes on.
const COMPLAINS: &str = "[Service]
Type=exec
SyslogIdentifier=reelmill-worker
ExecStart=/usr/bin/sh -c 'echo \"<3>cannot lease: connection refused\"; echo \"<6>leased\"; \
    printf \"<2>no UTF-8: \\\\377\\\\n\"; exec sleep infinity'\n";

#[test]
fn the_last_errors_are_those_of_our_units_only() {
    let Some(setup) = node("the_last_errors_are_those_of_our_units_only") else { return };
    let machine = setup
        .unit(WORKER, COMPLAINS)
        .unit(
            "other.service",
            "[Service]\nType=exec\nExecStart=/usr/bin/sh -c 'echo \"<3>not ours\"; exec sleep infinity'\n",
        )
        .boot();
    machine.ok(&["journalctl", "--sync"]);

    let errors = |user: &str, lines: &str| -> Vec<Value> {
        let told = answer(&machine, user, &["errors", "--lines", lines]);
        told.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    let all = errors(AGENT, "20");
    let told: Vec<_> =
        all.iter().map(|e| (e["priority"].as_str(), e["unit"].as_str(), e["message"].as_str())).collect();
    assert_eq!(
        told,
        [
            (Some("error"), Some(WORKER), Some("cannot lease: connection refused")),
            (Some("critical"), Some(WORKER), Some("no UTF-8: \u{fffd}")),
        ]
    );
    assert!(
        all.iter().all(|e| e["identifier"] == "reelmill-worker" && e["unix_micros"].as_u64().is_some_and(|t| t > 0))
    );
    assert_eq!(errors(AGENT, "1"), &all[1..], "the newest");
    let refused = complaint(&ask(&machine, "nobody", &["errors"]));
    assert!(refused.contains("journalctl") && refused.contains("insufficient permissions"), "{refused}");

    // Once the unit is killed, systemd's own word about it counts as the unit's.
    machine.ok(&["systemctl", "kill", "--signal=KILL", WORKER]);
    machine.wait_for(WORKER, "ActiveState", "failed");
    machine.ok(&["journalctl", "--sync"]);
    let told = answer(&machine, AGENT, &["logs", WORKER, "--lines", "2"]);
    assert_eq!(told.lines().count(), 2, "{told}");
    let killed = told.lines().find(|line| line.contains("code=killed")).expect("it says how the unit ended");
    assert!(killed.contains(&format!(r#""unit":"{WORKER}","identifier":"systemd""#)), "{killed}");
}

#[test]
fn the_clock_is_as_the_kernel_says() {
    let Some(setup) = node("the_clock_is_as_the_kernel_says") else { return };
    let machine = setup.boot();
    let want = machine.ok(&["timedatectl", "show", "--property=NTPSynchronized", "--value"]);
    let want = if want == "yes" { "true" } else { "false" };
    assert_eq!(answer(&machine, AGENT, &["clock"]), want);
}
