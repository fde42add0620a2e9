//! The agent dies after each single thing that it does, alone or with its machine, and every command comes to its end.

use serde_json::json;

use super::*;

/// Commands, and which of them are called off while they run.
fn scenes() -> Vec<(&'static str, Vec<Command>)> {
    let one = |op: &str, args: Value| vec![command(1, op, &args)];
    let target = command(1, "batch", &json!({}));
    let off = command(2, "cancel", &json!({"target": target.id.to_string()}));
    let mut brief = command(1, "self-test", &json!({}));
    brief.ttl_s = Some(1.try_into().expect("in bounds"));
    vec![
        ("tags", one("tags", json!({"add": ["lan"]}))),
        ("drain", one("drain", json!({}))),
        ("restart-worker", one("restart-worker", json!({}))),
        ("logs-tail", one("logs-tail", json!({"unit": "a.service"}))),
        ("self-test", one("self-test", json!({}))),
        ("power-mode", one("power-mode", json!({"mode": 1}))),
        ("batch", one("batch", json!({}))),
        ("reboot", one("reboot", json!({}))),
        ("poweroff", one("poweroff", json!({"confirm": "orin-3"}))),
        ("batch, called off", vec![target, off]),
        ("self-test, too long", vec![brief]),
        ("reboot twice", vec![command(1, "reboot", &json!({})), command(2, "reboot", &json!({}))]),
        ("drain, then reboot", vec![command(1, "drain", &json!({})), command(2, "reboot", &json!({}))]),
    ]
}

/// Plays a scene until the agent dies or all is over. How many effects it took.
fn play(sim: &mut Sim, commands: &[Command], lives: Option<usize>) {
    sim.lives = lives;
    for command in commands {
        if !sim.is_dead() {
            sim.send(command, &[1, 2]);
        } else {
            sim.retained.insert(command.id, (topic(command), signed(command, &[1, 2])));
        }
    }
    if !sim.is_dead() {
        sim.pass(2);
    }
    while !sim.is_dead() {
        let Some(id) = sim.running.keys().next().copied() else { return };
        let boot = sim.boot;
        let lives = sim.lives;
        sim.finish(id, Ok(done()));
        if sim.boot != boot {
            // A machine that came back took the count with it.
            sim.lives = lives;
        }
    }
}

fn check(name: &str, commands: &[Command], lives: usize, machine: bool) -> bool {
    let mut sim = Sim::new();
    play(&mut sim, commands, Some(lives));
    let died = sim.is_dead();
    // What was told to go down before the death goes down, whether the agent still knows or not.
    let down =
        sim.running.values().any(|(deed, _)| matches!(deed, Deed::Perform { op: Op::Reboot(_) | Op::Poweroff(_), .. }));
    sim.restart(machine || down);
    sim.run_out();
    let scene = format!("{name}, dead after {lives} effects, {}", if machine { "power cut" } else { "killed" });
    for command in commands {
        let state = sim.core.state(command.id).unwrap_or_else(|| panic!("{scene}: forgotten"));
        assert!(state.state.is_final(), "{scene}: {}", show(state));
        let seqs: Vec<u64> = sim.told.iter().filter(|told| told.id == command.id).map(|told| told.seq).collect();
        assert!(seqs.is_sorted(), "{scene}: {seqs:?}");
        let last = sim.told.iter().rfind(|told| told.id == command.id);
        assert_eq!(last, Some(state), "{scene}: its end was not told");
    }
    let reboots = commands.iter().filter(|command| plan::goes_down(&command.op)).count();
    assert!(sim.descents <= reboots, "{scene}: went down {} times", sim.descents);
    assert!(sim.core.memory.entries.values().all(Entry::is_over), "{scene}: something was left behind");
    let lanes = sim.core.lanes();
    assert!(lanes.exclusive.is_none() && lanes.shared == 0, "{scene}: a lane is taken");
    died
}

#[test]
fn every_command_ends_wherever_the_agent_dies() {
    let mut deaths = 0;
    for (name, commands) in scenes() {
        for machine in [false, true] {
            let mut lives = 0;
            while check(name, &commands, lives, machine) {
                lives += 1;
            }
            assert!(lives > 4, "{name} is more than {lives} effects");
            deaths += lives;
        }
    }
    assert!(deaths > 150, "{deaths} deaths");
}

#[test]
fn a_command_that_kills_the_agent_each_time_fails_in_the_end() {
    let (mut sim, test) = (Sim::new(), command(1, "self-test", &json!({})));
    sim.send(&test, &[1]);
    for _ in 0..3 {
        sim.restart(false);
        assert_eq!(sim.state(test.id), "running(encode)");
    }
    sim.restart(false);
    assert_eq!(sim.state(test.id), "failed interrupted");
}

#[test]
fn a_command_that_takes_the_machine_down_is_not_begun_again() {
    let (mut sim, test) = (Sim::new(), command(1, "self-test", &json!({})));
    sim.send(&test, &[1]);
    sim.restart(true);
    assert_eq!((sim.state(test.id).as_str(), sim.deeds.len()), ("failed interrupted", 1));
}

#[test]
fn each_prefix_of_the_ledger_leads_to_an_end() {
    for (name, commands) in scenes() {
        let mut sim = Sim::new();
        play(&mut sim, &commands, None);
        for length in 0..=sim.disk.len() {
            let mut again = Sim { disk: sim.disk[..length].to_vec(), retained: sim.retained.clone(), ..Sim::asleep() };
            again.restart(false);
            again.run_out();
            for command in &commands {
                let state = again.core.state(command.id).expect("it came again");
                assert!(state.state.is_final(), "{name}, {length} records: {}", show(state));
            }
        }
    }
}
