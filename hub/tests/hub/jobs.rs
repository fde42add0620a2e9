//! A job's way: admitted, on its lane, followed, done; also across a crash and a restart.

use http::StatusCode;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use reelmill_api::{ErrorKind, EventBody, Failure, JobState, Task, job::Job};
use reelmill_hub::db::{Db, Submitted};

use crate::support::{PATIENCE, TestHub, done, failed, progress};

#[tokio::test(flavor = "multi_thread")]
async fn a_submitted_job_lies_on_its_lane_and_follows_its_worker() {
    let hub = TestHub::start().await;
    let worker = hub.worker().await;
    let answer = hub.post(r#"{"input":"s3://media-ingest/a.mp4","preset":"hls-ladder","priority":"high"}"#).await;
    let job = answer.job();
    assert_eq!((answer.status, job.state), (StatusCode::CREATED, JobState::Queued));
    assert_eq!(answer.header("location"), format!("/v1/jobs/{}", job.id));
    assert_eq!(job.output.to_string(), format!("s3://media-output/{}/", job.id));

    let leased = worker.lease().await;
    let task = Task::from_message(&leased.body, worker.lane.as_str(), &leased.message_id).expect("a task");
    assert_eq!(
        (task.job, &task.input, task.output.as_ref(), task.priority),
        (job.id, &job.input, Some(&job.output), job.priority)
    );

    worker.tell(&job, 1, EventBody::Started).await;
    worker.tell(&job, 1, progress(50)).await;
    let running = hub.until(&job.id, |job| job.progress.is_some()).await;
    assert_eq!((running.state, running.attempt, running.progress.map(|p| p.frame)), (JobState::Running, 1, Some(50)));

    let trouble = Failure::new(ErrorKind::Infrastructure, "the store was silent").hint("is it running?");
    worker.tell(&job, 1, failed(trouble.clone(), Some(5))).await;
    let waiting = hub.until(&job.id, |job| job.failure.is_some()).await;
    assert_eq!((waiting.state, waiting.failure, waiting.progress), (JobState::Queued, Some(trouble), None));

    worker.tell(&job, 2, progress(10)).await;
    worker.tell(&job, 1, progress(120)).await;
    worker.tell(&job, 2, done(&job)).await;
    let end = hub.until(&job.id, |job| job.state.is_final()).await;
    assert_eq!((end.state, end.attempt, end.failure, end.progress), (JobState::Done, 2, None, None));
    assert_eq!(end.report.map(|r| r.renditions.len()), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_was_given_up_says_why() {
    let hub = TestHub::start().await;
    let worker = hub.worker().await;
    let job = hub.submit().await;
    let failure = Failure::new(ErrorKind::BadSource, "a.mp4 holds no video").hint("send a video");
    worker.tell(&job, 1, failed(failure.clone(), None)).await;
    let end = hub.until(&job.id, |job| job.state.is_final()).await;
    assert_eq!((end.state, end.failure), (JobState::Failed, Some(failure)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_the_hub_does_not_know_holds_nothing_up() {
    let hub = TestHub::start().await;
    let worker = hub.worker().await;
    let job = hub.submit().await;
    let stranger = Job { id: "0190cafe-0000-7000-8000-00000000beef".parse().expect("a literal"), ..job.clone() };
    worker.emit(b"not json").await;
    worker.emit(br#"{"job":"x"}"#).await;
    worker
        .emit(format!(r#"{{"job":"{}","attempt":"a1-00000007","node":"n","event":"paused"}}"#, job.id).as_bytes())
        .await;
    worker.tell(&stranger, 1, EventBody::Started).await;
    worker.tell(&job, 1, progress(5)).await;
    let running = hub.until(&job.id, |job| job.state == JobState::Running).await;
    assert_eq!(running.progress.map(|p| p.frame), Some(5));
    assert_eq!(hub.get(&format!("/v1/jobs/{}", stranger.id)).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn submitting_twice_is_harmless_and_an_id_is_never_shared() {
    let hub = TestHub::start().await;
    let id = "0190cafe-0000-7000-8000-000000000001";
    let body = |input: &str| format!(r#"{{"id":"{id}","input":"s3://media-ingest/{input}","preset":"hls-ladder"}}"#);
    let first = hub.post(&body("a.mp4")).await;
    let again = hub.post(&body("a.mp4")).await;
    assert_eq!((first.status, again.status), (StatusCode::CREATED, StatusCode::OK));
    assert_eq!(first.job(), again.job());
    let other = hub.post(&body("b.mp4")).await;
    assert_eq!((other.status, other.json()["pointer"].as_str()), (StatusCode::CONFLICT, Some("/id")));

    let worker = hub.worker().await;
    worker.lease().await;
    let depth = worker.queue.depth(&worker.lane).await.expect("the queue answers");
    assert_eq!((depth.ready, depth.leased), (0, Some(1)), "one task for three submissions");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_left_in_the_outbox_by_a_crash_is_published_at_the_next_start() {
    let hub = TestHub::start().await;
    let template = hub.submit().await;
    hub.worker().await.lease().await;
    let folder = hub.stop().await;

    // The state that a crash between the commit and the publication leaves.
    let db = Db::open(&folder.path().join("hub.sqlite")).await.expect("the hub's database");
    let id = "0190cafe-0000-7000-8000-000000000002".parse().expect("a literal");
    let job = Job { id, ..template };
    let request = reelmill_api::JobRequest {
        input: job.input.clone(),
        preset: job.preset.clone(),
        output: Some(job.output.clone()),
        priority: job.priority,
        settings: reelmill_api::preset::Settings::default(),
        id: None,
    };
    let submitted = db.submit(&job, &Task::of(id, request)).await.expect("the database works");
    assert!(matches!(submitted, Submitted::Admitted(_)));
    db.close().await;

    let hub = TestHub::start_in(folder).await;
    let leased = hub.worker().await.lease().await;
    let task = Task::from_message(&leased.body, "lane", &leased.message_id).expect("a task");
    assert_eq!(task.job, id);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_told_while_the_hub_was_down_are_not_lost() {
    let hub = TestHub::start().await;
    let worker = hub.worker().await;
    let job = hub.submit().await;
    worker.tell(&job, 1, progress(5)).await;
    hub.until(&job.id, |job| job.state == JobState::Running).await;
    let folder = hub.stop().await;
    worker.tell(&job, 1, done(&job)).await;
    let hub = TestHub::start_in(folder).await;
    hub.until(&job.id, |job| job.state == JobState::Done).await;
}

/// The next event of a stream: its name and its job; `None` at the end.
async fn next(body: &mut Incoming, buffer: &mut String) -> Option<Job> {
    loop {
        if let Some((event, rest)) = buffer.split_once("\n\n") {
            let (event, rest) = (event.to_owned(), rest.to_owned());
            *buffer = rest;
            let field =
                |name: &str| event.lines().find_map(|l| l.strip_prefix(name)).map(|v| v.trim_start().to_owned());
            if let Some(data) = field("data:") {
                assert_eq!(field("event:").as_deref(), Some("job"));
                return Some(serde_json::from_str(&data).expect("a job"));
            }
            continue;
        }
        let frame = tokio::time::timeout(PATIENCE, body.frame()).await.expect("an event in time")?;
        let data = frame.expect("a whole stream").into_data().expect("data");
        buffer.push_str(std::str::from_utf8(&data).expect("text"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_event_stream_of_a_job_begins_with_its_state_and_ends_with_its_end() {
    let hub = TestHub::start().await;
    let worker = hub.worker().await;
    let job = hub.submit().await;
    let address = format!("{}/v1/jobs/{}/events", hub.addresses.api, job.id);
    let request = http::Request::get(address).body(Default::default()).expect("a request");
    let answer = hub.open(request).await;
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let (mut body, mut buffer) = (answer.into_body(), String::new());

    assert_eq!(next(&mut body, &mut buffer).await.map(|j| j.state), Some(JobState::Queued));
    let other = hub.submit().await;
    worker.tell(&other, 1, progress(1)).await;
    worker.tell(&job, 1, progress(60)).await;
    let running = next(&mut body, &mut buffer).await.expect("a change");
    assert_eq!((running.id, running.progress.map(|p| p.frame)), (job.id, Some(60)));
    worker.tell(&job, 1, done(&job)).await;
    let end = next(&mut body, &mut buffer).await.expect("the end");
    assert!(end.state == JobState::Done && end.report.is_some());
    assert_eq!(next(&mut body, &mut buffer).await, None, "the stream ends");

    let finished = hub.get(&format!("/v1/jobs/{}/events", job.id)).await;
    assert_eq!(finished.text().matches("event: job").count(), 1, "{}", finished.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_newest_first_and_can_be_narrowed() {
    let hub = TestHub::start().await;
    let worker = hub.worker().await;
    let (first, second, third) = (hub.submit().await, hub.submit().await, hub.submit().await);
    worker.tell(&second, 1, done(&second)).await;
    hub.until(&second.id, |job| job.state == JobState::Done).await;

    let ids = async |query: &str| {
        let answer = hub.get(&format!("/v1/jobs{query}")).await.json();
        let jobs = answer["jobs"].as_array().expect("a list").clone();
        jobs.iter().map(|job| job["id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    let [a, b, c] = [&first, &second, &third].map(|job| job.id.to_string());
    assert_eq!(ids("").await, [c.clone(), b.clone(), a.clone()]);
    assert_eq!(ids("?limit=1").await, std::slice::from_ref(&c));
    assert_eq!(ids("?state=done").await, [b]);
    assert_eq!(ids("?state=queued").await, [c, a]);
    assert_eq!(hub.get("/v1/jobs").await.json()["jobs"][1].get("report"), None, "the list is short");
    for bad in ["?limit=0", "?limit=501", "?limit=x", "?state=paused", "?staet=done"] {
        let answer = hub.get(&format!("/v1/jobs{bad}")).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (StatusCode::BAD_REQUEST, "application/problem+json"),
            "{bad}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_jobs_and_the_tasks_that_wait() {
    let hub = TestHub::start().await;
    let worker = hub.worker().await;
    let job = hub.submit().await;
    hub.submit().await;
    worker.lease().await;
    worker.tell(&job, 1, done(&job)).await;
    hub.until(&job.id, |job| job.state == JobState::Done).await;
    // Both tasks are on the lane once the second can be leased; measure after that.
    let leased = worker.lease().await;
    worker.queue.hand_back(&leased.receipt).await.expect("the queue answers");
    let text = hub.get("/metrics").await.text().to_owned();
    for line in [
        "reelmill_hub_jobs{state=\"done\"} 1",
        "reelmill_hub_jobs{state=\"queued\"} 1",
        "reelmill_hub_jobs{state=\"failed\"} 0",
        "reelmill_hub_lane_depth{lane=\"reelmill-hls-ladder\"} 1",
        "reelmill_hub_lane_depth{lane=\"reelmill\"} 0",
        "reelmill_hub_lane_oldest_seconds{lane=\"reelmill-hls-ladder\"}",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}
