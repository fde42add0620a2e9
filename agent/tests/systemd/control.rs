//! The worker's unit over D-Bus, as the agent's unprivileged user: polkit allows what is ours and refuses the rest.

use reelmill_lab::nspawn::Machine;
use serde_json::{Value, json};

use crate::node::{AGENT, OTHER, WORKER, answer, ask, complaint, node};

#[test]
fn the_agents_user_restarts_the_worker_and_nothing_else() {
    let Some(setup) = node("the_agents_user_restarts_the_worker_and_nothing_else") else { return };
    let machine = setup.boot();

    let before = machine.property(WORKER, "MainPID");
    answer(&machine, AGENT, &["restart", WORKER]);
    let after = machine.property(WORKER, "MainPID");
    assert_ne!(before, after, "the worker has another process");
    let state: Value = serde_json::from_str(&answer(&machine, AGENT, &["show", WORKER])).expect("JSON");
    assert!(state["since_unix_micros"].as_u64().is_some_and(|s| s > 1_700_000_000_000_000), "{state}");
    for (field, want) in [
        ("unit", json!(WORKER)),
        ("installed", json!(true)),
        ("activity", json!("active")),
        ("sub_state", json!("running")),
        ("main_pid", json!(after.parse::<u32>().expect("a number"))),
        ("result", json!("success")),
        ("restarts", json!(0)),
    ] {
        assert_eq!(state[field], want, "{field} of {state}");
    }
    assert_eq!(
        answer(&machine, AGENT, &["show", "reelmill-none.service"]),
        r#"{"unit":"reelmill-none.service","installed":false,"activity":"inactive","sub_state":"dead","main_pid":null,"result":"success","restarts":0,"memory_bytes":null,"since_unix_micros":null}"#
    );

    let other = answer(&machine, AGENT, &["show", OTHER]);
    assert!(other.contains(r#""activity":"active""#), "to look is not to touch: {other}");
    refuses_other_units(&machine);
    refuses_other_users(&machine);
    refuses_what_would_make_it_root(&machine);
    tells_why_a_worker_does_not_come_up(&machine);
}

fn refuses_other_units(machine: &Machine) {
    let before = machine.property(OTHER, "MainPID");
    let refused = complaint(&ask(machine, AGENT, &["restart", OTHER]));
    assert!(refused.contains("\"other.service\" is no unit of Reelmill"), "by the agent itself: {refused}");
    // And by polkit, where the agent is captured and asks all the same.
    for (verb, unit) in [
        ("restart", OTHER),
        ("stop", OTHER),
        ("stop", "systemd-journald.service"),
        ("start", "emergency.target"),
        // Ours, but not the agent's to touch: it would call off what undoes its own deeds.
        ("stop", "reelmill-dead-man-1.timer"),
        ("start", "reelmill-exec.service"),
        // Close to a name of ours.
        ("restart", "reelmill-workers.service"),
        ("restart", "not-reelmill-worker.service"),
        // Verbs that we do not need; to start is also what polkit calls the making of a transient unit.
        ("start", WORKER),
        ("freeze", WORKER),
    ] {
        let refused = complaint(&machine.run_as(AGENT, &["systemctl", "--no-ask-password", verb, unit]));
        assert!(refused.contains("Access denied"), "{verb} {unit}: {refused}");
    }
    assert_eq!(machine.property(OTHER, "MainPID"), before, "nobody touched it");
}

fn refuses_other_users(machine: &Machine) {
    let before = machine.property(WORKER, "MainPID");
    let refused = complaint(&ask(machine, "nobody", &["restart", WORKER]));
    assert!(
        refused.starts_with("error: cannot restart reelmill-worker.service: polkit refuses it ("),
        "the error names the unit and who refuses: {refused}"
    );
    assert_eq!(machine.property(WORKER, "MainPID"), before, "nobody touched it");
}

/// Whoever may make units, or change what they run, is root.
fn refuses_what_would_make_it_root(machine: &Machine) {
    let attempts: &[&[&str]] = &[
        &["systemd-run", "--no-ask-password", "--unit=reelmill-batch@1.service", "touch", "/owned"],
        // A name that polkit knows and no file has.
        &["systemd-run", "--no-ask-password", "--unit=reelmill-worker@1.service", "touch", "/owned"],
        &["systemd-run", "--no-ask-password", "--unit=any.service", "touch", "/owned"],
        &["systemctl", "--no-ask-password", "set-property", "--runtime", WORKER, "Environment=LD_PRELOAD=/tmp/x.so"],
        &["systemctl", "--no-ask-password", "link", "/tmp/reelmill-worker@.service"],
        &["systemctl", "--no-ask-password", "daemon-reload"],
        &["systemctl", "--no-ask-password", "set-environment", "LD_PRELOAD=/tmp/x.so"],
        &["hostnamectl", "--no-ask-password", "set-hostname", "owned"],
    ];
    for words in attempts {
        complaint(&machine.run_as(AGENT, words));
    }
    assert!(!machine.on_disk("/owned").exists(), "nothing ran");
}

fn tells_why_a_worker_does_not_come_up(machine: &Machine) {
    let refused = complaint(&ask(machine, AGENT, &["restart", "reelmill-worker@none.service"]));
    assert_eq!(
        refused,
        "error: cannot restart reelmill-worker@none.service: Unit reelmill-worker@none.service not found."
    );
    let replace = |with: &str| {
        let drop_in = format!("/run/systemd/system/{WORKER}.d/test.conf");
        machine.write(&drop_in, &format!("[Unit]\nStartLimitBurst=2\n[Service]\nType=oneshot\nExecStart=\n{with}\n"));
        machine.ok(&["systemctl", "daemon-reload"]);
    };
    replace("ExecStart=/usr/bin/false");
    // More often than systemd would start it by itself.
    for _ in 0..4 {
        let refused = complaint(&ask(machine, AGENT, &["restart", WORKER]));
        assert_eq!(refused, "error: cannot restart reelmill-worker.service: its job ended as \"failed\"");
        let state = answer(machine, AGENT, &["show", WORKER]);
        assert!(state.contains(r#""activity":"failed""#) && state.contains(r#""result":"exit-code""#), "{state}");
    }
    replace("ExecStart=/usr/bin/true");
    answer(machine, AGENT, &["restart", WORKER]);
}
