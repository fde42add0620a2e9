//! The agent dies after each single thing that it does, alone or with its machine, and every command comes to its end.

use serde_json::json;

use super::*;

/// What happens to a node, and how the node is.
struct Scene {
    name: &'static str,
    commands: Vec<Command>,
    by_boot: bool,
    unwell: bool,
}

impl Scene {
    fn start(&self) -> Sim {
        Sim { by_boot: self.by_boot, unwell: self.unwell, ..Sim::new() }
    }

    /// How often the machine may go down.
    fn descents(&self) -> usize {
        let goes_down = |command: &&Command| match &command.op {
            Op::Firmware(_) | Op::FactoryReset(_) => true,
            op => plan::goes_down(op) || (self.by_boot && plan::has_stages(op)),
        };
        self.commands.iter().filter(goes_down).count()
    }
}

/// Commands, and which of them are called off while they run.
fn scenes() -> Vec<Scene> {
    let plain = simple_scenes().into_iter().map(|(name, commands)| (name, commands, false, false));
    let all = plain.chain(changes());
    all.map(|(name, commands, by_boot, unwell)| Scene { name, commands, by_boot, unwell }).collect()
}

/// Commands that change the node in parts: whether by a boot, and whether it is unwell then.
fn changes() -> Vec<(&'static str, Vec<Command>, bool, bool)> {
    let given = |op: &str| vec![super::given(op).0];
    let numbered = |n: u8, op: &str| command(n, op, &args(op));
    let off = command(2, "cancel", &json!({"target": numbered(1, "switch").id.to_string()}));
    let mut brief = numbered(1, "switch");
    brief.ttl_s = Some(1.try_into().expect("in bounds"));
    vec![
        ("switch", given("switch"), false, false),
        ("switch by a boot", given("switch"), true, false),
        ("switch, unwell", given("switch"), false, true),
        ("switch by a boot, unwell", given("switch"), true, true),
        ("rollback", given("rollback"), false, false),
        ("rollback by a boot, unwell", given("rollback"), true, true),
        ("set-conf", given("set-conf"), false, false),
        ("set-conf, unwell", given("set-conf"), false, true),
        ("firmware", given("firmware"), false, false),
        ("firmware, unwell", given("firmware"), false, true),
        ("trust", given("trust"), false, false),
        ("factory-reset", given("factory-reset"), false, false),
        ("rotate-cred", given("rotate-cred"), false, false),
        ("switch, called off", vec![numbered(1, "switch"), off], false, false),
        ("switch, too long", vec![brief], false, false),
        ("switch and set-conf", vec![numbered(1, "switch"), numbered(2, "set-conf")], false, false),
        ("drain, then switch", vec![numbered(1, "drain"), numbered(2, "switch")], false, false),
        ("switch, unwell, then reboot", vec![numbered(1, "switch"), numbered(2, "reboot")], false, true),
    ]
}

fn simple_scenes() -> Vec<(&'static str, Vec<Command>)> {
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
        sim.go_on(id);
        if sim.boot != boot {
            // A machine that came back took the count with it.
            sim.lives = lives;
        }
    }
}

/// How a death comes.
#[derive(Clone, Copy, Debug)]
struct Death {
    /// After how many effects.
    lives: usize,
    /// With the machine, or of the agent alone.
    machine: bool,
    /// Whether the root helper finishes what it was at, and nobody hears of it.
    late: bool,
}

fn check(scene: &Scene, death: Death) -> bool {
    let Death { lives, machine, late } = death;
    let mut sim = scene.start();
    play(&mut sim, &scene.commands, Some(lives));
    let died = sim.is_dead();
    // What was told to go down before the death goes down, whether the agent still knows or not.
    let down =
        sim.running.values().any(|(deed, _)| matches!(deed, Deed::Perform { op: Op::Reboot(_) | Op::Poweroff(_), .. }));
    if late {
        sim.restart_late(machine || down)
    } else {
        sim.restart(machine || down)
    }
    sim.run_out();
    let at = format!("{}, {death:?}", scene.name);
    for command in &scene.commands {
        let state = sim.core.state(command.id).unwrap_or_else(|| panic!("{at}: forgotten"));
        assert!(state.state.is_final(), "{at}: {}", show(state));
        let seqs: Vec<u64> = sim.told.iter().filter(|told| told.id == command.id).map(|told| told.seq).collect();
        assert!(seqs.is_sorted(), "{at}: {seqs:?}");
        let last = sim.told.iter().rfind(|told| told.id == command.id);
        assert_eq!(last, Some(state), "{at}: its end was not told");
        is_confirmed_or_undone(&sim, command, &at);
    }
    assert!(sim.descents <= scene.descents(), "{at}: went down {} times", sim.descents);
    let entries = &sim.core.memory.entries;
    assert!(entries.values().all(Entry::is_over), "{at}: something was left behind");
    assert!(entries.values().all(|entry| entry.command.is_none() && entry.message.is_none()), "{at}: kept for nothing");
    let lanes = sim.core.lanes();
    assert!(lanes.exclusive.is_none() && lanes.shared == 0, "{at}: a lane is taken");
    died
}

/// A change that was begun is confirmed, or undone, and never both; and what is told of it is true.
fn is_confirmed_or_undone(sim: &Sim, command: &Command, at: &str) {
    if !wire::parts(&command.op).contains(&Phase::Commit) {
        return;
    }
    let of_it = |deed: &&Deed, wanted| matches!(deed, Deed::Part { phase, order } if *phase == wanted && order.command.id == command.id);
    let asked = |phase| sim.deeds.iter().any(|deed| of_it(&deed, phase));
    let done = sim.parts_of(command.id);
    let (confirmed, undone) = (done.contains(&Phase::Commit), done.contains(&Phase::Undo));
    assert!(!(confirmed && undone), "{at}: {done:?}");
    if asked(Phase::Activate) {
        assert!(confirmed || asked(Phase::Undo), "{at}: left in between, {done:?}");
    }
    let state = sim.core.state(command.id).expect("it is known");
    assert_eq!(state.state == CommandState::Succeeded, confirmed, "{at}: {} after {done:?}", show(state));
    assert!(state.state != CommandState::RolledBack || undone, "{at}: {done:?}");
    if !sim.unwell && undone && asked(Phase::Activate) {
        assert_eq!(state.error.as_ref().map(|fault| fault.code.as_str()), Some("interrupted"), "{at}");
    }
}

#[test]
fn every_command_ends_wherever_the_agent_dies() {
    let mut deaths = 0;
    for scene in scenes() {
        for (machine, late) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut lives = 0;
            while check(&scene, Death { lives, machine, late }) {
                lives += 1;
            }
            assert!(lives > 4, "{} is more than {lives} effects", scene.name);
            deaths += lives;
        }
    }
    assert!(deaths > 1500, "{deaths} deaths");
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
    for scene in scenes() {
        let mut sim = scene.start();
        play(&mut sim, &scene.commands, None);
        for length in 0..=sim.disk.len() {
            let mut again = Sim { disk: sim.disk[..length].to_vec(), retained: sim.retained.clone(), ..Sim::asleep() };
            (again.by_boot, again.unwell) = (scene.by_boot, scene.unwell);
            again.parts = parts_in(&again.disk);
            again.restart(false);
            again.run_out();
            for command in &scene.commands {
                let state = again.core.state(command.id).expect("it came again");
                assert!(state.state.is_final(), "{}, {length} records: {}", scene.name, show(state));
            }
        }
    }
}

/// The parts that the root helper must have done, by what the agent has written.
fn parts_in(disk: &[Record]) -> Vec<(CommandId, Phase)> {
    let mut parts = Vec::new();
    for record in disk {
        let Record::Command(entry) = record else { continue };
        let Some(command) = entry.command.as_deref() else { continue };
        let all = plan::parts(command);
        let at = match entry.state.state {
            CommandState::Running { phase } => all.iter().position(|part| *part == phase),
            CommandState::Rebooting | CommandState::Verifying => all.iter().position(|part| *part == Phase::Verify),
            _ => None,
        };
        let done = all[..at.unwrap_or(0)].iter().filter(|part| wire::parts(&command.op).contains(part));
        parts = done.map(|phase| (command.id, *phase)).collect();
    }
    parts
}
