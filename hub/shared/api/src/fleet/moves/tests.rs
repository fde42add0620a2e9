//! Every state against every event, and long random lives of commands.

use proptest::prelude::*;

use super::*;
use crate::fleet::{CommandId, Sha256, reject::Code};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + second).expect("a time")
}

fn teller() -> Teller {
    Teller { boot_id: "b1".to_owned(), agent: "0.1.0".to_owned() }
}

fn state(state: CommandState) -> State {
    let accepted = State::accepted(
        CommandId::from_bytes([1; 16]),
        "switch".parse().expect("a name"),
        Sha256::of(b"request"),
        at(0),
        &teller(),
    );
    State { state, ..accepted }
}

const FETCH: Phase = Phase::Fetch;
const ACTIVATE: Phase = Phase::Activate;
const UNDO: Phase = Phase::Undo;

fn states() -> Vec<CommandState> {
    use CommandState as S;
    vec![
        S::Accepted,
        S::Queued { reason: Wait::Clock },
        S::Running { phase: FETCH },
        S::Running { phase: ACTIVATE },
        S::Running { phase: UNDO },
        S::Rebooting,
        S::Verifying,
        S::Succeeded,
        S::Failed,
        S::Rejected,
        S::Canceled,
        S::TimedOut,
        S::Expired,
        S::RolledBack,
        S::Superseded,
    ]
}

fn events() -> Vec<Event> {
    let fault = || Fault::new("disk_full", true, "need 3.1 GiB, have 1.2");
    vec![
        Event::Wait(Wait::Drain),
        Event::Begin(FETCH),
        Event::Enter(ACTIVATE),
        Event::Progress(50),
        Event::Reboot,
        Event::Booted,
        Event::Succeed(Map::new()),
        Event::Fail(fault()),
        Event::Undo(fault()),
        Event::RollBack,
        Event::Reject(Rejection::new(Code::Precondition, "another boot")),
        Event::Reject(Rejection::new(Code::Expired, "too late")),
        Event::Cancel,
        Event::Supersede,
        Event::TimeOut,
    ]
}

/// The state after each event in the order of [`events`], `-` where it does not fit, `!` where it cannot be called off.
fn row(from: CommandState) -> String {
    let after = |event| match state(from).after(event, at(9), &teller()) {
        Ok((next, _)) => match next.state {
            CommandState::Running { phase } => format!("{phase:?}").to_lowercase(),
            other => other.as_str().to_owned(),
        },
        Err(BadMove::NotCancelable) => "!".to_owned(),
        Err(BadMove::Unfit { .. } | BadMove::Final(_)) => "-".to_owned(),
    };
    events().into_iter().map(after).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_state_against_every_event() {
    let waits = "queued fetch - - - - - - - - rejected expired canceled superseded -";
    let live = [
        waits,
        waits,
        "- - activate fetch rebooting - succeeded failed - - - - canceled - timed_out",
        "- - activate activate rebooting - succeeded failed undo - - - ! - timed_out",
        "- - - undo - - - failed - rolled_back - - ! - -",
        "- - - - - verifying - failed undo - - - ! - timed_out",
        "- - activate - - - succeeded failed undo - - - ! - timed_out",
    ];
    let nothing = ["-"; 15].join(" ");
    for (at, from) in states().into_iter().enumerate() {
        assert_eq!(row(from), live.get(at).map_or(nothing.as_str(), |row| row), "{from:?}");
    }
}

#[test]
fn stores_before_it_publishes_and_publishes_before_it_acts() {
    use Effect::{Act, Publish, Reboot, Release, Stop, Store};
    let running = CommandState::Running { phase: FETCH };
    let table = [
        (CommandState::Accepted, Event::Wait(Wait::Clock), vec![Store, Publish]),
        (CommandState::Accepted, Event::Begin(FETCH), vec![Store, Publish, Act(FETCH)]),
        (running, Event::Enter(ACTIVATE), vec![Store, Publish, Act(ACTIVATE)]),
        (running, Event::Enter(FETCH), vec![]),
        (running, Event::Progress(50), vec![Store, Publish]),
        (running, Event::Cancel, vec![Store, Publish, Stop, Release]),
        (running, Event::TimeOut, vec![Store, Publish, Stop, Release]),
        (running, Event::Reboot, vec![Store, Publish, Reboot]),
        (CommandState::Rebooting, Event::Booted, vec![Store, Publish, Act(Phase::Verify)]),
        (CommandState::Verifying, Event::Enter(Phase::Commit), vec![Store, Publish, Act(Phase::Commit)]),
        (CommandState::Verifying, Event::Undo(Fault::new("unwell", false, "")), vec![Store, Publish, Act(UNDO)]),
        (CommandState::Running { phase: UNDO }, Event::RollBack, vec![Store, Publish, Release]),
        (CommandState::Verifying, Event::Succeed(Map::new()), vec![Store, Publish, Release]),
        (CommandState::Accepted, Event::Supersede, vec![Store, Publish, Release]),
    ];
    for (from, event, want) in table {
        let (_, effects) = state(from).after(event.clone(), at(9), &teller()).expect("allowed");
        assert_eq!(effects, want, "{from:?}, {event:?}");
    }
}

#[test]
fn progress_is_told_once_a_second_and_once_every_five_percent() {
    let mut now = state(CommandState::Running { phase: FETCH });
    let mut told = Vec::new();
    for (second, pct) in [(1, 4), (1, 5), (1, 20), (2, 9), (3, 10), (9, 14), (10, 255), (11, 100)] {
        let (next, effects) = now.after(Event::Progress(pct), at(second), &teller()).expect("it runs");
        assert_eq!(next != now, !effects.is_empty());
        told.extend((next != now).then_some((second, next.pct)));
        now = next;
    }
    assert_eq!(told, [(1, Some(5)), (3, Some(10)), (10, Some(100))]);
}

#[test]
fn remembers_when_it_began_and_why_it_ended() {
    let (began, _) = state(CommandState::Accepted).after(Event::Begin(FETCH), at(5), &teller()).expect("allowed");
    let (next, _) = began.after(Event::Enter(ACTIVATE), at(6), &teller()).expect("allowed");
    let fault = Fault::new("unwell", false, "no broker");
    let (undoing, _) = next.after(Event::Undo(fault.clone()), at(7), &teller()).expect("allowed");
    assert_eq!(undoing.error.as_ref(), Some(&fault), "it is told while it is undone");
    let (end, _) = undoing.after(Event::RollBack, at(8), &teller()).expect("allowed");
    assert_eq!((end.started, end.t, end.seq, end.error), (Some(at(5)), at(8), 5, Some(fault)));
}

#[test]
fn a_boot_tells_what_became_of_a_command() {
    use CommandState as S;
    let running = S::Running { phase: ACTIVATE };
    let table = [
        (S::Accepted, [Resume::Wait, Resume::Wait]),
        (S::Queued { reason: Wait::Busy }, [Resume::Wait, Resume::Wait]),
        (running, [Resume::Ask(ACTIVATE), Resume::Interrupted(ACTIVATE)]),
        (S::Rebooting, [Resume::Reboot, Resume::Booted]),
        (S::Verifying, [Resume::Verify, Resume::Verify]),
        (S::Succeeded, [Resume::Ended, Resume::Ended]),
        (S::RolledBack, [Resume::Ended, Resume::Ended]),
    ];
    for (from, want) in table {
        assert_eq!([state(from).resumed("b1"), state(from).resumed("b2")], want, "{from:?}");
    }
}

proptest! {
    #[test]
    fn no_life_leaves_a_final_state_and_seq_only_rises(life in proptest::collection::vec((0..15_usize, 0..3_i64), 0..60)) {
        let (events, mut now, mut clock) = (events(), state(CommandState::Accepted), 0);
        for (event, wait) in life {
            clock += wait;
            match now.after(events[event].clone(), at(clock), &teller()) {
                Ok((next, effects)) => {
                    prop_assert!(!now.state.is_final());
                    prop_assert_eq!(next.seq, now.seq + u64::from(!effects.is_empty()));
                    prop_assert_eq!(effects.contains(&Effect::Release), next.state.is_final());
                    prop_assert!(effects.is_empty() || effects.starts_with(&[Effect::Store, Effect::Publish]));
                    now = next;
                }
                Err(BadMove::Final(_)) => prop_assert!(now.state.is_final()),
                Err(_) => prop_assert!(!now.state.is_final()),
            }
        }
    }
}
