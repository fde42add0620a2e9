//! What runs at once on a node, over all its workers.

use reelmill_api::{Event, EventBody, JobId};
use reelmill_e2e::{Farm, QueueKind, until};
use reelmill_lab::programs::Running;

use crate::{QUICK, in_the_middle, lane_is_empty, on_both_queues, slow_farm, whole_and_alone, worker};

/// A preset that makes 1.8 million pixels per second of the source; [`QUICK`] makes 0.36 million.
const HEAVY: &str = "heavy";

/// At which place among the events such a one of this job came first.
fn place(events: &[Event], job: JobId, wanted: fn(&EventBody) -> bool) -> Option<usize> {
    events.iter().position(|event| event.job == job && wanted(&event.body))
}

async fn begun(farm: &Farm, job: JobId) {
    farm.wait_for(job, "the start", |event| matches!(event.body, EventBody::Started)).await;
}

async fn heavy_and_light_tasks_share_a_node(kind: QueueKind) {
    let (farm, input) = slow_farm(kind).await;
    farm.add_preset(HEAVY, &[("180p", 320, 180), ("90p", 160, 90)]);
    let counts = farm.folder.path().join("node");
    let start = |name: &str| {
        let mut worker = worker(&farm, name);
        worker.env("PIXEL_BUDGET", "2200000").env("NODE_FOLDER", &counts).env("CONCURRENCY", "4");
        Running::start(worker)
    };
    let _workers = [start("first"), start("second")];
    let first = farm.submit(&input, HEAVY).await;
    in_the_middle(&farm, first).await;
    let second = farm.submit(&input, HEAVY).await;
    begun(&farm, second).await;
    let light = farm.submit(&input, QUICK).await;
    for job in [first, light, second] {
        whole_and_alone(&farm, job).await;
    }
    let events = farm.events().await;
    let done = |job| place(&events, job, |body| matches!(body, EventBody::Done { .. })).expect("it is done");
    let encoding = place(&events, second, |body| matches!(body, EventBody::Progress { .. })).expect("it was encoded");
    assert!(done(first) < encoding, "two heavy ones are more than the node makes at once");
    assert!(done(light) < done(second), "a light one passes a heavy one that waits");
    let tried = events.iter().filter(|event| matches!(event.body, EventBody::Started)).count();
    assert_eq!(tried, 3, "waiting is no failing");
    lane_is_empty(&farm).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_light_task_passes_a_heavy_one_that_does_not_fit() {
    on_both_queues(heavy_and_light_tasks_share_a_node).await;
}

async fn a_ladder_takes_a_session_for_each_rung(kind: QueueKind) {
    let (farm, input) = slow_farm(kind).await;
    farm.add_preset(HEAVY, &[("180p", 320, 180), ("90p", 160, 90)]);
    let mut only = worker(&farm, "only");
    only.env("CONCURRENCY", "3");
    let _only = Running::start(only);
    let ladder = farm.submit(&input, HEAVY).await;
    in_the_middle(&farm, ladder).await;
    let next = farm.submit(&input, HEAVY).await;
    let beside = farm.submit(&input, QUICK).await;
    begun(&farm, beside).await;
    assert_eq!(
        farm.queue.depth(&farm.lane(HEAVY)).await.expect("a queue").ready,
        1,
        "the next waits where others may take it"
    );
    let after = farm.submit(&input, QUICK).await;
    for job in [ladder, next, beside, after] {
        whole_and_alone(&farm, job).await;
    }
    let events = farm.events().await;
    let started = |job| place(&events, job, |body| matches!(body, EventBody::Started)).expect("it was started");
    let done = |job| place(&events, job, |body| matches!(body, EventBody::Done { .. })).expect("it is done");
    assert!(started(beside) < done(ladder), "there was a third session");
    assert!(started(after) > done(ladder).min(done(beside)), "and no fourth");
    assert!(started(next) > done(ladder), "nor two for another ladder");
    let failed = events.iter().find(|event| matches!(event.body, EventBody::Failed { .. }));
    assert_eq!(failed, None, "waiting is no failing");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrency_counts_encoder_sessions_and_not_tasks() {
    on_both_queues(a_ladder_takes_a_session_for_each_rung).await;
}

/// Whatever came through the intake says only when it has come how much it takes.
async fn plain_jobs_wait_on_their_own_lane(kind: QueueKind) {
    let (farm, input) = slow_farm(kind).await;
    farm.add_preset(HEAVY, &[("180p", 320, 180), ("90p", 160, 90)]);
    let mut only = worker(&farm, "only");
    only.env("CONCURRENCY", "3");
    let _only = Running::start(only);
    let first = farm.submit(&input, HEAVY).await;
    in_the_middle(&farm, first).await;
    let plain = farm.submit_plain(&input, HEAVY).await;
    let there = async || farm.queue.depth(&farm.lane(HEAVY)).await.ok().filter(|depth| depth.ready == 1).map(drop);
    until("a plain job on its preset's lane", there).await;
    for job in [first, plain] {
        whole_and_alone(&farm, job).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_job_that_does_not_fit_waits_on_its_presets_lane() {
    on_both_queues(plain_jobs_wait_on_their_own_lane).await;
}

async fn one_place_for_two_workers(kind: QueueKind) {
    let (farm, input) = slow_farm(kind).await;
    let counts = farm.folder.path().join("node");
    let start = |name: &str| {
        let mut worker = worker(&farm, name);
        worker.env("NODE_CONCURRENCY", "1").env("NODE_FOLDER", &counts);
        Running::start(worker)
    };
    let mut first = start("first");
    let jobs = [farm.submit(&input, QUICK).await, farm.submit(&input, QUICK).await];
    in_the_middle(&farm, jobs[0]).await;
    let _second = start("second");
    let idle = async || farm.queue.depth(&farm.lane(QUICK)).await.ok().filter(|depth| depth.ready == 1).map(drop);
    until("one task that waits", idle).await;
    // The place of a dead worker is free at once.
    first.kill();
    for job in jobs {
        assert_eq!(whole_and_alone(&farm, job).await.1, "second");
    }
    let started = farm.events().await.into_iter().filter(|event| matches!(event.body, EventBody::Started));
    let nodes: Vec<_> = started.map(|event| event.node).collect();
    assert_eq!(nodes, ["first", "second", "second"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_of_a_node_share_its_places_and_a_dead_one_has_none() {
    on_both_queues(one_place_for_two_workers).await;
}
