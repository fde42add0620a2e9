//! A worker that is told to end.

use reelmill_api::EventBody;
use reelmill_e2e::QueueKind;
use reelmill_lab::programs::Running;
use rustix::process::Signal;

use crate::{
    QUICK, end, in_the_middle, lane_is_empty, on_both_queues, slow_farm, unpublished, whole_and_alone, worker,
};

async fn a_task_is_handed_back(kind: QueueKind) {
    let (farm, input) = slow_farm(kind).await;
    let job = farm.submit(&input, QUICK).await;
    let mut hurried = worker(&farm, "first");
    hurried.env("DRAIN_DEADLINE_SECONDS", "1");
    let mut first = Running::start(hurried);
    in_the_middle(&farm, job).await;
    first.signal(Signal::TERM);
    assert_eq!(end(&mut first).await, Some(0));
    unpublished(&farm, job);
    assert!(farm.attempts(job).is_empty(), "it swept what it had made: {:?}", farm.output_files(job));
    let depth = farm.queue.depth(&farm.lane(QUICK)).await.expect("the queue answers");
    assert_eq!((depth.ready, depth.leased), (1, Some(0)), "the task can be taken at once");
    let told = farm.events().await.pop().expect("events").body;
    assert!(matches!(told, EventBody::Failed { retry_in_seconds: Some(0), .. }), "{told:?}");
    let _second = Running::start(worker(&farm, "second"));
    let (attempt, node) = whole_and_alone(&farm, job).await;
    assert_eq!((attempt.number(), node.as_str()), (1, "second"), "what was handed back is not counted as tried");
    lane_is_empty(&farm).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_with_a_short_deadline_hands_the_task_back_uncounted() {
    on_both_queues(a_task_is_handed_back).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_with_a_long_deadline_finishes_the_task_and_takes_no_other() {
    let (farm, input) = slow_farm(QueueKind::Sqlite).await;
    let job = farm.submit(&input, QUICK).await;
    let mut patient = worker(&farm, "first");
    patient.env("DRAIN_DEADLINE_SECONDS", "100");
    let mut first = Running::start(patient);
    in_the_middle(&farm, job).await;
    let next = farm.submit(&input, QUICK).await;
    first.signal(Signal::TERM);
    assert_eq!(end(&mut first).await, Some(0));
    assert_eq!(whole_and_alone(&farm, job).await.1, "first");
    let depth = farm.queue.depth(&farm.lane(QUICK)).await.expect("the queue answers");
    assert_eq!((depth.ready, depth.leased), (1, Some(0)), "the next task waits for another worker");
    assert!(farm.output_files(next).is_empty());
}

async fn all_tasks_are_done(kind: QueueKind) {
    let (farm, input) = slow_farm(kind).await;
    let jobs = [farm.submit(&input, QUICK).await, farm.submit(&input, QUICK).await];
    let mut draining = worker(&farm, "first");
    let said = farm.folder.path().join("said");
    draining.arg("--drain").env("CONCURRENCY", "2").stderr(std::fs::File::create(&said).expect("our folder"));
    assert_eq!(end(&mut Running::start(draining)).await, Some(0));
    let said = std::fs::read_to_string(&said).expect("it was written");
    let told = said.lines().last().and_then(|line| line.split_once("drained in ")).map(|(_, told)| told);
    let (seconds, what) = told.and_then(|told| told.split_once(" s: ")).unwrap_or_else(|| panic!("{said}"));
    assert!(seconds.parse::<f64>().is_ok_and(|seconds| seconds > 0.0), "{seconds}");
    assert_eq!(what, "2 published, 0 attempts failed; exit code 0");
    for job in jobs {
        whole_and_alone(&farm, job).await;
    }
    lane_is_empty(&farm).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drain_works_until_the_lanes_are_empty() {
    on_both_queues(all_tasks_are_done).await;
}
