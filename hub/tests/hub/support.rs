//! A hub for one test, a client for it, and a worker's side of its queue.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use reelmill_api::{
    AttemptId, Event, EventBody, Failure, JobId, Lane, Location, MediaFacts, Progress, QueueName, Rational, Rendition,
    Report,
    job::Job,
    rendition::{DynamicRange, Track},
    report::Timings,
};
use reelmill_hub::{Config, Hub, folder::Addresses};
use reelmill_queue::{Leased, SharedQueue};
use reelmill_storage::{FileRoots, S3Config, Storage};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A hub that ends with the test.
pub(crate) struct TestHub {
    pub(crate) addresses: Addresses,
    client: Client<HttpConnector, Full<Bytes>>,
    stop: CancellationToken,
    ended: Option<JoinHandle<anyhow::Result<()>>>,
    folder: Option<TempDir>,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e} in {self:?}"))
    }

    pub(crate) fn job(&self) -> Job {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e} in {self:?}"))
    }

    pub(crate) fn header(&self, name: impl AsRef<str>) -> &str {
        self.headers.get(name.as_ref()).map_or("", |value| value.to_str().expect("a header of text"))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }
}

impl TestHub {
    pub(crate) async fn start() -> Self {
        Self::start_in(tempfile::tempdir().expect("a folder")).await
    }

    pub(crate) async fn start_in(folder: TempDir) -> Self {
        Self::start_with(folder, Config::default()).await
    }

    /// A hub in that folder and otherwise as configured.
    pub(crate) async fn start_with(folder: TempDir, config: Config) -> Self {
        let listen = "127.0.0.1:0".parse().expect("a literal");
        let config = Config { data: Some(folder.path().to_owned()), listen, ..config };
        let stop = CancellationToken::new();
        let hub = Hub::start(config, stop.clone()).await.expect("the hub starts");
        Self {
            addresses: hub.addresses().clone(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            stop,
            ended: Some(tokio::spawn(hub.ended())),
            folder: Some(folder),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.as_ref().expect("until the hub is stopped").path()
    }

    /// Stops it and gives back its folder.
    pub(crate) async fn stop(mut self) -> TempDir {
        self.stop.cancel();
        let ended = self.ended.take().expect("stopped once");
        ended.await.expect("the hub does not panic").expect("the hub ends well");
        self.folder.take().expect("stopped once")
    }

    pub(crate) async fn open(&self, request: Request<Full<Bytes>>) -> http::Response<Incoming> {
        self.client.request(request).await.expect("the hub answers")
    }

    pub(crate) async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.addresses.api));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body))).expect("a request");
        let (head, body) = self.open(request).await.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        Answer { status: head.status, headers: head.headers, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], b"").await
    }

    pub(crate) async fn post(&self, json: &str) -> Answer {
        let headers = [(header::CONTENT_TYPE.as_str(), "application/json")];
        self.send(Method::POST, "/v1/jobs", &headers, json.as_bytes()).await
    }

    /// Submits a small job.
    pub(crate) async fn submit(&self) -> Job {
        let answer = self.post(r#"{"input":"s3://media-ingest/a.mp4","preset":"hls-ladder"}"#).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer.job()
    }

    pub(crate) async fn job(&self, id: &JobId) -> Job {
        self.get(&format!("/v1/jobs/{id}")).await.job()
    }

    /// Waits until the job is as wished.
    pub(crate) async fn until(&self, id: &JobId, wished: impl Fn(&Job) -> bool) -> Job {
        let wait = async {
            loop {
                let job = self.job(id).await;
                if wished(&job) {
                    return job;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("the job becomes as wished")
    }

    /// The worker's side of the queue.
    pub(crate) async fn worker(&self) -> TestWorker {
        let url = self.addresses.queue.as_deref().expect("an embedded queue");
        let name = QueueName::try_from(self.addresses.queue_name.clone()).expect("a queue's name");
        let queue = reelmill_queue::connect(url, &name).await.expect("the queue answers");
        TestWorker { queue, lane: name.tasks(&"hls-ladder".parse().expect("a literal")) }
    }

    /// The worker's side of the store, with the keys that the hub announced.
    pub(crate) fn storage(&self) -> Storage {
        let keys = self.addresses.keys.as_ref().expect("keys of the embedded store");
        let read = |reference: &str| {
            let path = reference.strip_prefix("file:").expect("a file reference");
            std::fs::read_to_string(path).expect("a key")
        };
        let endpoint = self.addresses.store.parse().expect("a URL");
        let s3 = S3Config::new(Some(endpoint), "us-east-1", read(&keys.access_key), read(&keys.secret_key));
        Storage::new(Some(s3), FileRoots::none()).expect("good settings")
    }
}

impl Drop for TestHub {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// What a worker does to a queue.
pub(crate) struct TestWorker {
    pub(crate) queue: SharedQueue,
    pub(crate) lane: Lane,
}

impl TestWorker {
    /// The next task on the lane.
    pub(crate) async fn lease(&self) -> Leased {
        let leased = self.queue.lease(std::slice::from_ref(&self.lane), PATIENCE, PATIENCE).await;
        leased.expect("the queue answers").expect("a task on the lane")
    }

    /// Tells what happened to an attempt.
    pub(crate) async fn tell(&self, job: &Job, attempt: u32, body: EventBody) {
        let event = Event { job: job.id, attempt: AttemptId::new(attempt, 7), node: "node-1".to_owned(), body };
        self.emit(&serde_json::to_vec(&event).expect("JSON")).await;
    }

    pub(crate) async fn emit(&self, body: &[u8]) {
        self.queue.emit(body).await.expect("the queue answers");
    }
}

pub(crate) fn progress(frame: u64) -> EventBody {
    let progress = Progress { frame, frames_expected: 125, fps: 48.0, speed: 1.9, eta_seconds: Some(2.0) };
    EventBody::Progress { progress }
}

pub(crate) fn failed(failure: Failure, retry_in_seconds: Option<u64>) -> EventBody {
    EventBody::Failed { failure, retry_in_seconds }
}

pub(crate) fn done(job: &Job) -> EventBody {
    EventBody::Done { report: Box::new(report(job)) }
}

/// A report of one small rendition, published by attempt 1.
pub(crate) fn report(job: &Job) -> Report {
    let video = Track::Video {
        width: 1280,
        height: 720,
        frame_rate: Rational::whole(25).expect("not zero"),
        dynamic_range: DynamicRange::Sdr,
    };
    let rendition = Rendition {
        name: "720p".to_owned(),
        codecs: "avc1.64001f".to_owned(),
        track: video,
        segments: 1,
        samples: 125,
        duration_seconds: 5.0,
        average_bps: 1_000_000,
        peak_bps: 1_200_000,
        bytes: 625_000,
    };
    Report {
        job: job.id,
        attempt: AttemptId::new(1, 7),
        node: "node-1".to_owned(),
        reelmill: "0.1.0".to_owned(),
        engine: "software (ffmpeg 5.1.9)".to_owned(),
        preset: job.preset.clone(),
        input: job.input.clone(),
        output: job.output.clone(),
        entry: job.output.join("master.m3u8").expect("a plain name"),
        source: MediaFacts {
            container: "mp4".to_owned(),
            duration_seconds: Some(5.0),
            bytes: 1_000,
            video: None,
            audio: vec![],
            subtitles: vec![],
            timecode: None,
            others: vec![],
        },
        renditions: vec![rendition],
        storyboard: None,
        changes: vec!["rotated 90".to_owned()],
        checks: vec!["the frame count is the source's".to_owned()],
        timings: Timings { probe_seconds: 0.1, encode_seconds: 2.6, speed: 1.9 },
    }
}

/// A location under a job's output.
pub(crate) fn under(job: &Job, relative: &str) -> Location {
    job.output.join(relative).expect("a plain name")
}
