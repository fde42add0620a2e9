//! A small HTTP client for one server on this machine or in this network: requests with bodies that stream, answers as
//! JSON, refusals as problem+json.

use std::{convert::Infallible, time::Duration};

use anyhow::{Context, anyhow};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper_util::{
    client::legacy::{Client as Pool, connect::HttpConnector},
    rt::TokioExecutor,
};
use reelmill_api::problem::{CONTENT_TYPE, Problem};
use reelmill_daemon::Hinted;
use serde::de::DeserializeOwned;
use url::Url;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may take once the request was sent.
const ANSWER: Duration = Duration::from_secs(60);
/// Longest answer that is read whole.
const LONGEST: usize = 4 * 1024 * 1024;

/// The body of a request.
type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// A client of one server.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    base: Url,
    pool: Pool<HttpConnector, Body>,
}

impl Client {
    /// A client of the server at that address, which is `http://host:port`.
    pub(crate) fn new(base: Url) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        Self { base, pool: Pool::builder(TokioExecutor::new()).build(connector) }
    }

    /// The address of a path on the server, given by its parts.
    pub(crate) fn url(&self, parts: &[&str]) -> Url {
        let mut url = self.base.clone();
        url.path_segments_mut().expect("an http address has a path").pop_if_empty().extend(parts);
        url
    }

    /// Reads JSON.
    pub(crate) async fn get<T: DeserializeOwned>(&self, parts: &[&str]) -> anyhow::Result<T> {
        read_json(self.soon(Request::get(self.url(parts).as_str()).body(empty())).await?).await
    }

    /// Reads JSON that is narrowed by these words behind the path.
    pub(crate) async fn get_where<T: DeserializeOwned>(
        &self,
        parts: &[&str],
        words: &[(&str, String)],
    ) -> anyhow::Result<T> {
        let mut url = self.url(parts);
        url.query_pairs_mut().extend_pairs(words);
        read_json(self.soon(Request::get(url.as_str()).body(empty())).await?).await
    }

    /// Deletes, and reads JSON.
    pub(crate) async fn delete<T: DeserializeOwned>(&self, parts: &[&str]) -> anyhow::Result<T> {
        read_json(self.soon(Request::delete(self.url(parts).as_str()).body(empty())).await?).await
    }

    /// Sends JSON and reads JSON.
    pub(crate) async fn post<T: DeserializeOwned>(&self, parts: &[&str], body: Vec<u8>) -> anyhow::Result<T> {
        let body = Full::new(Bytes::from(body)).map_err(never).boxed_unsync();
        let request = Request::post(self.url(parts).as_str()).header(header::CONTENT_TYPE, "application/json");
        read_json(self.soon(request.body(body)).await?).await
    }

    /// Sends a stream of bytes and reads JSON. It may take as long as the bytes do.
    pub(crate) async fn put<T: DeserializeOwned>(
        &self,
        parts: &[&str],
        length: u64,
        bytes: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    ) -> anyhow::Result<T> {
        let body = StreamBody::new(bytes.map(|part| part.map(Frame::data))).boxed_unsync();
        let request = Request::put(self.url(parts).as_str())
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(header::CONTENT_LENGTH, length)
            .body(body);
        read_json(self.send(request).await?).await
    }

    /// Opens a stream of bytes.
    pub(crate) async fn open(
        &self,
        parts: &[&str],
    ) -> anyhow::Result<impl Stream<Item = anyhow::Result<Bytes>> + Unpin + use<>> {
        let answer = self.soon(Request::get(self.url(parts).as_str()).body(empty())).await?;
        Ok(answer.into_body().into_data_stream().map(|part| part.context("the stream broke")))
    }

    /// Sends a small request and returns a good answer that comes soon.
    async fn soon(&self, request: http::Result<Request<Body>>) -> anyhow::Result<Response<Incoming>> {
        let answer = tokio::time::timeout(ANSWER, self.send(request)).await;
        answer.map_err(|_| anyhow!("the hub at {} does not answer", self.shown()))?
    }

    /// Sends a request and returns a good answer.
    async fn send(&self, request: http::Result<Request<Body>>) -> anyhow::Result<Response<Incoming>> {
        let request = request.context("the address cannot be asked")?;
        let asked = format!("{} {}", request.method(), request.uri());
        let answer = self.pool.request(request).await.map_err(|e| self.unreachable(&e))?;
        if answer.status().is_success() { Ok(answer) } else { Err(refusal(&asked, answer).await) }
    }

    fn unreachable(&self, error: &hyper_util::client::legacy::Error) -> anyhow::Error {
        // The outer error only says "client error"; the innermost says why.
        let mut cause: &dyn std::error::Error = error;
        while let Some(next) = cause.source() {
            cause = next;
        }
        let message = format!("cannot reach the hub at {}: {cause}", self.shown());
        Hinted::new(message, "is it running? `reelmill up` starts one; --hub names another").into()
    }

    fn shown(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }
}

fn never(e: Infallible) -> std::io::Error {
    match e {}
}

fn empty() -> Body {
    Full::default().map_err(never).boxed_unsync()
}

async fn read_json<T: DeserializeOwned>(answer: Response<Incoming>) -> anyhow::Result<T> {
    let bytes = read(answer.into_body()).await?;
    serde_json::from_slice(&bytes).context("the hub's answer is not what this version understands")
}

async fn read(body: Incoming) -> anyhow::Result<Bytes> {
    let whole = Limited::new(body, LONGEST).collect().await;
    Ok(whole.map_err(|e| anyhow!("the hub's answer broke off: {e}"))?.to_bytes())
}

/// A refusal as an error: its problem document if it has one, else its status.
async fn refusal(asked: &str, answer: Response<Incoming>) -> anyhow::Error {
    let status = answer.status();
    let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let is_problem = kind.starts_with(CONTENT_TYPE);
    let body = read(answer.into_body()).await.unwrap_or_default();
    match serde_json::from_slice::<Problem>(&body) {
        Ok(problem) if is_problem => told(problem),
        _ => Hinted::new(format!("{asked} was answered with {status}"), "is that address a Reelmill hub?").into(),
    }
}

fn told(problem: Problem) -> anyhow::Error {
    let message = format!("the hub refused: {}", problem.detail);
    match problem.hint {
        Some(hint) => Hinted::new(message, hint).into(),
        None => anyhow!(message),
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, extract::Request as Asked, http::HeaderMap, routing};
    use http::StatusCode;
    use reelmill_daemon::report::render;
    use tokio::net::TcpListener;

    use super::*;

    /// A client of a server with that route, which ends with the test's runtime.
    async fn client_of(path: &str, method: routing::MethodRouter) -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let at = listener.local_addr().expect("it is bound");
        let server = axum::serve(listener, Router::new().route(path, method));
        tokio::spawn(async move { server.await });
        Client::new(Url::parse(&format!("http://{at}")).expect("an address"))
    }

    #[tokio::test]
    async fn an_upload_says_how_long_it_is_and_streams() {
        let echo = |headers: HeaderMap, asked: Asked| async move {
            let length = headers.get("content-length").map(|v| v.to_str().expect("digits").to_owned());
            let name = asked.uri().path().to_owned();
            let body = axum::body::to_bytes(asked.into_body(), 100).await.expect("a short body");
            axum::Json((name, length, String::from_utf8_lossy(&body).into_owned()))
        };
        let client = client_of("/up/{name}", routing::put(echo)).await;
        let parts = futures::stream::iter([Ok(Bytes::from_static(b"ab")), Ok(Bytes::from_static(b"c"))]);
        let got: (String, Option<String>, String) = client.put(&["up", "a b"], 3, parts).await.expect("an answer");
        assert_eq!(got, ("/up/a%20b".to_owned(), Some("3".to_owned()), "abc".to_owned()));
    }

    async fn check(method: routing::MethodRouter, want: &str) {
        let client = client_of("/x", method).await;
        let error = client.get::<serde_json::Value>(&["x"]).await.expect_err("no good answer");
        assert_eq!(render(&*error).replace(client.shown(), "HUB"), want);
    }

    #[tokio::test]
    async fn a_refusal_is_told_in_the_hubs_words() {
        let problem = Problem::new(422, "unknown-preset", "unknown preset", "there is no preset `x`").hint("try y");
        let body = serde_json::to_string(&problem).expect("plain data");
        let answer =
            move || async move { (StatusCode::UNPROCESSABLE_ENTITY, [(header::CONTENT_TYPE, CONTENT_TYPE)], body) };
        check(routing::get(answer), "error: the hub refused: there is no preset `x`\nhint: try y").await;
        let other = "error: GET HUB/x was answered with 405 Method Not Allowed\nhint: is that address a Reelmill hub?";
        check(routing::put(|| async {}), other).await;
        let odd = "error: the hub's answer is not what this version understands: expected value at line 1 column 1";
        check(routing::get(|| async { "hello" }), odd).await;
    }

    #[tokio::test]
    async fn a_hub_that_is_not_there_is_told_with_its_address() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("it is bound"));
        drop(listener);
        let client = Client::new(Url::parse(&base).expect("an address"));
        let error = client.get::<serde_json::Value>(&["x"]).await.expect_err("nobody listens");
        assert_eq!(
            render(&*error),
            format!(
                "error: cannot reach the hub at {base}: Connection refused (os error 111)\n\
                 hint: is it running? `reelmill up` starts one; --hub names another"
            )
        );
    }
}
