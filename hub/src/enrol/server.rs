//! The door at which nodes ask: HTTPS on a listener of its own, which everybody on the network may reach. Connections,
//! their time and what they send are bounded.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use axum::{
    Extension, Json, Router,
    extract::{DefaultBodyLimit, State},
    response::{IntoResponse, Response},
    routing::post,
};
use http::StatusCode;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use jiff::Timestamp;
use reelmill_api::{
    enrol::{JOIN_PATH, JoinAnswer, JoinRequest, RENEW_PATH, Refusal, RenewRequest},
    fleet::Sha256,
};
use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{Desk, gate::Gate, refused, verify};

/// Connections at once; more wait in the kernel's queue.
const CONNECTIONS: usize = 64;
/// How long a connection may take in all: a node asks once on each.
const LIFE: Duration = Duration::from_secs(20);
/// The longest request: a certificate request and a few words.
const REQUEST: usize = 16 * 1024;

/// The door.
pub struct Door {
    listener: TcpListener,
    at: SocketAddr,
    tls: Arc<ServerConfig>,
    router: Router,
    gate: Mutex<Gate>,
}

/// Who asks.
#[derive(Clone)]
struct Peer {
    address: IpAddr,
    certificate: Option<Sha256>,
}

impl Door {
    /// The door of a desk on that listener, with these names in its certificate.
    ///
    /// # Errors
    /// If there is no identity to be had.
    pub fn new(listener: TcpListener, names: &[String], desk: Arc<Desk>) -> anyhow::Result<Self> {
        let tls = verify::config(&desk.ca, &desk.ca.server(names)?)?;
        let router = Router::new()
            .route(JOIN_PATH, post(join))
            .route(RENEW_PATH, post(renew))
            .layer(DefaultBodyLimit::max(REQUEST))
            .with_state(desk);
        let at = listener.local_addr().context("cannot tell where the door for nodes is")?;
        Ok(Self { listener, at, tls, router, gate: Mutex::default() })
    }

    /// Where it listens.
    pub fn at(&self) -> SocketAddr {
        self.at
    }

    /// Serves until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let (door, places) = (Arc::new(self), Arc::new(Semaphore::new(CONNECTIONS)));
        let mut connections = JoinSet::new();
        loop {
            let place = tokio::select! {
                () = stop.cancelled() => break,
                place = places.clone().acquire_owned() => place,
            };
            tokio::select! {
                () = stop.cancelled() => break,
                accepted = door.listener.accept() => match accepted {
                    Ok((stream, peer)) => if door.lets_in(peer) {
                        let door = door.clone();
                        connections.spawn(async move {
                            if timeout(LIFE, door.serve(stream, peer)).await.is_err() {
                                log::debug!("{peer} took too long to ask");
                            }
                            drop(place);
                        });
                    },
                    // Out of descriptors, most likely; some may come free.
                    Err(e) => {
                        log::warn!("the door for nodes cannot take a connection: {e}");
                        tokio::time::sleep(Duration::from_millis(500)).await;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
        let _ = timeout(Duration::from_secs(2), async { while connections.join_next().await.is_some() {} }).await;
    }

    fn lets_in(&self, peer: SocketAddr) -> bool {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner).lets_in(peer.ip(), Instant::now())
    }

    async fn serve(&self, stream: TcpStream, peer: SocketAddr) {
        let stream = match TlsAcceptor::from(self.tls.clone()).accept(stream).await {
            Ok(stream) => stream,
            Err(e) => return log::debug!("{peer} does not speak with us: {e}"),
        };
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let peer = Peer { address: peer.ip().to_canonical(), certificate: shown.map(|der| Sha256::of(der)) };
        let service = TowerToHyperService::new(self.router.clone().layer(Extension(peer)));
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).keep_alive(false).max_headers(32);
        if let Err(e) = http.serve_connection(TokioIo::new(stream), service).await {
            log::debug!("a node's request broke off: {e}");
        }
    }
}

async fn join(
    State(desk): State<Arc<Desk>>,
    Extension(peer): Extension<Peer>,
    Json(request): Json<JoinRequest>,
) -> Response {
    answer(desk.join(&request, &peer.address.to_string(), Timestamp::now()).await)
}

async fn renew(
    State(desk): State<Arc<Desk>>,
    Extension(peer): Extension<Peer>,
    Json(request): Json<RenewRequest>,
) -> Response {
    match peer.certificate {
        Some(shown) => answer(desk.renew(&request, &shown, Timestamp::now()).await),
        None => answer(Ok(refused(Refusal::UnknownCertificate, "no certificate was shown"))),
    }
}

fn answer(judged: anyhow::Result<JoinAnswer>) -> Response {
    let answer = match judged {
        Ok(answer) => answer,
        Err(e) => {
            log::error!("cannot judge a node: {e:#}");
            return (StatusCode::INTERNAL_SERVER_ERROR, "the hub failed; its log says why\n").into_response();
        }
    };
    let status = match &answer {
        JoinAnswer::Enrolled(_) => StatusCode::OK,
        JoinAnswer::Pending { .. } => StatusCode::ACCEPTED,
        JoinAnswer::Refused { why: Refusal::Busy, .. } => StatusCode::TOO_MANY_REQUESTS,
        JoinAnswer::Refused { why: Refusal::NameTaken, .. } => StatusCode::CONFLICT,
        JoinAnswer::Refused { why: Refusal::BadRequest, .. } => StatusCode::BAD_REQUEST,
        JoinAnswer::Refused { .. } => StatusCode::FORBIDDEN,
    };
    (status, Json(answer)).into_response()
}
