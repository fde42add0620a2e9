//! What an operator does with lanes, dead letters and jobs in work: on the embedded queue and on a real Redis.

use std::time::Duration;

use http::{Method, StatusCode};
use reelmill_api::{
    ErrorKind, EventBody, Failure, JobState, Lane, Needs, Notice, QueueName, job::Job, preset::Presets,
};
use reelmill_daemon::Env;
use reelmill_hub::{Config, Overrides};
use reelmill_lab::{
    redis::Redis,
    s3::{BUCKET, Server},
};
use reelmill_queue::{NewMessage, QueueError};
use serde_json::{Value, json};

use crate::support::{Answer, TestHub, TestWorker, done, failed, progress};

/// A hub, a worker's side of its queue, and what must outlive both.
pub(crate) struct Scene {
    pub(crate) hub: TestHub,
    worker: TestWorker,
    /// The servers of a hub that embeds nothing.
    servers: Option<(Redis, Server)>,
}

impl Scene {
    pub(crate) async fn embedded() -> Self {
        let hub = TestHub::start().await;
        Self { worker: hub.worker().await, hub, servers: None }
    }

    async fn on_redis() -> Self {
        let (redis, store) = (Redis::start(), Server::start().await);
        let settings = reelmill_lab::programs::store_settings(&store);
        let buckets = [("INPUT_BUCKET", BUCKET.to_owned()), ("OUTPUT_BUCKET", BUCKET.to_owned())];
        let env = settings.into_iter().chain(buckets).chain([("QUEUE_URL", redis.url())]);
        let config = Config::load(None, Env::from_pairs(env), Overrides::default()).expect("good settings");
        let hub = TestHub::start_with(tempfile::tempdir().expect("a folder"), config).await;
        let name = QueueName::default();
        let queue = reelmill_queue::connect(&redis.url(), &name).await.expect("the queue answers");
        let worker = TestWorker { queue, lane: name.tasks(&"hls-ladder".parse().expect("a literal")) };
        Self { worker, hub, servers: Some((redis, store)) }
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.hub.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.json()
    }

    async fn post(&self, path: &str) -> Answer {
        self.hub.send(Method::POST, path, &[], b"").await
    }

    pub(crate) async fn posted(&self, path: &str) -> Value {
        let answer = self.post(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.json()
    }

    /// `status title: detail`, and the hint, of a refusal.
    fn refused(answer: &Answer) -> (String, String) {
        assert_eq!(answer.header("content-type"), "application/problem+json", "{answer:?}");
        let problem = answer.json();
        let text = |field: &str| problem[field].as_str().unwrap_or_default().to_owned();
        (format!("{} {}: {}", answer.status.as_u16(), text("title"), text("detail")), text("hint"))
    }

    async fn lane(&self, name: &str) -> Value {
        let list = self.get("/v1/lanes").await;
        let lanes = list["lanes"].as_array().expect("lanes");
        lanes.iter().find(|lane| lane["lane"] == name).unwrap_or_else(|| panic!("no {name} in {list}")).clone()
    }

    async fn letters(&self, query: &str) -> Vec<Value> {
        self.get(&format!("/v1/dead-letters{query}")).await["dead_letters"].as_array().expect("letters").clone()
    }

    async fn notices(&self) -> Vec<String> {
        let notices = self.worker.queue.notices().await.expect("the queue answers");
        notices.iter().map(Notice::to_string).collect()
    }

    /// A job that failed, and its dead letter's path.
    pub(crate) async fn failed_job(&self) -> (Job, String) {
        let job = self.hub.submit().await;
        let leased = self.worker.lease().await;
        let failure = Failure::new(ErrorKind::BadSource, "a.mp4 holds no video").hint("send a video");
        self.worker.tell(&job, leased.attempt, failed(failure.clone(), None)).await;
        let buried = self.worker.queue.dead_letter(&leased.receipt, &failure.lines()).await;
        buried.expect("the lease holds");
        self.hub.until(&job.id, |job| job.state == JobState::Failed).await;
        (job, format!("/v1/dead-letters/{}/{}", leased.lane, leased.message_id))
    }

    /// Makes a dead letter of a message that is no job; its path.
    pub(crate) async fn bury_at_the_intake(&self, body: &[u8], reason: &str) -> String {
        let worker = TestWorker { queue: self.worker.queue.clone(), lane: QueueName::default().intake() };
        self.put(&worker.lane, body).await;
        let leased = worker.lease().await;
        worker.queue.dead_letter(&leased.receipt, reason).await.expect("the lease holds");
        format!("/v1/dead-letters/reelmill/{}", leased.message_id)
    }

    async fn put(&self, lane: &Lane, body: &[u8]) {
        let message = NewMessage {
            body: body.to_vec(),
            priority: reelmill_api::Priority::Normal,
            delay: Duration::ZERO,
            dedupe_key: None,
        };
        self.worker.queue.publish(lane, &message).await.expect("the queue takes it");
    }
}

async fn on_both_queues(check: impl AsyncFn(&Scene)) {
    check(&Scene::embedded().await).await;
    let scene = Scene::on_redis().await;
    check(&scene).await;
    drop(scene.servers);
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_tell_how_full_they_are() {
    on_both_queues(async |scene| {
        let list = scene.get("/v1/lanes").await;
        let names: Vec<_> = list["lanes"].as_array().expect("lanes").iter().map(|lane| &lane["lane"]).collect();
        assert!(names.contains(&&json!("reelmill")) && names.contains(&&json!("reelmill-live-hls")), "{names:?}");
        let empty = json!({"lane": "reelmill", "paused": false, "ready": 0, "delayed": 0, "leased": 0, "dead": 0});
        assert_eq!(scene.lane("reelmill").await, empty);

        for _ in 0..2 {
            scene.hub.submit().await;
        }
        scene.worker.lease().await;
        let waiting = scene.worker.lease().await;
        scene.worker.queue.hand_back(&waiting.receipt).await.expect("the queue answers");
        let mut lane = scene.lane("reelmill-hls-ladder").await;
        let oldest = lane["oldest_seconds"].take();
        assert!(oldest.as_f64().is_some_and(|age| (0.0..600.0).contains(&age)), "{oldest}");
        let want = json!({"lane": "reelmill-hls-ladder", "paused": false, "ready": 1, "delayed": 0, "leased": 1,
                          "dead": 0, "oldest_seconds": null});
        assert_eq!(lane, want);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_is_paused_and_resumed_by_a_notice_on_the_queue() {
    on_both_queues(async |scene| {
        for _ in 0..2 {
            assert_eq!(scene.posted("/v1/lanes/reelmill-hls-ladder/pause").await["paused"], true);
            assert_eq!(scene.notices().await, ["paused-reelmill-hls-ladder"]);
        }
        assert_eq!(scene.lane("reelmill-hls-ladder").await["paused"], true);
        assert_eq!(scene.lane("reelmill").await["paused"], false);
        for _ in 0..2 {
            assert_eq!(scene.posted("/v1/lanes/reelmill-hls-ladder/resume").await["paused"], false);
            assert_eq!(scene.notices().await, [""; 0]);
        }
        let (told, hint) = Scene::refused(&scene.post("/v1/lanes/reelmill-hls-laddr/pause").await);
        assert_eq!(told, "404 not found: there is no lane of that name");
        assert!(hint.starts_with("lanes here: reelmill, reelmill-archive-dnxhr, "), "{hint}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_is_paused_is_shown_even_if_its_preset_is_gone() {
    let scene = Scene::embedded().await;
    let lane: Lane = "reelmill-of-old".parse().expect("a lane");
    scene.worker.queue.post(&Notice::Paused(lane)).await.expect("the queue answers");
    assert_eq!(scene.lane("reelmill-of-old").await["paused"], true);
    assert_eq!(scene.posted("/v1/lanes/reelmill-of-old/resume").await["paused"], false);
    assert_eq!(scene.notices().await, [""; 0]);
    assert_eq!(scene.post("/v1/lanes/reelmill-of-old/resume").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_of_needs_is_shown_while_something_is_on_it() {
    on_both_queues(async |scene| {
        let presets = Presets::built_in();
        let preset = presets.get(&"hls-ladder".parse().expect("a literal")).expect("a built-in");
        let needs = Needs::beyond(preset).pop().expect("it may need more");
        let lane = QueueName::default().needing(&preset.name, &needs);
        let shown = async || scene.get("/v1/lanes").await.to_string().contains(&format!("\"{lane}\""));
        let measured = async || scene.hub.get("/metrics").await.text().contains(&format!("\"{lane}\""));
        assert_eq!((shown().await, measured().await), (false, false));
        scene.posted("/v1/lanes/reelmill-hls-ladder/pause").await;
        assert!(!shown().await, "nothing is on it, and nobody paused it by name");
        scene.put(&lane, b"{}").await;
        assert_eq!((shown().await, measured().await), (true, true));
        let with = |lane: Value| (lane["paused"].clone(), lane["paused_with"].clone());
        let standing = async || with(scene.lane(lane.as_str()).await);
        assert_eq!(standing().await, (json!(true), json!("reelmill-hls-ladder")), "no node leases from it either");
        scene.posted(&format!("/v1/lanes/{lane}/pause")).await;
        assert_eq!(standing().await, (json!(true), Value::Null), "to open the preset's would not do");
        scene.posted("/v1/lanes/reelmill-hls-ladder/resume").await;
        assert_eq!(standing().await, (json!(true), Value::Null));
        scene.posted(&format!("/v1/lanes/{lane}/resume")).await;
        assert_eq!(standing().await, (json!(false), Value::Null));
        scene.posted(&format!("/v1/lanes/{lane}/pause")).await;
        let worker = TestWorker { queue: scene.worker.queue.clone(), lane: lane.clone() };
        let leased = worker.lease().await;
        worker.queue.dead_letter(&leased.receipt, "no node is able").await.expect("the lease holds");
        assert_eq!((shown().await, measured().await), (true, false), "it is paused, and nothing waits");
        let dropped = format!("/v1/dead-letters/{lane}/{}", leased.message_id);
        assert_eq!(scene.letters("").await.len(), 1);
        assert_eq!(scene.hub.send(Method::DELETE, &dropped, &[], b"").await.status, StatusCode::OK);
        scene.posted(&format!("/v1/lanes/{lane}/resume")).await;
        assert!(!shown().await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_listed_shown_and_tried_again() {
    on_both_queues(async |scene| {
        assert!(scene.letters("").await.is_empty());
        let (job, path) = scene.failed_job().await;
        let letters = scene.letters("").await;
        let message = path.rsplit('/').next().expect("an id");
        let listed = json!({"lane": "reelmill-hls-ladder", "message_id": message, "job": job.id, "attempts": 1,
                            "reason": "a.mp4 holds no video\nhint: send a video", "bytes": letters[0]["bytes"]});
        assert_eq!(letters, [listed]);
        for (query, found) in [
            ("?lane=reelmill-hls-ladder&limit=1", 1),
            ("?lane=reelmill", 0),
            (&format!("?job={}", job.id), 1),
            ("?job=0190cafe-0000-7000-8000-00000000beef", 0),
        ] {
            assert_eq!(scene.letters(query).await.len(), found, "{query}");
        }
        let shown = scene.get(&path).await;
        assert_eq!((&shown["encoding"], &shown["bytes"]), (&json!("utf-8"), &letters[0]["bytes"]));
        let body: Value = serde_json::from_str(shown["body"].as_str().expect("text")).expect("the task as it was");
        assert_eq!((&body["job"], &body["preset"]), (&json!(job.id), &json!("hls-ladder")));

        assert_eq!(scene.posted(&format!("{path}/retry")).await["job"], json!(job.id));
        let again = scene.hub.job(&job.id).await;
        assert_eq!((again.state, again.attempt, again.failure.is_some()), (JobState::Queued, 0, true));
        assert!(scene.letters("").await.is_empty());
        let leased = scene.worker.lease().await;
        assert_eq!((leased.attempt, leased.message_id.as_str()), (1, message), "as if it had never been delivered");
        scene.worker.tell(&job, 1, progress(7)).await;
        scene.worker.tell(&job, 1, done(&job)).await;
        scene.hub.until(&job.id, |job| job.state == JobState::Done).await;

        let (told, hint) = Scene::refused(&scene.post(&format!("{path}/retry")).await);
        assert_eq!(told, "404 not found: lane reelmill-hls-ladder has no dead letter of that id");
        assert!(hint.starts_with("GET /v1/dead-letters?lane=reelmill-hls-ladder lists them"), "{hint}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_dropped_for_good() {
    on_both_queues(async |scene| {
        let (job, path) = scene.failed_job().await;
        let dropped = scene.hub.send(Method::DELETE, &path, &[], b"").await;
        assert_eq!((dropped.status, &dropped.json()["job"]), (StatusCode::OK, &json!(job.id)));
        assert!(scene.letters("").await.is_empty());
        assert_eq!(scene.hub.send(Method::DELETE, &path, &[], b"").await.status, StatusCode::NOT_FOUND);
        assert_eq!(scene.hub.job(&job.id).await.state, JobState::Failed);
        assert_eq!(scene.lane("reelmill-hls-ladder").await["ready"], 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_job_is_shown_byte_for_byte_and_tried_again_as_it_was() {
    on_both_queues(async |scene| {
        let scribbles: [(&[u8], Value); 2] = [
            (b"{\"input\": ", json!({"body": "{\"input\": ", "encoding": "utf-8"})),
            (b"\xff\x00\xff", json!({"body": "/wD/", "encoding": "base64"})),
        ];
        for (bytes, body) in scribbles {
            let path = scene.bury_at_the_intake(bytes, "it is no job").await;
            let worker = TestWorker { queue: scene.worker.queue.clone(), lane: QueueName::default().intake() };
            let shown = scene.get(&path).await;
            let got = json!({"body": shown["body"], "encoding": shown["encoding"]});
            assert_eq!((got, shown.get("job")), (body, None));
            scene.posted(&format!("{path}/retry")).await;
            let again = worker.lease().await;
            assert_eq!((again.body.as_slice(), again.attempt), (bytes, 1));
            worker.queue.ack(&again.receipt).await.expect("the lease holds");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_canceled_at_once_whether_it_waits_or_runs() {
    on_both_queues(async |scene| {
        let (waiting, running) = (scene.hub.submit().await, scene.hub.submit().await);
        scene.worker.tell(&running, 2, progress(40)).await;
        scene.hub.until(&running.id, |job| job.state == JobState::Running).await;
        for job in [&waiting, &running, &running] {
            let answer = scene.posted(&format!("/v1/jobs/{}/cancel", job.id)).await;
            assert_eq!((&answer["state"], answer.get("progress")), (&json!("canceled"), None));
        }
        let mut want = [&waiting, &running].map(|job| format!("canceled-{}", job.id));
        want.sort();
        assert_eq!(scene.notices().await, want);
        // What a worker that does not know it yet tells is no news, unless it has published.
        scene.worker.tell(&running, 2, progress(50)).await;
        let trouble = Failure::new(ErrorKind::Infrastructure, "the store is away");
        scene.worker.tell(&running, 2, failed(trouble, Some(5))).await;
        scene.worker.tell(&waiting, 1, done(&waiting)).await;
        scene.hub.until(&waiting.id, |job| job.state == JobState::Done).await;
        let job = scene.hub.job(&running.id).await;
        assert_eq!((job.state, job.progress, job.failure), (JobState::Canceled, None, None));
        let listed = scene.get("/v1/jobs?state=canceled").await;
        assert_eq!(listed["jobs"].as_array().map(Vec::len), Some(1));
        assert!(scene.hub.get("/metrics").await.text().contains("reelmill_hub_jobs{state=\"canceled\"} 1"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_over_is_not_canceled() {
    let scene = Scene::embedded().await;
    let (dead, _) = scene.failed_job().await;
    let done_job = scene.hub.submit().await;
    scene.worker.tell(&done_job, 1, done(&done_job)).await;
    scene.hub.until(&done_job.id, |job| job.state == JobState::Done).await;
    for (job, why) in [(&done_job, "is done: its output is published"), (&dead, "has failed: nobody works on it")] {
        let (told, _) = Scene::refused(&scene.post(&format!("/v1/jobs/{}/cancel", job.id)).await);
        assert_eq!(told, format!("409 the job is over: job {} {why}", job.id));
    }
    let unknown = scene.post("/v1/jobs/0190cafe-0000-7000-8000-00000000beef/cancel").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(scene.notices().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn trying_again_takes_the_cancellation_back() {
    on_both_queues(async |scene| {
        let job = scene.hub.submit().await;
        let leased = scene.worker.lease().await;
        scene.posted(&format!("/v1/jobs/{}/cancel", job.id)).await;
        scene.worker.queue.dead_letter(&leased.receipt, "it was canceled").await.expect("the lease holds");
        scene.posted(&format!("/v1/dead-letters/{}/{}/retry", leased.lane, leased.message_id)).await;
        assert_eq!(scene.notices().await, [""; 0]);
        assert_eq!(scene.hub.job(&job.id).await.state, JobState::Queued);
        scene.worker.lease().await;
        scene.worker.tell(&job, 1, EventBody::Started).await;
        scene.hub.until(&job.id, |job| job.state == JobState::Running).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_away_is_told_and_changes_nothing() {
    let mut scene = Scene::on_redis().await;
    let (dead, path) = scene.failed_job().await;
    let job = scene.hub.submit().await;
    let (redis, store) = scene.servers.take().expect("both");
    drop(redis);
    for (path, doing) in [
        (format!("/v1/jobs/{}/cancel", job.id), format!("cancel job {}", job.id)),
        ("/v1/lanes/reelmill/pause".to_owned(), "pause lane reelmill".to_owned()),
        (format!("{path}/retry"), "show the dead letters of lane reelmill-hls-ladder".to_owned()),
    ] {
        let (told, hint) = Scene::refused(&scene.post(&path).await);
        assert_eq!(told, format!("502 the queue failed: the queue could not {doing}"));
        assert!(hint.starts_with("GET /v1/health"), "{hint}");
    }
    assert_eq!(scene.hub.job(&job.id).await.state, JobState::Queued);
    assert_eq!(scene.hub.job(&dead.id).await.state, JobState::Failed);
    let gone = scene.worker.queue.notices().await.expect_err("it is gone");
    assert!(matches!(gone, QueueError::Failed { .. }));
    drop(store);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_presses_no_button() {
    let scene = Scene::embedded().await;
    let (job, path) = scene.failed_job().await;
    let evil = [("origin", "http://evil.example")];
    for (method, path) in [
        (Method::POST, "/v1/lanes/reelmill/pause".to_owned()),
        (Method::POST, "/v1/lanes/reelmill/resume".to_owned()),
        (Method::POST, format!("/v1/jobs/{}/cancel", job.id)),
        (Method::POST, format!("{path}/retry")),
        (Method::DELETE, path),
    ] {
        let answer = scene.hub.send(method, &path, &evil, b"").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(scene.letters("").await.len(), 1);
    assert_eq!(scene.notices().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_cannot_be_is_refused_with_what_can() {
    let scene = Scene::embedded().await;
    for bad in ["?limit=0", "?limit=501", "?limit=x", "?job=7", "?lan=reelmill"] {
        let (_, hint) = Scene::refused(&scene.hub.get(&format!("/v1/dead-letters{bad}")).await);
        assert_eq!(hint, "take lane=NAME, job=UUID, and limit=1 to 500", "{bad}");
    }
    let unknown = scene.hub.get("/v1/dead-letters?lane=nope").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}
