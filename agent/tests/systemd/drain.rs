//! A drain holds off the end of the machine, for root too; without one, the agent's user ends it.

use std::process::Output;

use reelmill_lab::{
    nspawn::{Ended, Machine},
    programs::eventually,
};

use crate::node::{AGENT, WORKER, ask, complaint, node};

/// Drains from a unit of its own, as the agent would.
fn drain(machine: &Machine, unit: &str) {
    let (unit, uid) = (format!("--unit={unit}"), format!("--uid={AGENT}"));
    let words = ["systemd-run", "--quiet", &unit, &uid, "--service-type=exec"];
    machine.ok(&[&words[..], &["/usr/bin/reelmill-agent", "systemd", "drain", "a film is in work"]].concat());
    machine.wait_for(WORKER, "ActiveState", "inactive");
}

#[test]
fn a_drain_refuses_a_reboot_even_for_root() {
    let Some(setup) = node("a_drain_refuses_a_reboot_even_for_root") else { return };
    let mut machine = setup.boot();
    drain(&machine, "drain");

    for verb in ["reboot", "poweroff"] {
        let refused = complaint(&machine.run(&["systemctl", verb]));
        assert!(refused.contains("Access denied"), "{verb}: {refused}");
    }
    for (verb, words) in [("reboot", "reboot this machine"), ("power-off", "switch this machine off")] {
        assert_eq!(
            complaint(&ask(&machine, AGENT, &[verb])),
            format!("error: cannot {words}: held off by reelmill-agent (a film is in work)")
        );
    }

    // Told to end, it lets go and starts the worker again.
    machine.ok(&["systemctl", "stop", "drain.service"]);
    assert_eq!(machine.property(WORKER, "ActiveState"), "active");
    machine.run(&["systemctl", "reboot"]);
    assert_eq!(machine.ended(), Ended::Rebooting);
}

/// Whether nothing spoke against it: who asks for the end of a machine may not live to say so.
fn is_granted(asked: &Output) -> bool {
    !String::from_utf8_lossy(&asked.stderr).contains("error: ")
}

#[test]
fn a_drain_ends_with_who_held_it_and_the_agents_user_reboots_and_switches_off() {
    let Some(setup) = node("a_drain_ends_with_who_held_it_and_the_agents_user_reboots_and_switches_off") else {
        return;
    };
    let mut machine = setup.boot();

    let refused = complaint(&ask(&machine, "nobody", &["reboot"]));
    assert!(refused.starts_with("error: cannot reboot this machine: polkit refuses it ("), "{refused}");

    drain(&machine, "drain");
    complaint(&ask(&machine, AGENT, &["reboot"]));
    machine.ok(&["systemctl", "kill", "--signal=KILL", "drain.service"]);
    eventually("the end of the drain", || is_granted(&ask(&machine, AGENT, &["reboot"])).then_some(()));
    assert_eq!(machine.ended(), Ended::Rebooting);

    let mut machine = machine.boot_again();
    assert_eq!(machine.property(WORKER, "ActiveState"), "active", "a drain does not outlive a boot");
    assert!(is_granted(&ask(&machine, AGENT, &["power-off"])));
    assert_eq!(machine.ended(), Ended::PoweredOff);
}
