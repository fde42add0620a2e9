//! The loopback gateway: the only thing a media process can reach. It serves the source by ranged, retried reads and
//! takes the output straight into uploads, and its record of what arrived whole is the only proof of success.

mod check;
mod input;
mod listed;
pub(crate) mod listener;
mod output;
mod record;
mod sheets;
mod words;

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

use crate::{plan::StoryboardPlan, pulse::Pulse};

pub use listed::Listed;
use listener::Listener;
pub use record::{Arrived, Record, Words};

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

/// What the media process of a run may put; nothing before that is said.
#[derive(Debug, Default)]
struct Awaited {
    renditions: Vec<String>,
    storyboard: Option<StoryboardPlan>,
    texts: Vec<String>,
}

/// What a run may do and what became of it.
struct RunState {
    storage: Storage,
    source: Location,
    info: ObjectInfo,
    destination: Location,
    attempt: AttemptId,
    awaited: Mutex<Awaited>,
    extras: Mutex<Vec<Bytes>>,
    record: Mutex<Record>,
    failed: CancellationToken,
    counters: Arc<Counters>,
    pulse: Pulse,
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
    /// What is told of every byte that passes.
    pub pulse: Pulse,
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
        let RunRequest { source, info, destination, attempt, pulse } = request;
        let token = Uuid::new_v4().simple().to_string();
        let state = Arc::new(RunState {
            storage: storage.clone(),
            source,
            info,
            destination,
            attempt,
            awaited: Mutex::default(),
            extras: Mutex::default(),
            record: Mutex::default(),
            failed: CancellationToken::new(),
            counters,
            pulse,
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
        lock(&self.state.awaited).renditions = names.map(str::to_owned).collect();
    }

    /// Allows the sheets of a storyboard, beside renditions of which the first has pictures.
    pub fn expect_storyboard(&self, plan: StoryboardPlan) {
        lock(&self.state.awaited).storyboard = Some(plan);
    }

    /// Allows whole subtitle tracks, for these renditions.
    pub fn expect_texts<'a>(&self, names: impl Iterator<Item = &'a str>) {
        lock(&self.state.awaited).texts = names.map(str::to_owned).collect();
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

    /// Where a media process reads a stored segment, with its init segment before it.
    pub fn check_url(&self, rendition: &str, index: u64) -> String {
        format!("http://127.0.0.1:{}/{}/check/{rendition}/{index}", self.port, self.token)
    }

    /// A second run over the same source, with a path, a record and failures of its own.
    pub fn beside(&self, counters: Arc<Counters>) -> Self {
        let RunState { storage, source, info, destination, attempt, pulse, .. } = &*self.state;
        let (source, info, destination, attempt) = (source.clone(), info.clone(), destination.clone(), attempt.clone());
        let gateway = Gateway { port: self.port, runs: self.runs.clone() };
        gateway.open(storage, RunRequest { source, info, destination, attempt, pulse: pulse.clone() }, counters)
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
                if record.is_settled(&lock(&self.state.awaited)) {
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
        (&Method::GET, "check") => check::serve(&run, rest).await,
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
    /// A sheet of small pictures.
    Sheet(u64),
    /// A whole subtitle track.
    Words,
}

/// The name under which a media process puts a subtitle track, relative to its rendition's folder. It is held here and
/// never stored so.
pub const TRACK_OF_TEXT: &str = "track.vtt";

impl Target {
    fn parse(run: &RunState, path: &str) -> Option<Self> {
        let (rendition, name) = path.split_once('/')?;
        let file = match name {
            layout::INIT_SEGMENT => TargetFile::Init,
            layout::MEDIA_PLAYLIST => TargetFile::Playlist,
            TRACK_OF_TEXT => TargetFile::Words,
            other => match layout::sheet_index(other) {
                Some(index) => TargetFile::Sheet(index),
                None => TargetFile::Segment(layout::segment_index(other)?),
            },
        };
        let awaited = lock(&run.awaited);
        let expected = match file {
            TargetFile::Sheet(_) => rendition == layout::STORYBOARD && awaited.storyboard.is_some(),
            TargetFile::Words => awaited.texts.iter().any(|name| name == rendition),
            _ => awaited.renditions.iter().any(|name| name == rendition),
        };
        expected.then(|| Self { rendition: rendition.to_owned(), file })
    }

    fn file_name(&self) -> String {
        match self.file {
            TargetFile::Init => layout::INIT_SEGMENT.to_owned(),
            TargetFile::Segment(index) => layout::segment(index),
            TargetFile::Playlist => layout::MEDIA_PLAYLIST.to_owned(),
            TargetFile::Sheet(index) => layout::sheet(index),
            TargetFile::Words => TRACK_OF_TEXT.to_owned(),
        }
    }
}

fn empty(status: StatusCode) -> Response {
    (status, Body::empty()).into_response()
}
