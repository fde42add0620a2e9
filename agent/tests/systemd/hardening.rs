//! What the agent's service can not do.

use reelmill_lab::nspawn::{Machine, Setup};

use crate::node::{WORKER, node};

/// As systemd counts: 0 is locked in, 10 is root with all doors open.
const MOST: f64 = 2.0;

#[test]
fn the_units_are_well_written_and_the_agent_is_locked_in() {
    let Some(setup) = node("the_units_are_well_written_and_the_agent_is_locked_in") else { return };
    let machine = setup.script("/usr/bin/reelmill-worker", "#!/bin/sh\n").boot();
    for unit in ["reelmill-agent.service", "reelmill-batch@.service", "reelmill-examine@.service"] {
        let verified =
            machine.run(&["systemd-analyze", "verify", "--man=no", &format!("/usr/lib/systemd/system/{unit}")]);
        assert!(verified.status.success() && verified.stderr.is_empty(), "{unit}: {verified:?}");
    }
    let score = score(&machine, "reelmill-agent.service");
    println!("systemd-analyze security reelmill-agent.service: {score}");
    assert!(score <= MOST, "the exposure is {score}");
    // The check can fail: a unit without any of it is wide open.
    assert!(self::score(&machine, "other.service") > 9.0);
}

/// A node whose agent's unit, with all that locks it in, does `asks` instead of the agent's work.
fn node_that_asks(test: &str, kind: &str, asks: &[&str]) -> Option<Setup> {
    let asks: Vec<_> = asks.iter().map(|ask| format!("ExecStart=/usr/bin/reelmill-agent systemd {ask}\n")).collect();
    let unit = format!("[Service]\nType={kind}\nRestart=no\nWatchdogSec=0\nExecStart=\n{}", asks.concat());
    let broken = "[Service]\nType=exec\nExecStart=/usr/bin/sh -c 'echo \"<3>broken\"; exec sleep infinity'\n";
    Some(node(test)?.unit(WORKER, broken).file("/etc/systemd/system/reelmill-agent.service.d/asks.conf", &unit))
}

#[test]
fn locked_in_it_still_asks_all_that_it_needs() {
    const ASKS: &[&str] = &["show reelmill-worker.service", "errors", "clock", "restart reelmill-worker.service"];
    let Some(setup) = node_that_asks("locked_in_it_still_asks_all_that_it_needs", "oneshot", ASKS) else { return };
    let machine = setup.boot();
    machine.ok(&["journalctl", "--sync"]);
    let before = machine.property(WORKER, "MainPID");
    let started = machine.run(&["systemctl", "start", "reelmill-agent.service"]);
    let told = machine.journal(&["--unit=reelmill-agent.service"]);
    let told: Vec<_> = told.iter().filter_map(|entry| entry["MESSAGE"].as_str()).collect();
    assert!(started.status.success(), "{told:?}");
    for want in [r#""sub_state":"running""#, r#""message":"broken""#] {
        assert!(told.iter().any(|line| line.contains(want)), "{want}: {told:?}");
    }
    assert!(told.iter().any(|line| ["true", "false"].contains(line)), "the clock: {told:?}");
    assert_ne!(machine.property(WORKER, "MainPID"), before);
}

#[test]
fn locked_in_it_still_holds_off_reboots() {
    let Some(setup) = node_that_asks("locked_in_it_still_holds_off_reboots", "exec", &["drain why"]) else { return };
    let machine = setup.boot();
    machine.ok(&["systemctl", "start", "reelmill-agent.service"]);
    machine.wait_for(WORKER, "ActiveState", "inactive");
    let login1 = ["org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager"];
    let held = machine.ok(&[&["busctl", "call"], &login1[..], &["ListInhibitors"]].concat());
    assert!(held.contains(r#""shutdown" "reelmill-agent" "why" "block""#), "{held}");
}

/// The last word of `Overall exposure level for UNIT: 1.3 OK :-)` but its opinion.
pub(crate) fn score(machine: &Machine, unit: &str) -> f64 {
    let words = ["systemd-analyze", "security", "--offline=true", "--no-pager"];
    let told = machine.ok(&[&words[..], &[&format!("/usr/lib/systemd/system/{unit}")]].concat());
    let level = told.lines().last().and_then(|line| line.split_once(&format!("{unit}: "))).expect("a level");
    level.1.split(' ').next().and_then(|number| number.parse().ok()).expect("a number")
}
