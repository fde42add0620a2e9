//! A worker that dies, or stands still for longer than its lease.

use reelmill_api::EventBody;
use reelmill_e2e::{
    QueueKind,
    processes::{Process, children},
    until,
};
use reelmill_lab::programs::Running;
use rustix::process::Signal;

use crate::{
    QUICK, bytes, end, in_the_middle, lane_is_empty, on_both_queues, slow_farm, unpublished, whole_and_alone, worker,
};

async fn a_killed_worker_is_replaced(kind: QueueKind) {
    let (farm, input) = slow_farm(kind).await;
    let job = farm.submit(&input, QUICK).await;
    let mut first = Running::start(worker(&farm, "first"));
    in_the_middle(&farm, job).await;
    let _second = Running::start(worker(&farm, "second"));
    let media = children(first.pid());
    assert!(media.iter().any(|p| p.name == "ffmpeg"), "a media process is at work: {media:?}");
    first.kill();
    unpublished(&farm, job);
    let over = async || (!media.iter().any(Process::is_alive)).then_some(());
    until("the end of the dead worker's media processes", over).await;
    let (attempt, node) = whole_and_alone(&farm, job).await;
    assert_eq!((attempt.number(), node.as_str()), (2, "second"));
    lane_is_empty(&farm).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_in_the_middle_costs_time_and_nothing_else() {
    on_both_queues(a_killed_worker_is_replaced).await;
}

async fn a_frozen_worker_is_replaced_and_does_no_harm(kind: QueueKind) {
    let (farm, input) = slow_farm(kind).await;
    let job = farm.submit(&input, QUICK).await;
    let mut first = Running::start(worker(&farm, "first"));
    in_the_middle(&farm, job).await;
    first.signal(Signal::STOP);
    let _second = Running::start(worker(&farm, "second"));
    let (attempt, node) = whole_and_alone(&farm, job).await;
    assert_eq!((attempt.number(), node.as_str()), (2, "second"));
    let before = bytes(&farm, job);
    first.signal(Signal::CONT);
    first.signal(Signal::TERM);
    assert_eq!(end(&mut first).await, Some(0), "it ends as one that has nothing more to do");
    assert!(bytes(&farm, job) == before, "what was published is untouched, and nothing lies beside it");
    assert_eq!(farm.store.unfinished_uploads(), 0);
    let told = farm.events().await.into_iter().filter(|e| e.node == "first");
    let told: Vec<_> = told.map(|e| e.body).filter(|b| !matches!(b, EventBody::Progress { .. })).collect();
    assert_eq!(told, [EventBody::Started], "it tells of no end of its own");
    lane_is_empty(&farm).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_wakes_up_after_its_lease_publishes_nothing() {
    on_both_queues(a_frozen_worker_is_replaced_and_does_no_harm).await;
}
