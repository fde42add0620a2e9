//! Nodes, operators and brokers that go away before the end.

use reelmill_lab::programs::{Running, eventually};
use rustix::process::{Pid, Signal, kill_process};

use crate::fleet::{Begun, Fleet};

fn interrupt(begun: &Begun<'_>) {
    kill_process(Pid::from_child(&begun.child), Signal::INT).expect("it runs");
}

fn stop(mut node: Running) {
    node.signal(Signal::TERM);
    assert_eq!(node.wait(), Some(0));
}

#[test]
fn a_command_waits_for_a_node_that_is_away() {
    let fleet = Fleet::start();
    stop(fleet.simulate(&["orin-3"], 0));
    let mut begun = fleet.begin("orin-3 drain --sign anna.key");
    begun.notes("orin-3 is down since");
    let _node = fleet.simulate(&["orin-3"], 0);
    let said = begun.end();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.err.contains("orin-3 is down since TIME (the agent was stopped); the command waits for it until TIME\n"),
        "{said:?}"
    );
    assert!(said.out.starts_with("orin-3: accepted\n") && said.out.contains("orin-3: succeeded\n"), "{said:?}");
}

#[test]
fn who_leaves_early_is_told_how_to_come_back() {
    let fleet = Fleet::start();
    let _node = fleet.simulate(&["orin-3"], 5_000);
    let mut begun = fleet.begin("orin-3 restart-worker --sign anna.key");
    begun.says("running");
    interrupt(&begun);
    let said = begun.end();
    assert_eq!(said.code, Some(8), "{said:?}");
    let hint = "it stays with the broker, and is done all the same; follow it with: reelmill send --follow orin-3 ID\n";
    assert!(said.err.ends_with(hint), "{said:?}");
    let kept = eventually("it is kept", || {
        let kept = fleet.retained("reelmill/1/n/orin-3/cmd/#");
        (!kept.is_empty()).then_some(kept)
    });
    let id = kept.split(' ').next().and_then(|topic| topic.rsplit('/').next()).expect("it is kept");
    let followed = fleet.send(&format!("--follow orin-3 {id}"));
    assert_eq!(followed.code, Some(0), "{followed:?}");
    assert!(followed.out.ends_with("orin-3: succeeded\n{\n  \"simulated\": true\n}\n"), "{followed:?}");
    eventually("the command is cleared", || fleet.retained("reelmill/1/n/orin-3/cmd/#").is_empty().then_some(()));
    eventually("so is its state", || fleet.retained("reelmill/1/n/orin-3/st/#").is_empty().then_some(()));
}

#[test]
fn who_does_not_wait_leaves_the_command_with_the_broker() {
    let fleet = Fleet::start();
    stop(fleet.simulate(&["orin-3"], 0));
    let said = fleet.send("orin-3 drain --sign anna.key --no-wait");
    assert_eq!((said.code, said.out.as_str()), (Some(0), "ID\n"), "{said:?}");
    let kept = || fleet.retained("reelmill/1/n/orin-3/cmd/#").contains("/cmd/drain/");
    eventually("it is kept", || kept().then_some(()));
}

#[test]
fn a_broker_that_starts_again_loses_nobody() {
    let mut fleet = Fleet::start();
    let _node = fleet.simulate(&["orin-3"], 6_000);
    let mut begun = fleet.begin("orin-3 restart-worker --sign anna.key");
    begun.says("running");
    // The line that begun holds borrows the fleet.
    let (child, _) = (begun.child, ());
    fleet.broker.stop();
    fleet.broker.start_again();
    let said = fleet.said(&child.wait_with_output().expect("it ends"));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.err.contains("lost the broker: ") && said.err.contains("the broker is there again\n"), "{said:?}");
}
