//! What the two media processes of a session can reach: the one that brings the source in puts it here, the one that
//! encodes it gets it here and puts its segments, which go straight into the store.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, atomic::Ordering},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use http::{Method, StatusCode};
use reelmill_api::{AttemptId, ErrorKind, Failure, Location, layout};
use reelmill_storage::{Storage, Upload};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use super::{relay::Relay, rows::Arrival};
use crate::{
    fmp4::BoxScanner,
    gateway::{Counters, listener::Listener},
};

/// Arrivals that nobody has looked at yet; beyond these, segments wait.
const WAITING: usize = 256;

/// Where a session's segments go.
pub(super) struct Target {
    /// The store.
    pub(super) storage: Storage,
    /// The output.
    pub(super) destination: Location,
    /// Whose folder.
    pub(super) attempt: AttemptId,
    /// Which session of it.
    pub(super) session: u32,
    /// The renditions, in order.
    pub(super) renditions: Vec<String>,
    /// Bytes that passed.
    pub(super) counters: Arc<Counters>,
}

/// The service of one session; dropped, it ends.
pub(super) struct Sink {
    /// Its port.
    pub(super) port: u16,
    /// What was stored whole, or why something was not.
    pub(super) arrivals: mpsc::Receiver<Result<Arrival, Failure>>,
    token: String,
    shared: Arc<Shared>,
    stop: CancellationToken,
}

struct Shared {
    token: String,
    relay: Relay,
    /// Empty until the encoder is allowed.
    target: std::sync::OnceLock<Target>,
    arrivals: mpsc::Sender<Result<Arrival, Failure>>,
    uploads: TaskTracker,
}

impl Sink {
    /// Listens on a free port of loopback.
    ///
    /// # Errors
    /// If there is none.
    pub(super) async fn start(relay: Relay) -> std::io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let port = listener.local_addr()?.port();
        let token = Uuid::new_v4().simple().to_string();
        let (tell, arrivals) = mpsc::channel(WAITING);
        let shared = Arc::new(Shared {
            token: token.clone(),
            relay,
            target: std::sync::OnceLock::new(),
            arrivals: tell,
            uploads: TaskTracker::new(),
        });
        let stop = CancellationToken::new();
        let router = Router::new().fallback(serve).with_state(shared.clone());
        let stopped = stop.clone();
        tokio::spawn(async move {
            let serving = axum::serve(Listener(listener), router);
            tokio::select! {
                ended = serving => if let Err(e) = ended { log::error!("a live session's gateway ended: {e}") },
                () = stopped.cancelled() => {}
            }
        });
        Ok(Self { port, arrivals, token, shared, stop })
    }

    /// Where the source is put and got.
    pub(super) fn source_url(&self) -> String {
        format!("http://127.0.0.1:{}/{}/source", self.port, self.token)
    }

    /// Where the files of a rendition are put.
    pub(super) fn output_url(&self, rendition: &str) -> String {
        format!("http://127.0.0.1:{}/{}/out/{rendition}", self.port, self.token)
    }

    /// Allows output.
    pub(super) fn expect(&self, target: Target) {
        // It is allowed once a session.
        let _ = self.shared.target.set(target);
    }

    /// Returns once nothing is under way to the store any more.
    pub(super) async fn quiet(&self) {
        self.shared.uploads.close();
        self.shared.uploads.wait().await;
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn serve(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let mut parts = path.trim_start_matches('/').splitn(3, '/');
    let (token, way, rest) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    if token != shared.token {
        return StatusCode::NOT_FOUND.into_response();
    }
    match (request.method(), way) {
        (&Method::PUT | &Method::POST, "source") => bring_in(&shared, request.into_body()).await,
        (&Method::GET, "source") if request.uri().query() == Some(LOOK) => {
            shared.relay.look().map_or_else(gone, stream)
        }
        (&Method::GET, "source") => shared.relay.take().map_or_else(gone, stream),
        (&Method::PUT | &Method::POST, "out") => match File::parse(&shared, rest) {
            Some(file) => take(&shared, file, request.into_body()).await,
            None => StatusCode::FORBIDDEN.into_response(),
        },
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The query of an address that is only for a look at the source.
pub(super) const LOOK: &str = "look";

fn gone() -> Response {
    StatusCode::GONE.into_response()
}

fn stream(pieces: impl futures::Stream<Item = std::io::Result<bytes::Bytes>> + Send + 'static) -> Response {
    Response::new(Body::from_stream(pieces))
}

async fn bring_in(shared: &Shared, body: Body) -> Response {
    let mut pieces = body.into_data_stream();
    while let Some(Ok(piece)) = pieces.next().await {
        shared.relay.push(piece).await;
    }
    shared.relay.end();
    StatusCode::CREATED.into_response()
}

/// A file that the encoder may put.
struct File {
    rendition: usize,
    /// `None`: a playlist, which is read and thrown away.
    name: Option<String>,
    index: Option<u64>,
}

impl File {
    fn parse(shared: &Shared, path: &str) -> Option<Self> {
        let (folder, name) = path.split_once('/')?;
        let rendition = shared.target.get()?.renditions.iter().position(|r| r == folder)?;
        let index = layout::segment_index(name);
        match name {
            layout::MEDIA_PLAYLIST => Some(Self { rendition, name: None, index }),
            _ if index.is_some() || name == layout::INIT_SEGMENT => {
                Some(Self { rendition, name: Some(name.to_owned()), index })
            }
            _ => None,
        }
    }
}

/// Takes one file in a task of its own: the encoder hangs up as soon as it has sent the last byte.
async fn take(shared: &Arc<Shared>, file: File, body: Body) -> Response {
    let shared = shared.clone();
    let taking = shared.clone();
    let taken = shared.uploads.spawn(async move {
        let File { rendition, name: Some(name), index } = file else {
            let mut pieces = body.into_data_stream();
            while let Some(Ok(_)) = pieces.next().await {}
            return;
        };
        let stored = store(&taking, rendition, &name, body).await;
        let arrival = stored.map(|boxes| Arrival { rendition, index, boxes });
        // Nobody listens once the session is over.
        let _ = taking.arrivals.send(arrival).await;
    });
    match taken.await {
        Ok(()) => StatusCode::CREATED.into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn store(shared: &Shared, rendition: usize, name: &str, body: Body) -> Result<BoxScanner, Failure> {
    let target =
        shared.target.get().ok_or_else(|| Failure::new(ErrorKind::Bug, "output came before it was allowed"))?;
    let relative = layout::live_file(&target.attempt, target.session, &target.renditions[rendition], name);
    let at = target.destination.join(&relative).map_err(|e| Failure::new(ErrorKind::Bug, e.to_string()))?;
    let mut upload = target.storage.create(&at, layout::content_type(name)).await?;
    let mut boxes = BoxScanner::default();
    if let Err(failure) = pass(&mut upload, &mut boxes, body, &relative).await {
        upload.abort().await;
        return Err(failure);
    }
    let stored = upload.finish().await?;
    target.counters.stored.fetch_add(stored.bytes, Ordering::Relaxed);
    Ok(boxes)
}

async fn pass(upload: &mut Upload, boxes: &mut BoxScanner, body: Body, relative: &str) -> Result<(), Failure> {
    let broken = |why: &str| {
        Failure::new(
            ErrorKind::Infrastructure,
            format!("the media process broke off in the middle of {relative}: {why}"),
        )
    };
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|e| broken(&e.to_string()))?;
        boxes.feed(&piece).map_err(|e| broken(&e.to_string()))?;
        upload.write(piece).await?;
    }
    if boxes.bytes() == 0 { Err(broken("it is empty")) } else { Ok(()) }
}
