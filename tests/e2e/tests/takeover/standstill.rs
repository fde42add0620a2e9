//! An attempt that lives and gets nowhere.

use reelmill_api::{ErrorKind, EventBody, settle::FIRST_RETRY};
use reelmill_e2e::QueueKind;
use reelmill_lab::{
    fault::{Fault, Op},
    programs::Running,
};

use crate::{QUICK, lane_is_empty, on_both_queues, slow_farm, whole_and_alone, worker};

/// The store takes the order to put a report and never answers, and the worker is patient with stores: no media process is
/// there that could be seen to hang.
async fn an_attempt_is_called_off_and_tried_again(kind: QueueKind) {
    let (farm, input) = slow_farm(kind).await;
    farm.store.plan.add_for(Op::Put, "/reelmill.json", 1, Fault::Stall);
    let job = farm.submit(&input, QUICK).await;
    let mut patient = worker(&farm, "first");
    patient.env("S3_STALL_SECONDS", "1000").env("STALL_SECONDS", "5").env("STUCK_SECONDS", "6");
    let _worker = Running::start(patient);
    let failed = farm.wait_for(job, "a failure", |event| matches!(event.body, EventBody::Failed { .. })).await;
    assert!(farm.store.plan.unmet().is_empty(), "the store stood still");
    let EventBody::Failed { failure, retry_in_seconds } = failed.body else { unreachable!("just matched") };
    assert_eq!((failure.kind, retry_in_seconds), (ErrorKind::Infrastructure, Some(FIRST_RETRY.as_secs())));
    assert!(failure.message.starts_with("nothing moved in the attempt for 6 s"), "{}", failure.message);
    let (attempt, _) = whole_and_alone(&farm, job).await;
    assert_eq!(attempt.number(), 2);
    lane_is_empty(&farm).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_in_which_nothing_moves_is_called_off_and_tried_again() {
    on_both_queues(an_attempt_is_called_off_and_tried_again).await;
}
