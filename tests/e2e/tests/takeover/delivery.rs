//! Messages that come twice, or from somebody else's program.

use std::{collections::BTreeMap, fs, time::Duration};

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

/// Delivers a task as often as it is tried, as if a worker had died of it each time.
async fn spend_all_attempts(farm: &Farm) {
    let lanes = [farm.lane(QUICK)];
    for attempt in 1..=MAX_ATTEMPTS {
        let leased = farm.queue.lease(&lanes, Duration::from_secs(60), Duration::from_secs(60)).await;
        let leased = leased.expect("the queue answers").expect("the task");
        assert_eq!(leased.attempt, attempt);
        farm.queue.retry_after(&leased.receipt, Duration::ZERO).await.expect("it is ours");
    }
}

/// A job that is published, delivered anew after its last attempt.
async fn published_and_spent(kind: QueueKind) -> (Farm, JobId) {
    let (farm, input) = slow_farm(kind).await;
    let job = farm.submit(&input, QUICK).await;
    let first = Running::start(worker(&farm, "first"));
    lane_is_empty(&farm).await;
    drop(first);
    farm.submit_as(job, &input, QUICK).await;
    spend_all_attempts(&farm).await;
    (farm, job)
}

async fn found_by_the_second(farm: &Farm, job: JobId, before: &BTreeMap<String, Vec<u8>>) {
    until_told(farm, job, 2, |body| matches!(body, EventBody::Done { .. })).await;
    lane_is_empty(farm).await;
    assert_eq!(told(farm, job, |body| matches!(body, EventBody::Failed { .. })).await, 0, "it did not fail");
    untouched(farm, job, before);
}

/// As a worker leaves it that dies between the commit of the last attempt and its settlement.
async fn what_the_last_attempt_published_is_found(kind: QueueKind) {
    let (farm, job) = published_and_spent(kind).await;
    let before = farm.output_bytes(job);
    let _second = Running::start(worker(&farm, "second"));
    found_by_the_second(&farm, job, &before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_published_is_not_given_up_for_the_death_of_its_last_worker() {
    on_both_queues(what_the_last_attempt_published_is_found).await;
}

/// As a late attempt leaves it whose claim on report and manifest came between another's commit and its seal.
async fn what_lies_beside_becomes_the_published_attempts_again(kind: QueueKind) {
    let (farm, input) = slow_farm(kind).await;
    let job = farm.submit(&input, QUICK).await;
    let _worker = Running::start(worker(&farm, "first"));
    lane_is_empty(&farm).await;
    let before = farm.output_bytes(job);
    let folder = farm.output_folder(job);
    let report = String::from_utf8(before["reelmill.json"].clone()).expect("text");
    let (own, other) = (farm.attempts(job)[0].to_string(), "a9-00000000");
    fs::write(folder.join("reelmill.json"), report.replace(&own, other)).expect("a report");
    let manifest = String::from_utf8(before["manifest.mpd"].clone()).expect("text");
    fs::write(folder.join("manifest.mpd"), manifest.replace(&own, other)).expect("a manifest");
    farm.submit_as(job, &input, QUICK).await;
    found_by_the_second(&farm, job, &before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_is_not_the_published_attempts_is_replaced() {
    on_both_queues(what_lies_beside_becomes_the_published_attempts_again).await;
}

/// As a worker leaves it whose lease runs out while its commit is on a line that stands still.
async fn a_commit_that_comes_late_is_waited_for(kind: QueueKind) {
    let (farm, job) = published_and_spent(kind).await;
    let before = farm.output_bytes(job);
    let (there, away) = (farm.output_folder(job).join("master.m3u8"), farm.folder.path().join("on-its-way"));
    fs::rename(&there, &away).expect("the commit");
    let _second = Running::start(worker(&farm, "second"));
    let depth = async || farm.queue.depth(&farm.lane(QUICK)).await.expect("an answer");
    until("the delivery after the last", async || (depth().await.ready == 0).then_some(())).await;
    // Time to look, and to give the job up at once.
    tokio::time::sleep(Duration::from_secs(3)).await;
    fs::rename(&away, &there).expect("the commit");
    found_by_the_second(&farm, job, &before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_commit_comes_late_is_not_given_up() {
    on_both_queues(a_commit_that_comes_late_is_waited_for).await;
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
    spend_all_attempts(&farm).await;
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
