//! A node that drains: its workers finish what they have, and take nothing until they are told to go on.

use std::time::Duration;

use reelmill_api::status::{WorkerState, WorkerStatus};
use reelmill_e2e::{QueueKind, until};
use reelmill_lab::programs::{Running, free_port};
use rustix::process::Signal;

use crate::{QUICK, end, in_the_middle, slow_farm, status, unpublished, whole_and_alone, worker};

async fn until_it_is(port: u16, what: &str, is: impl Fn(&WorkerStatus) -> bool) -> WorkerStatus {
    until(what, async || status(port).filter(|status| is(status))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_of_a_node_finish_what_they_have_and_wait_to_be_told() {
    let (farm, input) = slow_farm(QueueKind::Sqlite).await;
    let node = farm.folder.path().join("node");
    let (port, other_port) = (free_port(), free_port());
    let start = |name: &str, port: u16| {
        let mut worker = worker(&farm, name);
        worker.env("STATUS_LISTEN", format!("127.0.0.1:{port}")).env("DRAIN_DEADLINE_SECONDS", "600");
        worker.env("NODE_CONCURRENCY", "2").env("NODE_FOLDER", &node);
        Running::start(worker)
    };
    let job = farm.submit(&input, QUICK).await;
    let mut one = start("one", port);
    in_the_middle(&farm, job).await;
    one.signal(Signal::USR1);
    let seen = until_it_is(port, "a drain", |status| status.state == WorkerState::Draining).await;
    assert_eq!((seen.running.len(), seen.node_busy), (1, Some(true)));
    // It comes to a node that drains, and is told nothing itself.
    let mut other = start("other", other_port);
    until_it_is(other_port, "a drain", |status| status.state == WorkerState::Draining).await;
    let next = farm.submit(&input, QUICK).await;
    assert_eq!(whole_and_alone(&farm, job).await.1, "one", "it has finished what it had");
    until_it_is(port, "the end of all work", |status| status.running.is_empty() && status.node_busy == Some(false))
        .await;
    // Longer than any of them waits for a task.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let depth = farm.queue.depth(&farm.lane(QUICK)).await.expect("the queue answers");
    assert_eq!((depth.ready, depth.leased), (1, Some(0)), "nobody took the next one");

    one.signal(Signal::USR2);
    in_the_middle(&farm, next).await;
    let at_work = |port| status(port).is_some_and(|status| !status.running.is_empty());
    let (busy, busy_port, idle) =
        if at_work(port) { (&mut one, port, &mut other) } else { (&mut other, other_port, &mut one) };
    assert!(at_work(busy_port));
    // Whoever stops a worker that drains has waited for long enough, whichever of them was told.
    idle.signal(Signal::USR1);
    until_it_is(busy_port, "a drain", |status| status.state == WorkerState::Draining).await;
    busy.signal(Signal::TERM);
    assert_eq!(end(busy).await, Some(0));
    unpublished(&farm, next);
    let depth = farm.queue.depth(&farm.lane(QUICK)).await.expect("the queue answers");
    assert_eq!((depth.ready, depth.leased), (1, Some(0)), "it was handed back at once");
    // The one that was told ends, and the drain with it: who is started then takes work.
    idle.signal(Signal::TERM);
    assert_eq!(end(idle).await, Some(0));
    let _third = start("third", port);
    assert_eq!(whole_and_alone(&farm, next).await.1, "third");
}
