//! What commands wait for, who may call them off, how often they are told of.

use reelmill_api::fleet::{
    command::{DrainFirst, Window},
    topic::EventKind,
};
use serde_json::json;

use super::*;

fn reboot(n: u8) -> Command {
    command(n, "reboot", &json!({}))
}

fn cancel(n: u8, target: &Command) -> Command {
    command(n, "cancel", &json!({"target": target.id.to_string()}))
}

#[test]
fn a_reboot_finishes_work_goes_down_and_is_done_when_the_node_is_back() {
    let (mut sim, reboot) = (Sim::new(), reboot(1));
    sim.send(&reboot, &[1]);
    sim.run_out();
    let want = ["accepted", "running(drain)", "rebooting", "verifying", "succeeded"];
    let mut story = sim.story(reboot.id);
    story.dedup();
    assert_eq!(story, want);
    assert_eq!((sim.descents, sim.boot), (1, 2));
    let last = sim.told.last().expect("told");
    assert_eq!(json!(last.result), json!({"boot_id": "boot-2", "boot_id_before": "boot-1"}));
}

#[test]
fn a_reboot_that_finishes_no_work_goes_down_at_once() {
    let (mut sim, mut reboot) = (Sim::new(), reboot(1));
    reboot.policy.drain = DrainFirst::Skip;
    sim.send(&reboot, &[1]);
    assert_eq!(sim.story(reboot.id), ["accepted", "running(preflight)", "rebooting"]);
    sim.run_out();
    assert_eq!(sim.state(reboot.id), "succeeded");
}

#[test]
fn a_machine_that_does_not_go_down_takes_work_again() {
    let (mut sim, reboot) = (Sim::new(), reboot(1));
    sim.send(&reboot, &[1]);
    sim.finish(reboot.id, Ok(done()));
    // It was told to go down; that deed ends well, and then nothing happens.
    sim.running.clear();
    sim.happen(Event::Done(reboot.id, Ok(done())));
    sim.pass(15 * 60);
    assert_eq!(sim.state(reboot.id), "failed still_up");
    assert_eq!(sim.deeds.last(), Some(&Deed::CleanUp { op: reboot.op.clone(), order: None, resume_work: true }));
    sim.run_out();
    assert_eq!(sim.core.lanes().exclusive, None);
}

#[test]
fn one_command_of_the_exclusive_lane_runs_at_a_time() {
    let (mut sim, first, second) = (Sim::new(), reboot(1), reboot(2));
    let (test, tail) = (command(3, "self-test", &json!({})), command(4, "logs-tail", &json!({"unit": "a.service"})));
    for command in [&first, &second, &test, &tail] {
        sim.send(command, &[1]);
    }
    assert_eq!(sim.state(second.id), "queued(busy)");
    assert_eq!(sim.state(test.id), "queued(drain)");
    assert_eq!(sim.state(tail.id), "running(collect)");
    sim.finish(first.id, Err(Undone::for_now("busy", "a job will not end")));
    assert_eq!(sim.state(first.id), "failed busy");
    assert_eq!(sim.state(second.id), "queued(busy)", "work is not taken again yet");
    sim.finish(first.id, Ok(done()));
    assert_eq!(sim.state(second.id), "running(drain)");
}

#[test]
fn four_commands_share_the_other_lane() {
    let mut sim = Sim::new();
    let tails: Vec<_> = (1..=6).map(|n| command(n, "logs-tail", &json!({"unit": "a.service"}))).collect();
    tails.iter().for_each(|tail| sim.send(tail, &[1]));
    let states: Vec<_> = tails.iter().map(|tail| sim.state(tail.id)).collect();
    assert_eq!(states.iter().filter(|s| *s == "running(collect)").count(), 4);
    assert_eq!(states[4..], ["queued(busy)", "queued(busy)"]);
    sim.finish(tails[0].id, Ok(done()));
    assert_eq!(sim.state(tails[4].id), "running(collect)");
}

#[test]
fn waits_for_the_window_the_clock_the_first_moment_and_who_holds_the_node() {
    let mut sim = Sim::new();
    sim.around.window_open = false;
    sim.happen(Event::Around(Box::new(sim.around.clone())));
    sim.now.synchronised = false;
    let (mut first, drain) = (reboot(1), command(2, "drain", &json!({})));
    first.not_before = Some(at(120));
    first.by = "bert".parse().expect("a name");
    sim.send(&first, &[1]);
    assert_eq!(sim.state(first.id), "queued(clock)");
    sim.now.synchronised = true;
    sim.send(&drain, &[1]);
    assert_eq!(sim.state(first.id), "queued(window)");
    sim.pass(100);
    assert_eq!(sim.state(first.id), "queued(window)", "its moment has come, the window has not");
    sim.around.window_open = true;
    sim.happen(Event::Around(Box::new(sim.around.clone())));
    assert_eq!(sim.state(first.id), "queued(lock)");
    sim.finish(drain.id, Ok(done()));
    let undrain = command(3, "undrain", &json!({}));
    sim.send(&undrain, &[1]);
    sim.finish(undrain.id, Ok(done()));
    assert_eq!(sim.state(first.id), "running(drain)");
}

#[test]
fn a_command_for_now_does_not_wait_for_the_window() {
    let mut sim = Sim::new();
    sim.around.window_open = false;
    sim.happen(Event::Around(Box::new(sim.around.clone())));
    let (mut now, mut ignore) = (reboot(1), reboot(2));
    (now.policy.window, ignore.policy.window) = (Window::Now, Window::Ignore);
    sim.send(&now, &[1]);
    sim.send(&ignore, &[1]);
    assert_eq!((sim.state(now.id), sim.state(ignore.id)), ("rejected precondition".into(), "running(drain)".into()));
}

#[test]
fn expiry_is_never_judged_by_a_clock_that_may_be_wrong() {
    let (mut sim, tail) = (Sim::new(), command(1, "logs-tail", &json!({"unit": "a.service"})));
    sim.now = Now { wall: at(9999), synchronised: false, ..sim.now };
    sim.send(&tail, &[1]);
    assert_eq!(sim.state(tail.id), "queued(clock)");
    sim.now = Now { wall: at(9999), synchronised: true, ..sim.now };
    sim.happen(Event::Tick);
    assert_eq!(sim.state(tail.id), "expired expired");
    assert!(sim.deeds.is_empty());
}

#[test]
fn a_time_that_was_once_right_is_never_later_again() {
    let mut sim = Sim::new();
    sim.pass(7 * 3600);
    sim.restart(true);
    sim.now = Now { wall: at(-99_999), synchronised: false, ..sim.now };
    let tail = command(1, "logs-tail", &json!({"unit": "a.service"}));
    sim.send(&tail, &[1]);
    assert_eq!(sim.state(tail.id), "expired expired");
}

#[test]
fn is_called_off_by_who_gave_it_and_by_an_admin() {
    for (seeds, target, itself) in [
        (&[1][..], "canceled", "succeeded"),
        (&[3][..], "canceled", "succeeded"),
        (&[2][..], "queued(clock)", "rejected unauthorized"),
    ] {
        let (mut sim, reboot) = (Sim::new(), reboot(1));
        sim.now.synchronised = false;
        sim.send(&reboot, &[1]);
        let cancel = cancel(2, &reboot);
        sim.send(&cancel, seeds);
        assert_eq!((sim.state(reboot.id).as_str(), sim.state(cancel.id).as_str()), (target, itself), "{seeds:?}");
    }
}

#[test]
fn a_cancellation_that_comes_before_its_target_waits_for_all_that_is_retained() {
    let (mut sim, reboot) = (Sim::asleep(), reboot(1));
    for (seeds, target) in [(&[1][..], "canceled"), (&[2][..], "running(drain)")] {
        let cancel = cancel(2, &reboot);
        sim = Sim::asleep();
        sim.send(&cancel, seeds);
        sim.send(&reboot, &[1]);
        assert_eq!(sim.state(cancel.id), "accepted");
        sim.happen(Event::Settled);
        assert_eq!(sim.state(reboot.id), target, "{seeds:?}");
        assert_ne!(sim.state(cancel.id), "accepted");
    }
    assert!(sim.descents == 0);
}

#[test]
fn what_is_called_off_while_it_runs_is_stopped_and_cleaned_up_before_the_next_begins() {
    let (mut sim, first, second) = (Sim::new(), reboot(1), reboot(2));
    sim.send(&first, &[1]);
    sim.send(&second, &[1]);
    let cancel = cancel(3, &first);
    sim.send(&cancel, &[1]);
    assert_eq!((sim.state(first.id).as_str(), sim.state(cancel.id).as_str()), ("canceled", "succeeded"));
    assert!(sim.running[&first.id].1, "its deed was asked to end");
    sim.finish(first.id, Ok(done()));
    assert_eq!(sim.running[&first.id].0, Deed::CleanUp { op: first.op.clone(), order: None, resume_work: true });
    assert_eq!(sim.state(second.id), "queued(busy)");
    sim.finish(first.id, Ok(done()));
    assert_eq!(sim.state(second.id), "running(drain)");
}

#[test]
fn what_cannot_be_undone_cannot_be_called_off() {
    let (mut sim, restart) = (Sim::new(), command(1, "restart-worker", &json!({})));
    sim.send(&restart, &[1]);
    let (late, none) = (cancel(2, &restart), cancel(3, &command(9, "reboot", &json!({}))));
    sim.send(&late, &[1]);
    sim.send(&none, &[1]);
    assert_eq!((sim.state(late.id), sim.state(none.id)), ("failed too_late".into(), "rejected precondition".into()));
    sim.run_out();
    assert_eq!(sim.state(restart.id), "succeeded");
}

#[test]
fn takes_no_longer_than_it_may() {
    let (mut sim, mut test) = (Sim::new(), command(1, "self-test", &json!({})));
    test.ttl_s = Some(30.try_into().expect("in bounds"));
    sim.send(&test, &[1]);
    sim.pass(29);
    assert_eq!(sim.state(test.id), "running(encode)");
    sim.pass(1);
    assert_eq!(sim.state(test.id), "timed_out timed_out");
    assert!(sim.running[&test.id].1);
    sim.run_out();
    assert!(sim.core.lanes().shared == 0 && sim.core.due.is_empty());
}

#[test]
fn the_same_message_again_is_told_again_and_not_done_again() {
    let (mut sim, restart) = (Sim::new(), command(1, "restart-worker", &json!({})));
    sim.send(&restart, &[1]);
    sim.run_out();
    sim.send(&restart, &[1, 2]);
    assert_eq!(sim.story(restart.id), ["accepted", "running(act)", "succeeded", "succeeded"]);
    assert_eq!(sim.deeds.len(), 1);
}

#[test]
fn another_message_with_the_same_id_changes_nothing() {
    let (mut sim, restart) = (Sim::new(), command(1, "restart-worker", &json!({})));
    sim.send(&restart, &[1]);
    let mut other = restart.clone();
    other.by = "eve".parse().expect("a name");
    for (seeds, code) in [(&[1][..], "id_conflict"), (&[9][..], "bad_signature"), (&[][..], "bad_signature")] {
        sim.happen(Event::Message { topic: topic(&other), payload: signed(&other, seeds), reply: None });
        assert_eq!(sim.refused.last().map(String::as_str), Some(code));
    }
    assert_eq!(sim.state(restart.id), "running(act)");
    assert_eq!(sim.deeds.len(), 1);
}

#[test]
fn a_forgery_does_not_take_the_id_of_a_true_command() {
    let (mut sim, restart) = (Sim::new(), command(1, "restart-worker", &json!({})));
    sim.happen(Event::Message { topic: topic(&restart), payload: signed(&restart, &[9]), reply: None });
    assert_eq!((sim.story(restart.id), sim.told[0].seq), (vec!["rejected bad_signature".to_owned()], 0));
    sim.send(&restart, &[1]);
    assert_eq!(sim.state(restart.id), "running(act)");
}

#[test]
fn at_most_64_commands_are_open() {
    let mut sim = Sim::new();
    sim.now.synchronised = false;
    let commands: Vec<_> = (1..=65).map(reboot).collect();
    commands.iter().for_each(|command| sim.send(command, &[1]));
    assert_eq!(sim.state(commands[63].id), "queued(clock)");
    assert_eq!(sim.state(commands[64].id), "rejected too_many_open");
    let cancel = cancel(99, &commands[0]);
    sim.send(&cancel, &[1]);
    assert_eq!(sim.state(cancel.id), "succeeded", "what makes room is always taken");
}

#[test]
fn what_was_given_before_the_ledger_began_is_refused() {
    let mut sim = Sim::new();
    sim.disk.push(Record::Since(at(30)));
    sim.restart(false);
    let restart = command(1, "restart-worker", &json!({}));
    sim.send(&restart, &[1]);
    assert_eq!(sim.state(restart.id), "rejected before_enrolment");
}

#[test]
fn a_cleared_command_is_cleared_and_a_long_result_forgotten() {
    let (mut sim, tail) = (Sim::new(), command(1, "logs-tail", &json!({"unit": "a.service"})));
    sim.send(&tail, &[1]);
    let result = json!({"lines": ["x".repeat(2000)]});
    sim.finish(tail.id, Ok(result.as_object().expect("an object").clone()));
    sim.happen(Event::Message { topic: topic(&tail), payload: Vec::new(), reply: None });
    assert_eq!(sim.cleared, [tail.id]);
    let memory = Memory::of(sim.disk.clone());
    let entry = &memory.entries[&tail.id];
    assert!(entry.closed && entry.command.is_none() && entry.state.result.contains_key("too_old"), "{entry:?}");
    sim.retained.clear();
    sim.told.clear();
    sim.restart(false);
    assert!(sim.story(tail.id).is_empty(), "nobody asks for it any more");
    sim.send(&tail, &[1]);
    assert_eq!((sim.state(tail.id).as_str(), sim.deeds.len()), ("succeeded", 1));
}

#[test]
fn progress_is_told_at_most_once_a_second_and_every_five_percent() {
    let (mut sim, test) = (Sim::new(), command(1, "self-test", &json!({})));
    sim.send(&test, &[1]);
    let told = |sim: &Sim| sim.told.iter().filter_map(|state| state.pct).collect::<Vec<_>>();
    sim.happen(Event::Told(test.id, 10));
    assert_eq!(told(&sim), Vec::<u8>::new(), "it has only just begun");
    for (seconds, percent) in [(1, 10), (0, 30), (1, 14), (1, 15), (1, 200)] {
        sim.pass(seconds);
        sim.happen(Event::Told(test.id, percent));
    }
    assert_eq!(told(&sim), [10, 15, 100]);
}

#[test]
fn a_rehearsal_does_nothing() {
    let (mut sim, mut reboot) = (Sim::new(), reboot(1));
    reboot.policy.dry_run = true;
    sim.send(&reboot, &[1]);
    assert_eq!((sim.state(reboot.id).as_str(), sim.deeds.len()), ("succeeded", 0));
}

#[test]
fn old_commands_are_forgotten_when_they_cannot_come_again() {
    let (mut sim, restart) = (Sim::new(), command(1, "restart-worker", &json!({})));
    sim.send(&restart, &[1]);
    sim.run_out();
    sim.pass(39 * 86_400);
    assert_eq!(sim.state(restart.id), "succeeded");
    sim.pass(2 * 86_400);
    assert_eq!(sim.state(restart.id), "unknown");
    assert_eq!(Memory::of(sim.core.memory().records()), *sim.core.memory());
}

#[test]
fn a_node_whose_broker_is_away_goes_on_after_a_minute() {
    let (mut sim, test) = (Sim::new(), command(1, "self-test", &json!({})));
    sim.send(&test, &[1]);
    let mut alone = Sim { disk: sim.disk, ..Sim::asleep() };
    alone.core = Core::new(own(1), Memory::of(alone.disk.clone()), alone.around.clone());
    alone.happen(Event::Tick);
    alone.pass(59);
    assert!(alone.deeds.is_empty());
    alone.pass(1);
    assert_eq!(alone.deeds.len(), 1);
}

#[test]
fn what_befalls_a_node_is_told_once() {
    let mut sim = Sim::new();
    let told = |sim: &Sim| {
        let events = sim.events.iter().filter(|event| event.kind != EventKind::Boot);
        events.map(|event| format!("{} {} {}", event.kind.as_str(), event.msg, json!(event.detail))).collect::<Vec<_>>()
    };
    let look = |sim: &mut Sim, change: &dyn Fn(&mut Around)| {
        change(&mut sim.around);
        sim.happen(Event::Around(Box::new(sim.around.clone())));
    };
    for op in ["drain", "drain", "undrain"] {
        let command = command(u8::try_from(sim.deeds.len() + 1).expect("few"), op, &json!({}));
        sim.send(&command, &[1]);
        sim.finish(command.id, Ok(done()));
    }
    let drained = [r#"lock drained by anna {"held_by":"anna"}"#, r#"lock takes work again {"held_by":null}"#];
    assert_eq!(told(&sim), drained);
    sim.events.clear();

    look(&mut sim, &|around| around.worker_restarts = Some(4));
    assert!(told(&sim).is_empty(), "that was before the agent came");
    for restarts in [Some(5), Some(5), None, Some(6), Some(0)] {
        look(&mut sim, &|around| around.worker_restarts = restarts);
    }
    assert_eq!(told(&sim), [r#"worker-crash the worker ended by itself and was started anew {"restarts":5}"#]);
    sim.events.clear();

    for degrees in [Some(99), None, Some(98)] {
        look(&mut sim, &|around| around.hot = degrees.map(|degrees| format!("cpu is at {degrees} °C")));
        sim.pass(200);
    }
    look(&mut sim, &|around| around.hot = None);
    sim.pass(250);
    assert_eq!(told(&sim), [r#"thermal cpu is at 99 °C {"hot":true}"#]);
    sim.pass(60);
    assert_eq!(told(&sim)[1..], [r#"thermal no longer hot {"hot":false}"#]);
}
