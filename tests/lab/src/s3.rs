//! A real S3 server (s3s-fs on a temporary folder, with keys) on a free port; its answers can be made to go wrong.

use std::{
    collections::HashMap,
    future::pending,
    io,
    path::PathBuf,
    sync::{Arc, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderValue, Method, Request, Response, header};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use s3s::{
    auth::SimpleAuth,
    service::{S3Service, S3ServiceBuilder},
};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::{Mutex, OwnedMutexGuard},
    task::AbortHandle,
};

use crate::{
    fault::{Fault, Op, Plan},
    line::{Body, Line},
};

/// A body of no more bytes is written at once.
const SMALL: usize = 256 * 1024;
/// The access key that the server knows.
pub const ACCESS_KEY: &str = "AKTESTKEY";
/// Its secret.
pub const SECRET_KEY: &str = "a-secret-that-must-never-be-shown";
/// A bucket that is there from the start.
pub const BUCKET: &str = "media-test";

/// The server; stopped when dropped.
pub struct Server {
    /// Its address.
    pub endpoint: String,
    /// What goes wrong.
    pub plan: Arc<Plan>,
    /// The folder of [`BUCKET`].
    pub folder: PathBuf,
    accepting: AbortHandle,
    _data: TempDir,
}

/// How slow a server is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    /// Before each answer.
    pub per_request: Duration,
    /// Before each part of an upload, besides.
    pub per_part: Duration,
    /// Over all connections together, each way; `None`: as fast as it can.
    pub bytes_per_second: Option<u64>,
}

/// One server's parts, shared by its connections.
struct Shop {
    s3: S3Service,
    plan: Arc<Plan>,
    /// Whose turn it is to write, by path.
    turns: std::sync::Mutex<HashMap<String, Arc<Mutex<()>>>>,
    pace: Pace,
    line: Line,
}

impl Shop {
    async fn turn(&self, path: &str) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.entry(path.to_owned()).or_default().clone()
        };
        turn.lock_owned().await
    }
}

impl Server {
    /// A server as fast as it can be.
    pub async fn start() -> Self {
        Self::start_with(None, Pace::default()).await
    }

    /// A server behind TLS, or one that takes its time.
    pub async fn start_with(tls: Option<tokio_rustls::TlsAcceptor>, pace: Pace) -> Self {
        let data = TempDir::new().expect("a temporary folder");
        let folder = data.path().join(BUCKET);
        std::fs::create_dir(&folder).expect("a bucket");
        let mut builder = S3ServiceBuilder::new(FileSystem::new(data.path()).expect("a store"));
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let plan = Arc::new(Plan::default());
        let shop = Shop {
            s3: builder.build(),
            plan: plan.clone(),
            turns: std::sync::Mutex::default(),
            line: Line::new(pace.bytes_per_second),
            pace,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let accepting = tokio::spawn(accept(listener, tls, Arc::new(shop))).abort_handle();
        Self { endpoint: format!("{scheme}://127.0.0.1:{port}"), plan, folder, accepting, _data: data }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, tls: Option<tokio_rustls::TlsAcceptor>, shop: Arc<Shop>) {
    // Dropping the set with this task closes all connections.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let (shop, tls) = (shop.clone(), tls.clone());
        connections.spawn(async move {
            match tls {
                None => serve(socket, shop).await,
                Some(tls) => {
                    if let Ok(socket) = tls.accept(socket).await {
                        serve(socket, shop).await;
                    }
                }
            }
        });
    }
}

async fn serve(socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, shop: Arc<Shop>) {
    let service = service_fn(move |request| answer(shop.clone(), request));
    // An error is a connection that closed, which the tests order.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
}

async fn answer(shop: Arc<Shop>, mut request: Request<Incoming>) -> io::Result<Response<Body>> {
    let op = Op::of(&request);
    let fault = shop.plan.take(&request);
    let mut shortened = None;
    match &fault {
        Some(Fault::Cut) => return Err(io::ErrorKind::ConnectionReset.into()),
        Some(Fault::Stall) => return pending().await,
        Some(Fault::CutTaking(bytes)) => {
            take(request.body_mut(), *bytes).await;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Some(Fault::StallTaking(bytes)) => {
            take(request.body_mut(), *bytes).await;
            return pending().await;
        }
        Some(Fault::ShortenTaken(bytes)) => {
            let mut taken = take(request.body_mut(), usize::MAX).await;
            taken.truncate(*bytes);
            shortened = Some(s3s::Body::from(Bytes::from(taken)));
        }
        Some(Fault::Answer(status, headers, body)) => return Ok(made_up(*status, headers, body)),
        _ => {}
    }
    tokio::time::sleep(shop.pace.per_request + if op == Op::Part { shop.pace.per_part } else { Duration::ZERO }).await;
    let request = request.map(|body| shortened.unwrap_or_else(|| shop.line.slow_request(body)));
    let (request, _turn) = if is_at_once(&request) {
        let request = whole(request).await?;
        let turn = shop.turn(request.uri().path()).await;
        (request, Some(turn))
    } else {
        (request, None)
    };
    let answer = shop.s3.call(request).await.map_err(|_| io::ErrorKind::Other)?;
    let answer = answer.map(|body| shop.line.slow_answer(body.map_err(io::Error::other).boxed_unsync()));
    match fault {
        Some(Fault::LoseAnswer) => {
            // The store has done it once its whole answer is there.
            let _ = answer.into_body().collect().await;
            Err(io::ErrorKind::ConnectionReset.into())
        }
        None | Some(Fault::None | Fault::ShortenTaken(_)) => Ok(answer),
        Some(fault) => Ok(spoiled(answer, &fault).await),
    }
}

/// Whether a request is one that a store does all at once, as those with a condition, and those that they must not meet in
/// the middle: s3s-fs looks and then writes.
fn is_at_once<B>(request: &Request<B>) -> bool {
    let header = |name| request.headers().get(name);
    let is_small = header(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok())
        .is_some_and(|length: usize| length <= SMALL);
    let is_conditional = header(header::IF_MATCH).or(header(header::IF_NONE_MATCH)).is_some();
    matches!(*request.method(), Method::PUT | Method::POST) && (is_conditional || is_small)
}

/// The request when it has come whole: who stalls on the way keeps nobody else from writing.
async fn whole(request: Request<s3s::Body>) -> io::Result<Request<s3s::Body>> {
    let (parts, body) = request.into_parts();
    let body = BodyExt::collect(body).await.map_err(io::Error::other)?.to_bytes();
    Ok(Request::from_parts(parts, s3s::Body::from(body)))
}

/// Takes up to this many bytes of a request's body, or a little more: what comes at once is taken at once.
async fn take(body: &mut Incoming, bytes: usize) -> Vec<u8> {
    let mut taken = Vec::new();
    while taken.len() < bytes {
        let Some(Ok(frame)) = body.frame().await else { break };
        taken.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..]));
    }
    taken
}

fn made_up(status: u16, headers: &[(&'static str, String)], body: &str) -> Response<Body> {
    let body = Full::new(Bytes::from(body.to_owned())).map_err(|e| match e {}).boxed_unsync();
    let mut answer = Response::new(body);
    *answer.status_mut() = http::StatusCode::from_u16(status).expect("a status");
    for (name, value) in headers {
        answer.headers_mut().insert(*name, HeaderValue::from_str(value).expect("a header's value"));
    }
    answer
}

/// The answer with its body spoiled. Its length is still announced, except where the fault is about that.
async fn spoiled(answer: Response<Body>, fault: &Fault) -> Response<Body> {
    let (mut parts, body) = answer.into_parts();
    if let Fault::Header(name, value) = fault {
        parts.headers.insert(*name, HeaderValue::from_str(value).expect("a header's value"));
        return Response::from_parts(parts, body);
    }
    let whole = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let mut sent = whole.clone();
    let then = match fault {
        Fault::CutAfter(_) => Some(false),
        Fault::StallAfter(_) => Some(true),
        _ => None,
    };
    match fault {
        Fault::CutAfter(bytes) | Fault::StallAfter(bytes) | Fault::Shorten(bytes) => sent.truncate(*bytes),
        Fault::Lengthen(bytes) => sent = [&whole[..], &vec![0; *bytes]].concat().into(),
        _ => {}
    }
    let length = if then.is_some() { whole.len() } else { sent.len() };
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    let tail = stream::once(async move {
        if then == Some(true) {
            pending::<()>().await;
        }
        // The connection flushes what it has when there is nothing more to take; only then is it cut.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        Err(io::ErrorKind::ConnectionReset.into())
    });
    let frames = stream::once(async move { Ok(Frame::data(sent)) }).chain(tail.take(usize::from(then.is_some())));
    Response::from_parts(parts, BodyExt::boxed_unsync(StreamBody::new(frames)))
}

/// The number of unfinished uploads that the server keeps.
impl Server {
    /// How many uploads were begun and neither finished nor aborted.
    pub fn unfinished_uploads(&self) -> usize {
        let root = self.folder.parent().expect("a bucket lies in the data folder");
        let names = std::fs::read_dir(root).expect("the data folder");
        let names = names.filter_map(|e| e.ok()?.file_name().into_string().ok());
        names.filter(|name| name.starts_with(".upload")).count()
    }
}
