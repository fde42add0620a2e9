//! The loopback gateway: the only thing a media process can reach. It serves the source by ranged, retried reads and
//! takes the output straight into uploads, and its record of what arrived whole is the only proof of success.

mod input;
mod listed;
mod listener;
mod output;
mod record;

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{Method, StatusCode};
use reelmill_api::{AttemptId, Failure, Location, layout};
use reelmill_storage::{ObjectInfo, Storage};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use listed::Listed;
use listener::Listener;
pub use record::{Arrived, Record};

/// The gateway of one worker: one loopback listener for all its runs.
#[derive(Clone)]
pub struct Gateway {
    port: u16,
    runs: Runs,
}

type Runs = Arc<Mutex<HashMap<String, Arc<RunState>>>>;

/// One media run as the gateway serves it. Dropping it ends the service: nothing more is read or taken.
pub struct Run {
    token: String,
    port: u16,
    runs: Runs,
    state: Arc<RunState>,
}

/// What a run may do and what became of it.
struct RunState {
    storage: Storage,
    source: Location,
    info: ObjectInfo,
    destination: Location,
    attempt: AttemptId,
    renditions: Mutex<Vec<String>>,
    extras: Mutex<Vec<Bytes>>,
    record: Mutex<Record>,
    failed: CancellationToken,
    counters: Arc<Counters>,
}

/// Bytes that passed, over all runs.
#[derive(Debug, Default)]
pub struct Counters {
    /// Read from sources.
    pub read: std::sync::atomic::AtomicU64,
    /// Stored as output.
    pub stored: std::sync::atomic::AtomicU64,
}

/// How long to wait for bytes that a media process sent before it ended, while none come: they are in this machine's own
/// socket buffers.
const SETTLE: Duration = Duration::from_secs(5);

/// What a run needs to be served.
pub struct RunRequest {
    /// The source.
    pub source: Location,
    /// The source's size and version, as they were when the attempt began.
    pub info: ObjectInfo,
    /// Where the output goes.
    pub destination: Location,
    /// The attempt, under whose folder everything is written.
    pub attempt: AttemptId,
}

impl Gateway {
    /// Listens on a free loopback port until `stop`.
    ///
    /// # Errors
    /// If no port can be had.
    pub async fn start(stop: CancellationToken) -> std::io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let port = listener.local_addr()?.port();
        let runs = Runs::default();
        let router = Router::new().fallback(serve).with_state(runs.clone());
        tokio::spawn(async move {
            let serving = axum::serve(Listener(listener), router).with_graceful_shutdown(stop.cancelled_owned());
            if let Err(e) = serving.await {
                log::error!("the loopback gateway ended: {e}");
            }
        });
        Ok(Self { port, runs })
    }

    /// Serves one more run, under a path that only its media process learns.
    pub fn open(&self, storage: &Storage, request: RunRequest, counters: Arc<Counters>) -> Run {
        let RunRequest { source, info, destination, attempt } = request;
        let token = Uuid::new_v4().simple().to_string();
        let state = Arc::new(RunState {
            storage: storage.clone(),
            source,
            info,
            destination,
            attempt,
            renditions: Mutex::default(),
            extras: Mutex::default(),
            record: Mutex::default(),
            failed: CancellationToken::new(),
            counters,
        });
        lock(&self.runs).insert(token.clone(), state.clone());
        Run { token, port: self.port, runs: self.runs.clone(), state }
    }
}

impl Run {
    /// The gateway's port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The source's size in bytes.
    pub fn source_bytes(&self) -> u64 {
        self.state.info.bytes
    }

    /// Where the media process reads the source.
    pub fn source_url(&self) -> String {
        format!("http://127.0.0.1:{}/{}/in/source", self.port, self.token)
    }

    /// Where the media process puts the files of a rendition.
    pub fn output_url(&self, rendition: &str) -> String {
        format!("http://127.0.0.1:{}/{}/out/{rendition}", self.port, self.token)
    }

    /// Allows output, for these renditions and no others.
    pub fn expect_renditions<'a>(&self, names: impl Iterator<Item = &'a str>) {
        *lock(&self.state.renditions) = names.map(str::to_owned).collect();
    }

    /// Serves these pictures beside the source, for filters that need them.
    pub fn offer(&self, extras: Vec<Bytes>) {
        *lock(&self.state.extras) = extras;
    }

    /// Where the media process reads the pictures that are offered.
    pub fn extra_urls(&self) -> Vec<String> {
        let url = |n| format!("http://127.0.0.1:{}/{}/in/extra-{n}", self.port, self.token);
        (0..lock(&self.state.extras).len()).map(url).collect()
    }

    /// The first thing that went wrong between the media process and the store.
    pub fn first_failure(&self) -> Option<Failure> {
        lock(&self.state.record).failure.clone()
    }

    /// Returns when something went wrong.
    pub async fn failed(&self) {
        self.state.failed.cancelled().await;
    }

    /// Returns once nothing is under way to the store any more, or after `longest`.
    pub async fn quiet(&self, longest: Duration) {
        let quiet = async {
            loop {
                let changed = {
                    let record = lock(&self.state.record);
                    if record.under_way == 0 {
                        return;
                    }
                    record.changed.clone()
                };
                changed.notified().await;
            }
        };
        // What is late is swept by the next attempt.
        let _ = tokio::time::timeout(longest, quiet).await;
    }

    /// What arrived whole, once the media process has ended and all that it sent has been settled.
    pub async fn settled_record(&self) -> Record {
        loop {
            let (changed, busy) = {
                let record = lock(&self.state.record);
                if record.is_settled(&lock(&self.state.renditions)) {
                    return record.clone();
                }
                (record.changed.clone(), record.under_way > 0)
            };
            // A file under way is bounded by the store's patience, not by ours.
            let longest = if busy { Duration::MAX } else { SETTLE };
            if tokio::time::timeout(longest, changed.notified()).await.is_err() {
                return lock(&self.state.record).clone();
            }
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.state.failed.cancel();
        lock(&self.runs).remove(&self.token);
    }
}

impl RunState {
    fn fail(&self, failure: Failure) {
        log::debug!("gateway: {}", failure.message);
        lock(&self.record).failure.get_or_insert(failure);
        self.failed.cancel();
    }
}

/// A lock whose holder never panics half-way: what it guards is always whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(State(runs): State<Runs>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let mut parts = path.trim_start_matches('/').splitn(3, '/');
    let (token, way, rest) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    let Some(run) = lock(&runs).get(token).cloned() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match (request.method(), way) {
        (&Method::GET | &Method::HEAD, "in") if rest == "source" => input::serve(&run, &request),
        (&Method::GET, "in") => extra(&run, rest),
        (&Method::PUT | &Method::POST, "out") => match Target::parse(&run, rest) {
            Some(target) => output::take(run, target, request.into_body()).await,
            None => StatusCode::FORBIDDEN.into_response(),
        },
        (_, "in" | "out") => StatusCode::METHOD_NOT_ALLOWED.into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn extra(run: &RunState, name: &str) -> Response {
    let number = name.strip_prefix("extra-").and_then(|n| n.parse::<usize>().ok());
    let picture = number.and_then(|n| lock(&run.extras).get(n).cloned());
    picture.map_or_else(|| StatusCode::NOT_FOUND.into_response(), IntoResponse::into_response)
}

/// A file that the media process may put.
struct Target {
    rendition: String,
    file: TargetFile,
}

/// Which file of a rendition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TargetFile {
    Init,
    Segment(u64),
    /// ffmpeg's own playlist: its segments are counted, and it is thrown away.
    Playlist,
}

impl Target {
    fn parse(run: &RunState, path: &str) -> Option<Self> {
        let (rendition, name) = path.split_once('/')?;
        let file = match name {
            layout::INIT_SEGMENT => TargetFile::Init,
            layout::MEDIA_PLAYLIST => TargetFile::Playlist,
            other => TargetFile::Segment(layout::segment_index(other)?),
        };
        let expected = lock(&run.renditions).iter().any(|r| r == rendition);
        expected.then(|| Self { rendition: rendition.to_owned(), file })
    }

    fn file_name(&self) -> String {
        match self.file {
            TargetFile::Init => layout::INIT_SEGMENT.to_owned(),
            TargetFile::Segment(index) => layout::segment(index),
            TargetFile::Playlist => layout::MEDIA_PLAYLIST.to_owned(),
        }
    }
}

fn empty(status: StatusCode) -> Response {
    (status, Body::empty()).into_response()
}
