//! Commands that change the node in parts: what follows on what, and the way back.

use reelmill_api::fleet::command::{DrainFirst, Window};
use serde_json::json;

use super::*;

const TABLE: &str = include_str!("stages.txt");
/// Operations with parts, or with a part of the root helper's.
const OPS: [&str; 7] = ["switch", "rollback", "set-conf", "firmware", "power-mode", "trust", "factory-reset"];

/// A node on which the command has come to that part, by a boot or without.
fn at_part(op: &str, part: Phase, by_boot: bool) -> (Sim, Command) {
    let (command, seeds) = given(op);
    let mut sim = Sim { by_boot, ..Sim::new() };
    sim.send(&command, seeds);
    for _ in 0..20 {
        if part_of(&sim, command.id) == Some(part) {
            return (sim, command);
        }
        sim.go_on(command.id);
    }
    panic!("{op} never comes to {part:?}: {:?}", sim.story(command.id));
}

/// The part that a command is in.
fn part_of(sim: &Sim, id: CommandId) -> Option<Phase> {
    match sim.core.state(id)?.state {
        CommandState::Running { phase } => Some(phase),
        CommandState::Verifying => Some(Phase::Verify),
        _ => None,
    }
}

/// How a command ended, and what was done for it since `from` deeds.
fn end(mut sim: Sim, id: CommandId, from: usize) -> String {
    sim.run_out();
    let deeds = sim.deeds[from..].iter().map(name);
    let deeds: Vec<String> = deeds.collect();
    assert!(sim.core.memory.entries.values().all(Entry::is_over), "something is left");
    format!("{} [{}]", sim.state(id), deeds.join(", "))
}

fn name(deed: &Deed) -> String {
    match deed {
        Deed::FinishWork { .. } => "finish work".to_owned(),
        Deed::Perform { op, .. } => op.as_str().to_owned(),
        Deed::Part { phase, .. } => json!(phase).as_str().unwrap_or_default().to_owned(),
        Deed::Verify { .. } => "verify".to_owned(),
        Deed::CleanUp { order, resume_work, .. } => {
            let back = if order.is_some() { " by the helper" } else { "" };
            let work = if *resume_work { " and work" } else { "" };
            format!("clean up{back}{work}")
        }
    }
}

fn fault() -> Outcome {
    Err(Undone::for_now("broken", "it broke"))
}

fn fails(op: &str, part: Phase, by_boot: bool) -> String {
    let (mut sim, command) = at_part(op, part, by_boot);
    let from = sim.deeds.len();
    sim.finish(command.id, fault());
    end(sim, command.id, from)
}

fn takes_too_long(op: &str, part: Phase, by_boot: bool) -> String {
    let (mut sim, command) = at_part(op, part, by_boot);
    let from = sim.deeds.len();
    sim.pass(25 * 3600);
    end(sim, command.id, from)
}

fn called_off(op: &str, part: Phase, by_boot: bool) -> String {
    let (mut sim, command) = at_part(op, part, by_boot);
    let from = sim.deeds.len();
    sim.send(&super::command(2, "cancel", &json!({"target": command.id.to_string()})), &[3]);
    end(sim, command.id, from)
}

fn dies(op: &str, part: Phase, by_boot: bool, machine: bool) -> String {
    let (mut sim, command) = at_part(op, part, by_boot);
    let from = sim.deeds.len();
    sim.restart(machine);
    end(sim, command.id, from)
}

fn table() -> String {
    let mut table = String::new();
    for (op, by_boot) in OPS.iter().map(|op| (*op, false)).chain([("switch", true)]) {
        for part in plan::parts(&given(op).0) {
            let word = json!(part);
            let how = if by_boot { " by a boot" } else { "" };
            table.push_str(&format!("{op}{how}, {}\n", word.as_str().unwrap_or_default()));
            let row = [
                ("goes well ", dies_not(op, part, by_boot)),
                ("fails     ", fails(op, part, by_boot)),
                ("too long  ", takes_too_long(op, part, by_boot)),
                ("called off", called_off(op, part, by_boot)),
                ("killed    ", dies(op, part, by_boot, false)),
                ("power cut ", dies(op, part, by_boot, true)),
            ];
            row.iter().for_each(|(what, came)| table.push_str(&format!("  {what} {came}\n")));
        }
    }
    table
}

fn dies_not(op: &str, part: Phase, by_boot: bool) -> String {
    let (sim, command) = at_part(op, part, by_boot);
    let from = sim.deeds.len();
    end(sim, command.id, from)
}

#[test]
fn the_table_of_all_parts() {
    let table = table();
    assert!(table == TABLE, "the table is now\n{table}");
}

#[test]
fn a_switch_is_told_from_its_first_part_to_its_last() {
    let check = |by_boot: bool, change: &[&str]| {
        let (mut sim, (switch, seeds)) = (Sim { by_boot, ..Sim::new() }, given("switch"));
        sim.send(&switch, seeds);
        sim.run_out();
        let before = ["accepted", "running(preflight)", "running(fetch)", "running(check)", "running(drain)"];
        let after = ["running(commit)", "succeeded"];
        let mut story = sim.story(switch.id);
        story.dedup();
        assert_eq!(story, [&before, change, &after].concat());
        assert!(sim.events.iter().all(|event| event.kind != reelmill_api::fleet::topic::EventKind::Rollback));
    };
    check(false, &["running(activate)", "running(verify)"]);
    check(true, &["running(activate)", "rebooting", "verifying"]);
}

#[test]
fn a_window_that_closes_while_a_system_is_fetched_is_waited_for_again() {
    let closed_after_the_check = |window: Window| {
        let ((mut switch, seeds), mut sim) = (given("switch"), Sim::new());
        switch.policy.window = window;
        sim.send(&switch, seeds);
        sim.go_on(switch.id);
        is_open(&mut sim, false);
        sim.go_on(switch.id);
        sim.go_on(switch.id);
        (sim, switch)
    };
    let (mut sim, switch) = closed_after_the_check(Window::Next);
    // Longer than any command may take, and through the end of agent and machine.
    sim.pass(30 * 3600);
    [false, true].into_iter().for_each(|machine| sim.restart(machine));
    assert_eq!(sim.state(switch.id), "running(window)");
    is_open(&mut sim, true);
    assert_eq!(sim.state(switch.id), "running(drain)");
    sim.run_out();
    assert_eq!(sim.state(switch.id), "succeeded");

    let (mut sim, switch) = closed_after_the_check(Window::Next);
    sim.send(&super::command(2, "cancel", &json!({"target": switch.id.to_string()})), &[3]);
    assert_eq!(end(sim, switch.id, 3), "canceled [clean up by the helper]");

    let (sim, switch) = closed_after_the_check(Window::Now);
    assert_eq!(end(sim, switch.id, 3), "failed window_closed [clean up by the helper]");
    let (sim, switch) = closed_after_the_check(Window::Ignore);
    assert_eq!(sim.state(switch.id), "running(drain)");
}

fn is_open(sim: &mut Sim, open: bool) {
    sim.around.window_open = open;
    sim.happen(Event::Around(Box::new(sim.around.clone())));
}

#[test]
fn work_is_finished_as_the_policy_says() {
    let finish = |drain: DrainFirst| {
        let ((mut switch, seeds), mut sim) = (given("switch"), Sim::new());
        (switch.policy.drain, switch.policy.drain_s) = (drain, Some(60.try_into().expect("in bounds")));
        sim.send(&switch, seeds);
        sim.run_out();
        let within = |deed: &Deed| if let Deed::FinishWork { within, .. } = deed { Some(*within) } else { None };
        sim.deeds.iter().find_map(within)
    };
    assert_eq!(finish(DrainFirst::Wait), Some(None));
    assert_eq!(finish(DrainFirst::Deadline), Some(Some(Duration::from_secs(60))));
    assert_eq!(finish(DrainFirst::Skip), None);
}

#[test]
fn what_could_not_be_undone_is_told_with_both_reasons() {
    let (mut sim, switch) = at_part("switch", Phase::Verify, false);
    sim.finish(switch.id, Err(Undone::for_good("unwell", "no GPU is seen")));
    assert_eq!(sim.state(switch.id), "running(undo) unwell");
    sim.finish(switch.id, Err(Undone::for_now("activation_failed", "the old system does not start")));
    sim.run_out();
    let state = sim.core.state(switch.id).expect("it is known").clone();
    assert_eq!(show(&state), "failed undo_failed");
    let why = "unwell: no GPU is seen; and it could not be undone: activation_failed: the old system does not start";
    assert_eq!(state.error.expect("a fault").msg.as_str(), why);
    let event = sim.events.last().expect("an event");
    assert_eq!((event.kind.as_str(), event.command, event.msg.as_str()), ("rollback", Some(switch.id), why));
    assert_eq!(json!(event.detail), json!({"op": "switch", "state": "failed", "code": "undo_failed"}));
}

#[test]
fn a_change_that_was_undone_is_an_event() {
    let (mut sim, (switch, seeds)) = (Sim { unwell: true, ..Sim::new() }, given("switch"));
    sim.send(&switch, seeds);
    sim.run_out();
    assert_eq!(sim.state(switch.id), "rolled_back unwell");
    let event = sim.events.last().expect("an event");
    assert_eq!((event.kind.as_str(), event.msg.as_str()), ("rollback", "the worker is not well"));
    assert_eq!(json!(event.detail), json!({"op": "switch", "state": "rolled_back", "code": "unwell"}));
}

#[test]
fn nothing_else_changes_the_node_until_a_change_is_confirmed() {
    for (part, by_boot) in
        [(Phase::Activate, false), (Phase::Verify, false), (Phase::Verify, true), (Phase::Commit, true)]
    {
        let (mut sim, switch) = at_part("switch", part, by_boot);
        let others = [
            super::command(2, "reboot", &json!({})),
            super::command(3, "set-conf", &args("set-conf")),
            super::command(4, "drain", &json!({})),
            super::command(5, "restart-worker", &json!({})),
        ];
        others.iter().for_each(|other| sim.send(other, &[1, 2]));
        assert!(others.iter().all(|other| sim.state(other.id) == "queued(busy)"), "{part:?}");
        sim.go_on(switch.id);
        if part != Phase::Commit {
            assert!(others.iter().all(|other| sim.state(other.id) == "queued(busy)"), "{part:?}");
        }
        sim.run_out();
        assert_eq!(sim.state(switch.id), "succeeded");
        assert_eq!(sim.state(others[0].id), "succeeded", "its turn has come");
    }
}

#[test]
fn settings_change_one_after_the_other() {
    let (mut sim, first) = at_part("set-conf", Phase::Activate, false);
    let then = super::command(2, "set-conf", &json!({"ver": 3}));
    sim.send(&then, &[1]);
    assert_eq!(sim.state(then.id), "queued(busy)");
    sim.run_out();
    assert_eq!([sim.state(first.id), sim.state(then.id)], ["succeeded", "succeeded"]);
}

#[test]
fn what_is_under_way_ends_before_it_is_undone() {
    let (mut sim, switch) = at_part("switch", Phase::Activate, false);
    sim.pass(15 * 60);
    assert_eq!(sim.state(switch.id), "running(undo) timed_out");
    assert!(sim.running[&switch.id].1, "the activation was asked to end, and has not");
    let activating = matches!(sim.running[&switch.id].0, Deed::Part { phase: Phase::Activate, .. });
    assert!(activating, "{:?}", sim.running);
    sim.go_on(switch.id);
    assert!(matches!(sim.running[&switch.id].0, Deed::Part { phase: Phase::Undo, .. }));
    sim.run_out();
    assert_eq!(sim.state(switch.id), "rolled_back timed_out");
}

#[test]
fn a_machine_that_does_not_go_down_for_a_switch_gets_its_old_system_back() {
    let (mut sim, switch) = at_part("switch", Phase::Activate, true);
    sim.go_on(switch.id);
    assert_eq!(sim.state(switch.id), "rebooting");
    // It was told to; that deed ends well, and then nothing happens.
    sim.running.clear();
    sim.happen(Event::Done(switch.id, Ok(done())));
    sim.pass(15 * 60);
    assert_eq!(sim.state(switch.id), "running(undo) still_up");
    sim.run_out();
    assert_eq!(sim.state(switch.id), "rolled_back still_up");
}

#[test]
fn a_machine_that_goes_down_once_more_while_it_is_looked_at_gets_its_old_system_back() {
    let (mut sim, switch) = at_part("switch", Phase::Verify, true);
    assert_eq!(sim.state(switch.id), "verifying");
    sim.restart(true);
    sim.run_out();
    assert_eq!(sim.state(switch.id), "rolled_back interrupted");
}

#[test]
fn an_undoing_that_is_interrupted_goes_on() {
    for machine in [false, true] {
        let (mut sim, switch) = at_part("switch", Phase::Verify, false);
        sim.finish(switch.id, Err(Undone::for_good("unwell", "no GPU is seen")));
        for _ in 0..3 {
            sim.restart(machine);
            assert_eq!(sim.state(switch.id), "running(undo) unwell");
        }
        sim.run_out();
        assert_eq!(sim.state(switch.id), "rolled_back unwell");
    }
}

#[test]
fn the_helper_is_shown_the_message_as_it_came_also_after_a_restart() {
    let (mut sim, switch) = at_part("switch", Phase::Fetch, false);
    sim.restart(false);
    let Deed::Part { order, phase: Phase::Fetch } = &sim.running[&switch.id].0 else { panic!("{:?}", sim.running) };
    assert_eq!(order.message, signed(&switch, &[1, 2]));
    assert_eq!((&order.topic, &order.command), (&topic(&switch), &switch));
    sim.run_out();
    let entry = &Memory::of(sim.disk.clone()).entries[&switch.id];
    assert_eq!((&entry.command, &entry.message, &entry.before), (&None, &None, &None));
}

#[test]
fn what_needs_no_helper_keeps_no_message() {
    let mut sim = Sim::new();
    sim.send(&super::command(1, "reboot", &json!({})), &[1]);
    assert!(sim.core.memory.entries.values().all(|entry| entry.message.is_none()));
}

#[test]
fn the_node_is_compared_with_how_it_was_before_the_command() {
    let (mut sim, (switch, seeds)) = (Sim::new(), given("switch"));
    sim.send(&switch, seeds);
    sim.around.gpu = false;
    sim.happen(Event::Around(Box::new(sim.around.clone())));
    while part_of(&sim, switch.id) != Some(Phase::Activate) {
        sim.go_on(switch.id);
    }
    sim.restart(false);
    sim.go_on(switch.id);
    let Deed::Verify { before, takes_work, .. } = sim.running[&switch.id].0 else { panic!("{:?}", sim.running) };
    assert_eq!((before.gpu, before.clock, takes_work), (true, true, true));
}

#[test]
fn nobody_looks_at_the_worker_of_a_drained_node() {
    let (mut sim, drain, (mut switch, seeds)) = (Sim::new(), super::command(2, "drain", &json!({})), given("switch"));
    switch.by = drain.by.clone();
    sim.send(&drain, &[1]);
    sim.run_out();
    sim.send(&switch, seeds);
    while part_of(&sim, switch.id) != Some(Phase::Verify) {
        sim.go_on(switch.id);
    }
    assert!(matches!(sim.running[&switch.id].0, Deed::Verify { takes_work: false, .. }));
    sim.finish(switch.id, fault());
    sim.run_out();
    assert_eq!(sim.state(switch.id), "rolled_back broken");
    assert!(matches!(sim.deeds.last(), Some(Deed::CleanUp { resume_work: false, .. })), "it stays drained");
}

#[test]
fn new_keys_are_obeyed_as_soon_as_they_are_taken() {
    let (mut sim, (mut trust, seeds)) = (Sim::new(), given("trust"));
    let document = Trust::new(2, 1, super::trust().keys()[1..].to_vec()).expect("well formed").signed(&key(3));
    trust.op = Op::parse(&trust.op.name(), json!({"document": document})).expect("an operation");
    sim.send(&trust, seeds);
    let early = super::command(2, "restart-worker", &json!({}));
    sim.send(&early, &[1]);
    assert_eq!(sim.state(early.id), "running(act)", "the old keys count until the helper has the new ones");
    sim.run_out();
    assert_eq!(sim.state(trust.id), "succeeded");
    let late = super::command(3, "restart-worker", &json!({}));
    sim.send(&late, &[1]);
    assert_eq!(end_of(&sim, late.id), "rejected bad_signature");
    sim.send(&late, &[2]);
    assert_eq!(sim.state(late.id), "running(act)");
}

fn end_of(sim: &Sim, id: CommandId) -> String {
    sim.story(id).pop().unwrap_or_default()
}
