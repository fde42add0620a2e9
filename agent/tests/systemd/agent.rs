//! The agent as a service: ready, watched, started again, confined, and heard in the journal.

use reelmill_lab::{
    nspawn::{Machine, Setup},
    programs::eventually,
};
use serde_json::Value;

use crate::node::{AGENT, WORKER, node};

const UNIT: &str = "reelmill-agent.service";

fn node_with_agent(test: &str) -> Option<Setup> {
    Some(node(test)?.enabled(UNIT))
}

#[test]
fn the_agent_gets_ready_and_is_confined() {
    let Some(setup) = node_with_agent("the_agent_gets_ready_and_is_confined") else { return };
    let machine = setup.boot();
    assert_eq!(machine.property(UNIT, "SubState"), "running", "{:?}", machine.journal(&["--unit", UNIT]));
    assert_eq!(machine.property(UNIT, "NRestarts"), "0");

    let pid = machine.property(UNIT, "MainPID");
    let status = machine.ok(&["cat", &format!("/proc/{pid}/status")]);
    for (field, want) in
        [("NoNewPrivs", "1"), ("Seccomp", "2"), ("CapEff", "0000000000000000"), ("CapBnd", "0000000000000000")]
    {
        let got = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(":"));
        assert_eq!(got.map(str::trim), Some(want), "{field}");
    }
    assert_eq!(machine.ok(&["ps", "-o", "user:20=", "-p", &pid]), AGENT);
    assert_eq!(machine.ok(&["stat", "-c", "%U %a", "/var/lib/reelmill-agent"]), "reelmill-agent 700");
    // As the service sees the machine: its own folder can be written, nothing else.
    let inside = |script: &str| machine.run(&["nsenter", "--mount", "--target", &pid, "sh", "-c", script]);
    assert!(inside("touch /var/lib/reelmill-agent/x").status.success());
    for folder in ["/usr", "/etc", "/etc/reelmill", "/var/lib", "/sys/kernel"] {
        assert!(
            !inside(&format!("touch {folder}/x")).status.success(),
            "{folder} is read-only, even for root in there"
        );
    }

    machine.ok(&["systemctl", "stop", UNIT]);
    assert_eq!(machine.property(UNIT, "Result"), "success", "it ends when told to");
    assert_eq!(machine.property(UNIT, "ExecMainStatus"), "0");
}

#[test]
fn the_page_tells_of_units_and_of_the_last_errors() {
    let Some(setup) = node_with_agent("the_page_tells_of_units_and_of_the_last_errors") else { return };
    let machine = setup.file("/etc/reelmill/agent.toml", &format!("units = [\"{WORKER}\", \"none.service\"]\n")).boot();
    eventually("a look at the journal", || status(&machine)?["journal"].is_array().then_some(()));
    machine.ok(&["systemctl", "kill", "--signal=SEGV", WORKER]);
    let status = eventually("a worker that failed", || {
        let status = status(&machine)?;
        (status["units"][0]["active_state"] == "failed").then_some(status)
    });
    assert_eq!(status["units"][0]["name"], WORKER);
    assert_eq!(status["units"][0]["result"], "signal");
    assert_eq!(status["units"].as_array().map(Vec::len), Some(1));
    let absent = status["absent"].as_array().expect("a list");
    assert!(
        absent.iter().any(|a| a["source"] == "systemd" && a["why"] == "none.service is not installed"),
        "{absent:?}"
    );
    assert_eq!(status["journal"], serde_json::json!([]), "it was read before, and was good");
}

/// What the agent's page says as JSON; `None` while it does not answer.
fn status(machine: &Machine) -> Option<Value> {
    const GET: &str = "exec 3<>/dev/tcp/127.0.0.1/9310 && printf 'GET /api/status HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3 && cat <&3";
    let answer = String::from_utf8(machine.run(&["bash", "-c", GET]).stdout).ok()?;
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}

#[test]
fn the_watchdog_kills_an_agent_that_hangs_and_it_resumes() {
    let Some(setup) = node_with_agent("the_watchdog_kills_an_agent_that_hangs_and_it_resumes") else { return };
    // Seconds instead of half a minute, so that the test need not wait.
    let quick = "[Service]\nWatchdogSec=5s\nRestartSec=100ms\n";
    let machine = setup.file(&format!("/etc/systemd/system/{UNIT}.d/quick.conf"), quick).boot();
    let first = running(&machine, "0");
    machine.ok(&["kill", "-STOP", &first]);
    let second = running(&machine, "1");
    assert_ne!(first, second);
    let words = machine.journal(&["--unit", UNIT, "_PID=1"]);
    let words: Vec<_> = words.iter().filter_map(|entry| entry["MESSAGE"].as_str()).collect();
    assert!(words.iter().any(|word| word.contains("Watchdog timeout")), "{words:?}");

    machine.ok(&["kill", "-KILL", &second]);
    assert_ne!(running(&machine, "2"), second, "a crash is survived too");
}

/// The agent's process once it has been started again so often, and is ready.
fn running(machine: &Machine, restarts: &str) -> String {
    machine.wait_for(UNIT, "NRestarts", restarts);
    machine.wait_for(UNIT, "SubState", "running");
    machine.property(UNIT, "MainPID")
}

#[test]
fn what_the_agent_logs_is_in_the_journal_with_its_fields() {
    let Some(setup) = node_with_agent("what_the_agent_logs_is_in_the_journal_with_its_fields") else { return };
    let machine = setup.boot();
    let own = machine.journal(&["--unit", UNIT, "--identifier=reelmill-agent"]);
    let entry = own.first().expect("it says that it started");
    for (field, want) in
        [("_SYSTEMD_UNIT", UNIT), ("SYSLOG_IDENTIFIER", "reelmill-agent"), ("_TRANSPORT", "journal"), ("PRIORITY", "5")]
    {
        assert_eq!(entry[field].as_str(), Some(want), "{field} of {entry}");
    }
    let pid = machine.property(UNIT, "MainPID");
    assert_eq!(entry["SYSLOG_PID"].as_str().or(entry["_PID"].as_str()), Some(pid.as_str()), "{entry}");
    for field in ["MESSAGE", "TARGET", "CODE_LINE"] {
        assert!(entry[field].as_str().is_some_and(|text| !text.is_empty()), "{field} of {entry}");
    }
}
