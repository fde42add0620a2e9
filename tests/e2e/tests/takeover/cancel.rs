//! Jobs that are canceled: before a worker has them, while it works, and while none is there.

use reelmill_api::{ErrorKind, Event, EventBody, JobId, Notice};
use reelmill_e2e::{
    Farm, QueueKind,
    processes::{Process, children},
    until,
};
use reelmill_lab::programs::Running;

use crate::{QUICK, in_the_middle, lane_is_empty, on_both_queues, slow_farm, whole_and_alone, worker};

async fn cancel(farm: &Farm, job: JobId) {
    farm.queue.post(&Notice::Canceled(job)).await.expect("the queue answers");
}

/// Waits until a worker tells that it dropped the job, for good; nothing of it is left anywhere.
async fn dropped(farm: &Farm, job: JobId) {
    let over = |event: &Event| matches!(event.body, EventBody::Failed { .. } | EventBody::Done { .. });
    let EventBody::Failed { failure, retry_in_seconds } = farm.wait_for(job, "the end", over).await.body else {
        panic!("it was published")
    };
    let want = (ErrorKind::Canceled, format!("job {job} was canceled"), None);
    assert_eq!((failure.kind, failure.message, retry_in_seconds), want);
    lane_is_empty(farm).await;
    assert_eq!(farm.output_files(job), Default::default(), "what was made of it is swept");
    assert_eq!(farm.store.unfinished_uploads(), 0);
    let ends = farm.events().await.into_iter().filter(|event| event.job == job && over(event)).count();
    assert_eq!(ends, 1, "its end is told once");
}

async fn begun(farm: &Farm, job: JobId) -> usize {
    farm.events().await.iter().filter(|e| e.job == job && matches!(e.body, EventBody::Started)).count()
}

async fn a_running_job_is_called_off(kind: QueueKind) {
    let (farm, input) = slow_farm(kind).await;
    let job = farm.submit(&input, QUICK).await;
    let first = Running::start(worker(&farm, "first"));
    in_the_middle(&farm, job).await;
    let media = children(first.pid());
    assert!(media.iter().any(|p| p.name == "ffmpeg"), "a media process is at work: {media:?}");
    cancel(&farm, job).await;
    let over = async || (!media.iter().any(Process::is_alive)).then_some(());
    until("the end of its media processes", over).await;
    dropped(&farm, job).await;
    // The worker goes on, and knows one job from another.
    let next = farm.submit(&input, QUICK).await;
    whole_and_alone(&farm, next).await;
    // The same message once more, as from a producer that did not hear the answer.
    farm.submit_as(job, &input, QUICK).await;
    lane_is_empty(&farm).await;
    assert_eq!(begun(&farm, job).await, 1, "no other attempt was begun");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_canceled_while_it_runs_is_called_off_and_swept() {
    on_both_queues(a_running_job_is_called_off).await;
}

async fn a_waiting_job_is_dropped(kind: QueueKind) {
    let (farm, input) = slow_farm(kind).await;
    let job = farm.submit(&input, QUICK).await;
    cancel(&farm, job).await;
    let _worker = Running::start(worker(&farm, "first"));
    dropped(&farm, job).await;
    assert_eq!(begun(&farm, job).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_canceled_while_it_waits_is_never_begun() {
    on_both_queues(a_waiting_job_is_dropped).await;
}

async fn a_dead_workers_job_is_dropped(kind: QueueKind) {
    let (farm, input) = slow_farm(kind).await;
    let job = farm.submit(&input, QUICK).await;
    let mut first = Running::start(worker(&farm, "first"));
    in_the_middle(&farm, job).await;
    first.kill();
    cancel(&farm, job).await;
    let _again = Running::start(worker(&farm, "first"));
    let told = farm.wait_for(job, "the end", |event| matches!(event.body, EventBody::Failed { .. })).await;
    assert_eq!(told.attempt.number(), 2, "its lease ran out, and it came again");
    lane_is_empty(&farm).await;
    assert_eq!(begun(&farm, job).await, 1, "only by the worker that died");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_canceled_while_its_worker_is_gone_is_never_begun_again() {
    on_both_queues(a_dead_workers_job_is_dropped).await;
}
