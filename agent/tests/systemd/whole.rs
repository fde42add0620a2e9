//! The whole way of a change: an operator's message, a real broker, the agent, its root helper and a service manager; with
//! agents and machines that die on the way.

use std::collections::HashSet;

use reelmill_api::fleet::{CommandId, State};
use reelmill_lab::{
    mosquitto::Mosquitto,
    nspawn::{Ended, Machine, Setup},
    programs::eventually,
};
use serde_json::{Value, json};

use crate::{
    farm::{AGENT, NODE, WORKER, at_broker},
    hub::{Ear, command, send},
    node::node,
};

/// A machine whose agent is at a broker.
pub(crate) struct Place {
    pub(crate) machine: Machine,
    broker: Mosquitto,
    pub(crate) ear: Ear,
}

impl Place {
    pub(crate) fn boot(setup: Setup) -> Self {
        Self::boot_with(setup, |setup| setup)
    }

    fn boot_with(setup: Setup, more: impl FnOnce(Setup) -> Setup) -> Self {
        let broker = Mosquitto::start();
        let setup = more(at_broker(setup, &broker, ""));
        let ear = Ear::open(&broker);
        let place = Self { machine: setup.boot(), broker, ear };
        place.ear.said_on(&format!("reelmill/1/n/{NODE}/cap"));
        place
    }

    pub(crate) fn give(&self, op: &str, args: Value) -> CommandId {
        let command = command(NODE, op, args);
        send(&self.broker, NODE, &command, &[1]);
        command.id
    }

    /// New settings: so many tasks at once.
    fn set_conf(&self, ver: u64, concurrency: u32) -> CommandId {
        self.give("set-conf", json!({"ver": ver, "concurrency": concurrency}))
    }

    /// The end of a command in short, with the code of its fault.
    fn end(&self, id: CommandId) -> String {
        in_short(&self.ear.end(NODE, id))
    }

    /// Waits until the command has come to that part.
    fn in_part(&self, id: CommandId, part: &str) {
        eventually(part, || {
            let states = self.ear.states(NODE, id);
            let past = states.iter().any(|state| state.state.is_final());
            let there = |state: &State| state.state.as_str() == part || json!(state)["phase"] == part;
            (past || states.iter().any(there)).then_some(())
        });
    }

    /// Kills the agent, and waits until another one has come to the broker.
    fn kill_agent(&self) {
        let conns = || {
            let words = self.ear.on(&format!("reelmill/1/n/{NODE}/health"));
            let conn = |word: String| Some(serde_json::from_str::<Value>(&word).ok()?["conn"].to_string());
            words.into_iter().filter_map(conn).collect::<HashSet<_>>().len()
        };
        let before = conns();
        self.machine.ok(&["systemctl", "kill", "--signal=KILL", AGENT]);
        eventually("another agent", || (conns() > before).then_some(()));
    }

    fn goes_down_and_boots(mut self) -> Self {
        assert_eq!(self.machine.ended(), Ended::Rebooting);
        Self { machine: self.machine.boot_again(), ..self }
    }

    /// With how many tasks at once the worker runs, and how its unit is.
    fn worker(&self) -> (String, String) {
        let pid = self.machine.property(WORKER, "MainPID");
        let read = format!("tr '\\0' '\\n' < /proc/{pid}/environ | sed -n 's/^CONCURRENCY=//p'");
        (self.machine.property(WORKER, "ActiveState"), self.machine.ok(&["sh", "-c", &read]))
    }

    fn well_with(&self, concurrency: &str) {
        let want = ("active".to_owned(), concurrency.to_owned());
        eventually("a worker that is well", || (self.worker() == want).then_some(()));
    }
}

fn in_short(state: &State) -> String {
    let code = state.error.as_ref().map(|fault| format!(" {}", fault.code)).unwrap_or_default();
    format!("{}{code}", state.state.as_str())
}

#[test]
fn settings_that_the_worker_is_well_with_stay_and_others_are_undone() {
    let Some(setup) = node("settings_that_the_worker_is_well_with_stay_and_others_are_undone") else { return };
    let place = Place::boot(setup);
    let ops = place.ear.said_on(&format!("reelmill/1/n/{NODE}/cap"))["ops"].clone();
    assert!(ops["set-conf"] == 1 && ops["switch"] == 1, "{ops}");
    place.well_with("1");

    let good = place.set_conf(1, 2);
    assert_eq!(place.end(good), "succeeded");
    assert_eq!(place.ear.end(NODE, good).result["conf_ver"], 1);
    place.well_with("2");
    let parts = place.ear.states(NODE, good);
    let mut parts: Vec<_> = parts.iter().filter_map(|s| json!(s)["phase"].as_str().map(str::to_owned)).collect();
    // What is under way is told again on a new connection.
    parts.dedup();
    assert_eq!(parts, ["check", "activate", "verify", "commit"]);

    assert_eq!(place.end(place.set_conf(2, 13)), "failed bad_settings", "the worker refuses them");
    place.well_with("2");
    assert_eq!(place.end(place.set_conf(3, 7)), "rolled_back service_manager", "the worker does not start with them");
    place.well_with("2");
    let told = place.ear.said_on(&format!("reelmill/1/n/{NODE}/ev/rollback"));
    assert_eq!((&told["detail"]["op"], &told["detail"]["state"]), (&json!("set-conf"), &json!("rolled_back")));
    assert_eq!(place.end(place.set_conf(4, 3)), "succeeded", "the way is clear for others");
    place.well_with("3");
}

#[test]
fn a_change_of_settings_ends_whoever_dies_in_whichever_part() {
    let Some(setup) = node("a_change_of_settings_ends_whoever_dies_in_whichever_part") else { return };
    let mut place = Place::boot(setup);
    let mut in_force = "1".to_owned();
    let (mut ver, mut seen) = (0, Vec::new());
    for part in ["check", "activate", "verify", "commit"] {
        for cut in [false, true] {
            ver += 1;
            let id = place.set_conf(ver, 20 + u32::try_from(ver).expect("small"));
            place.in_part(id, part);
            if cut {
                place.machine.kill();
                place.machine = place.machine.boot_again();
            } else {
                place.machine.ok(&["systemctl", "kill", "--signal=KILL", AGENT]);
            }
            let end = place.end(id);
            if end == "succeeded" {
                in_force = (20 + ver).to_string();
            }
            place.well_with(&in_force);
            seen.push(format!("{part}, {}: {end}", if cut { "power cut" } else { "agent killed" }));
        }
    }
    // A part that is short may have ended before the blow.
    let known = ["succeeded", "rolled_back interrupted"];
    let strange: Vec<_> = seen.iter().filter(|line| !known.iter().any(|end| line.ends_with(end))).collect();
    assert!(strange.is_empty(), "{strange:?} of {seen:?}");
    println!("{}", seen.join("\n"));
}

/// A worker that stays while its drain is held, and a machine that stays while its end is held.
fn holds(setup: Setup) -> Setup {
    const STOP: &str = "[Service]\nExecStop=/bin/sh -c 'while [ -e /run/hold-drain ]; do sleep 0.1; done'\n";
    setup
        .file(&format!("/etc/systemd/system/{WORKER}.d/hold.conf"), STOP)
        .file("/etc/systemd/logind.conf.d/hold.conf", "[Login]\nInhibitDelayMaxSec=80\n")
}

#[test]
fn a_reboot_ends_whoever_dies_in_whichever_part() {
    const HOLD: &str = "systemd-run --quiet --unit=hold systemd-inhibit --who=holder --what=shutdown --mode=delay sleep 1000; \
        until systemd-inhibit --list --no-pager | grep -q holder; do sleep 0.1; done";
    const LET_GO: &str = "rm -f /run/hold-drain; systemctl stop hold.service";
    let Some(setup) = node("a_reboot_ends_whoever_dies_in_whichever_part") else { return };
    let mut place = Place::boot_with(setup, holds);
    let mut seen = Vec::new();
    for part in ["drain", "rebooting", "verifying"] {
        for cut in [false, true] {
            let sh = |place: &Place, script: &str| place.machine.ok(&["sh", "-c", script]);
            match part {
                "drain" => sh(&place, "touch /run/hold-drain"),
                "rebooting" => sh(&place, HOLD),
                _ => String::new(),
            };
            let id = place.give("reboot", json!({}));
            if part == "verifying" {
                // What it was for has happened, and its agent may not have said so yet.
                place = place.goes_down_and_boots();
            } else {
                place.in_part(id, part);
            }
            match (part, cut) {
                // What is forgotten with a boot holds no more.
                ("drain", true) => {
                    place.machine.kill();
                    place.machine = place.machine.switch_on_again();
                    place = place.goes_down_and_boots();
                }
                (_, true) => {
                    place.machine.kill();
                    place.machine = place.machine.boot_again();
                }
                ("verifying", false) => place.kill_agent(),
                (_, false) => {
                    place.kill_agent();
                    // It may go down before it says that it was done.
                    place.machine.run(&["sh", "-c", LET_GO]);
                    place = place.goes_down_and_boots();
                }
            }
            seen.push(format!("{part}, {}: {}", if cut { "power cut" } else { "agent killed" }, place.end(id)));
            place.machine.wait_for(WORKER, "ActiveState", "active");
        }
    }
    let strange: Vec<_> = seen.iter().filter(|line| !line.ends_with("succeeded")).collect();
    assert!(strange.is_empty(), "{strange:?} of {seen:?}");
    println!("{}", seen.join("\n"));
}
