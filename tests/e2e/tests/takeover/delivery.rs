//! Messages that come twice, or from somebody else's program.

use std::time::Duration;

use reelmill_api::{Event, EventBody, JobId, QueueName, settle::MAX_ATTEMPTS};
use reelmill_e2e::{Farm, QueueKind, output::Output, until};
use reelmill_lab::{programs::Running, redis::Redis};

use crate::{QUICK, lane_is_empty, on_both_queues, slow_farm, unpublished, untouched, whole_and_alone, worker};

async fn told(farm: &Farm, job: JobId, wanted: fn(&EventBody) -> bool) -> usize {
    farm.events().await.iter().filter(|e| e.job == job && wanted(&e.body)).count()
}

async fn until_told(farm: &Farm, job: JobId, times: usize, wanted: fn(&EventBody) -> bool) {
    until("an event", async || (told(farm, job, wanted).await >= times).then_some(())).await;
}

async fn twice_delivered_is_once_published(kind: QueueKind) {
    let (farm, input) = slow_farm(kind).await;
    let job = farm.submit(&input, QUICK).await;
    farm.submit_as(job, &input, QUICK).await;
    let _workers = [Running::start(worker(&farm, "first")), Running::start(worker(&farm, "second"))];
    until_told(&farm, job, 2, |body| matches!(body, EventBody::Started)).await;
    unpublished(&farm, job);
    lane_is_empty(&farm).await;
    assert_eq!(told(&farm, job, |body| matches!(body, EventBody::Failed { .. })).await, 0, "neither failed");
    whole_and_alone(&farm, job).await;
    let before = farm.output_bytes(job);
    farm.submit_as(job, &input, QUICK).await;
    until_told(&farm, job, 3, |body| matches!(body, EventBody::Done { .. })).await;
    lane_is_empty(&farm).await;
    untouched(&farm, job, &before);
    whole_and_alone(&farm, job).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_delivered_twice_is_published_once() {
    on_both_queues(twice_delivered_is_once_published).await;
}

/// As a worker leaves it that dies between the commit of the last attempt and its settlement.
async fn what_the_last_attempt_published_is_found(kind: QueueKind) {
    let (farm, input) = slow_farm(kind).await;
    let job = farm.submit(&input, QUICK).await;
    let first = Running::start(worker(&farm, "first"));
    lane_is_empty(&farm).await;
    drop(first);
    let before = farm.output_bytes(job);
    farm.submit_as(job, &input, QUICK).await;
    for attempt in 1..=MAX_ATTEMPTS {
        let lanes = [farm.lane(QUICK)];
        let leased = farm.queue.lease(&lanes, Duration::ZERO, Duration::from_secs(30)).await.expect("an answer");
        assert_eq!(leased.expect("a delivery").attempt, attempt);
    }
    let _second = Running::start(worker(&farm, "second"));
    until_told(&farm, job, 2, |body| matches!(body, EventBody::Done { .. })).await;
    lane_is_empty(&farm).await;
    assert_eq!(told(&farm, job, |body| matches!(body, EventBody::Failed { .. })).await, 0, "it did not fail");
    untouched(&farm, job, &before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_published_is_not_given_up_for_the_death_of_its_last_worker() {
    on_both_queues(what_the_last_attempt_published_is_found).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_nobody_could_be_told_of_is_told_by_the_next_delivery() {
    let (farm, input) = slow_farm(QueueKind::Redis(Redis::start())).await;
    let QueueKind::Redis(redis) = &farm.kind else { unreachable!("just chosen") };
    // A server that takes everything but events.
    redis.cli(&["SET", "{reelmill}:events", "not a stream"]);
    let job = farm.submit(&input, QUICK).await;
    let _worker = Running::start(worker(&farm, "first"));
    until("the commit", async || farm.output_files(job).contains("master.m3u8").then_some(())).await;
    let depth = async || farm.queue.depth(&farm.lane(QUICK)).await.expect("an answer");
    // The lease is nobody's then, and runs out.
    until("another delivery", async || (depth().await.ready > 0).then_some(())).await;
    redis.cli(&["DEL", "{reelmill}:events"]);
    lane_is_empty(&farm).await;
    assert_eq!(told(&farm, job, |body| matches!(body, EventBody::Done { .. })).await, 1);
    whole_and_alone(&farm, job).await;
}

/// As if a worker had died of the task each time.
async fn deadly_task_is_given_up(kind: QueueKind) {
    let (farm, input) = slow_farm(kind).await;
    let (job, lane) = (farm.submit(&input, QUICK).await, farm.lane(QUICK));
    for attempt in 1..=MAX_ATTEMPTS {
        let leased =
            farm.queue.lease(std::slice::from_ref(&lane), Duration::from_secs(60), Duration::from_secs(60)).await;
        let leased = leased.expect("the queue answers").expect("the task");
        assert_eq!(leased.attempt, attempt);
        farm.queue.retry_after(&leased.receipt, Duration::ZERO).await.expect("it is ours");
    }
    let _worker = Running::start(worker(&farm, "first"));
    let given_up = |event: &Event| matches!(event.body, EventBody::Failed { retry_in_seconds: None, .. });
    farm.wait_for(job, "its end", given_up).await;
    let letters = async || {
        let letters = farm.queue.dead_letters(&lane, 10).await.expect("the queue answers");
        (!letters.is_empty()).then_some(letters)
    };
    let letters = until("a dead letter", letters).await;
    let want = format!("the worker of each of {MAX_ATTEMPTS} attempts at job {job} died or lost its lease");
    assert!(letters.len() == 1 && letters[0].reason.starts_with(&want), "{letters:?}");
    assert_eq!(told(&farm, job, |body| matches!(body, EventBody::Started)).await, 0, "it is not tried once more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_of_which_workers_die_is_given_up() {
    on_both_queues(deadly_task_is_given_up).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_json_pushed_on_the_list_becomes_a_ladder() {
    let (farm, input) = slow_farm(QueueKind::Redis(Redis::start())).await;
    let QueueKind::Redis(redis) = &farm.kind else { unreachable!("just chosen") };
    let _worker = Running::start(worker(&farm, "first"));
    redis.cli(&["RPUSH", "reelmill", &format!(r#"{{"input":"{input}","preset":"hls-ladder"}}"#)]);
    let job = until("an event", async || Some(farm.events().await.first()?.job)).await;
    let output = Output::of(&farm, job).await;
    output.is_true();
    assert_eq!((output.report.input.to_string(), output.report.preset.as_str()), (input, "hls-ladder"));
    assert_eq!(redis.cli(&["LLEN", "reelmill"]), "0", "nothing is left on the list");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_job_becomes_a_dead_letter_with_its_bytes_and_a_reason() {
    let farm = Farm::start_on_redis().await;
    let QueueKind::Redis(redis) = &farm.kind else { unreachable!("just chosen") };
    let _worker = Running::start(farm.worker());
    let wrong: [(&[u8], &str); 3] = [
        (b"{\"input\": \"s3://media-test/a.mp4\", ", "it is no whole JSON"),
        (b"\xff\x00 not even text", "it is no whole JSON"),
        (br#"{"input":"s3://media-test/a.mp4","preset":"hls-ladder","prio":"high"}"#, "prio"),
    ];
    for (bytes, _) in wrong {
        redis.cli_with(&["-x", "RPUSH", "reelmill"], bytes);
    }
    let intake = QueueName::default().intake();
    let letters = until("dead letters", async || {
        let letters = farm.queue.dead_letters(&intake, 10).await.expect("the queue answers");
        (letters.len() == wrong.len()).then_some(letters)
    })
    .await;
    for (bytes, part) in wrong {
        let letter = letters.iter().find(|l| l.body == bytes).unwrap_or_else(|| panic!("no {}", bytes.escape_ascii()));
        assert!(letter.reason.contains("is not a job") && letter.reason.contains(part), "{}", letter.reason);
        assert!(letter.reason.contains("hint: the smallest job is"), "{}", letter.reason);
    }
    assert_eq!(redis.cli(&["LLEN", "reelmill"]), "0", "nothing is left on the list");
}
