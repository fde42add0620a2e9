//! A worker that dies, or stands still for longer than its lease.

use std::{collections::BTreeSet, time::Duration};

use reelmill_api::EventBody;
use reelmill_e2e::{
    QueueKind,
    processes::{Process, children, freeze},
    until,
};
use reelmill_lab::{
    fault::{Fault, Op},
    programs::Running,
};
use rustix::process::Signal;

use crate::{
    QUICK, end, in_the_middle, lane_is_empty, on_both_queues, slow_farm, unpublished, untouched, whole_and_alone,
    worker,
};

/// A lease that outlasts the test.
const LONG: Duration = Duration::from_secs(600);

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
    let mut soon_stalled = worker(&farm, "first");
    // When it wakes up, it finds its media process stalled and its lease lost, in whichever order.
    soon_stalled.env("STALL_SECONDS", "5");
    let mut first = Running::start(soon_stalled);
    in_the_middle(&farm, job).await;
    freeze(&first).await;
    let _second = Running::start(worker(&farm, "second"));
    let (attempt, node) = whole_and_alone(&farm, job).await;
    assert_eq!((attempt.number(), node.as_str()), (2, "second"));
    let before = farm.output_bytes(job);
    first.signal(Signal::CONT);
    first.signal(Signal::TERM);
    assert_eq!(end(&mut first).await, Some(0), "it ends as one that has nothing more to do");
    untouched(&farm, job, &before);
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

/// It stands still for longer than its lease before it has put anything where others do, and its task is another's who has
/// published nothing yet: no playlist is in its way.
async fn a_worker_without_a_lease_publishes_nothing(kind: QueueKind) {
    let (farm, input) = slow_farm(kind).await;
    // It gets no further, however long it takes to freeze it.
    farm.store.plan.add_for(Op::Put, "/manifest.mpd", 100, Fault::Stall);
    let job = farm.submit(&input, QUICK).await;
    let mut hasty = worker(&farm, "first");
    hasty.env("S3_STALL_SECONDS", "5");
    let mut first = Running::start(hasty);
    until("the manifest", async || farm.store.plan.unmet().is_empty().then_some(())).await;
    freeze(&first).await;
    let lane = [farm.lane(QUICK)];
    let other = async || farm.queue.lease(&lane, LONG, Duration::ZERO).await.expect("the queue answers");
    let other = until("the lease", other).await;
    assert_eq!(other.attempt, 2);
    farm.store.plan.clear();
    first.signal(Signal::CONT);
    let swept = async || farm.attempts(job).is_empty().then_some(());
    until("the end of what it made", swept).await;
    first.signal(Signal::TERM);
    assert_eq!(end(&mut first).await, Some(0));
    assert_eq!(farm.output_files(job), BTreeSet::new(), "nothing is published");
    assert_eq!(farm.published(job).await, []);
    farm.queue.hand_back(&other.receipt).await.expect("it is ours");
    let _second = Running::start(worker(&farm, "second"));
    assert_eq!(whole_and_alone(&farm, job).await.1, "second");
    lane_is_empty(&farm).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_lost_its_lease_publishes_nothing_though_nobody_else_did() {
    on_both_queues(a_worker_without_a_lease_publishes_nothing).await;
}

/// The worst moment: everything is stored, and the order to put the multivariant playlist is on its way.
async fn a_worker_that_freezes_at_its_commit_is_too_late(kind: QueueKind) {
    let (farm, input) = slow_farm(kind).await;
    farm.store.plan.add_for(Op::Put, "/master.m3u8", 1, Fault::Stall);
    let job = farm.submit(&input, QUICK).await;
    let mut hasty = worker(&farm, "first");
    hasty.env("S3_STALL_SECONDS", "1");
    let mut first = Running::start(hasty);
    until("the commit", async || farm.store.plan.unmet().is_empty().then_some(())).await;
    freeze(&first).await;
    let _second = Running::start(worker(&farm, "second"));
    assert_eq!(whole_and_alone(&farm, job).await.1, "second");
    let before = farm.output_bytes(job);
    first.signal(Signal::CONT);
    first.signal(Signal::TERM);
    assert_eq!(end(&mut first).await, Some(0));
    untouched(&farm, job, &before);
    assert_eq!(whole_and_alone(&farm, job).await.1, "second");
    lane_is_empty(&farm).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_comes_after_anothers_changes_nothing() {
    on_both_queues(a_worker_that_freezes_at_its_commit_is_too_late).await;
}
