//! The status page over real connections: what it answers, to whom, and how much it lets others take.

#[path = "page/shelf.rs"]
mod shelf;

use std::time::Duration;

use serde_json::Value;
use shelf::{ask, desk, serve, snapshot};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::TcpStream,
};

const HOST: &str = "host: localhost\r\n";

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").expect("a head and a body").1
}

#[tokio::test]
async fn each_node_has_the_word_that_its_file_is_named_by() {
    let words = [
        ("bare", "drained"),
        ("broker-lost", "broker_lost"),
        ("draining", "draining"),
        ("hostile", "not_enrolled"),
        ("hot", "hot"),
        ("not-enrolled", "not_enrolled"),
        ("switching", "switching"),
        ("well", "well"),
    ];
    assert_eq!(shelf::names(), words.map(|(name, _)| name));
    for (name, word) in words {
        let page = serve(desk(name), None).await;
        let answer = ask(page.at, "GET /api/status", HOST).await;
        let status: Value = serde_json::from_str(body(&answer)).expect("JSON");
        assert_eq!(status["state"], word, "{name}");
        assert_eq!(status["node"]["id"], snapshot(name).node.id.as_str(), "{name}");
        assert_eq!(status["point"]["seconds"], 300.0, "{name}");
    }
}

#[tokio::test]
async fn every_answer_carries_the_headers_that_keep_browsers_honest() {
    let page = serve(desk("well"), Some("secret")).await;
    let known = format!("{HOST}authorization: Basic YTpzZWNyZXQ=\r\n");
    let strict = "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                  img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\
                  x-content-type-options: nosniff\r\nx-frame-options: DENY\r\nreferrer-policy: no-referrer\r\n\
                  cross-origin-resource-policy: same-origin\r\ncache-control: no-store\r\n";
    let check = async |request: &str, headers: &str, first: &str| {
        let answer = ask(page.at, request, headers).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {first}\r\n")), "{request}: {answer}");
        assert!(answer.contains(strict), "{request}: {answer}");
        answer
    };
    for path in
        ["/", "/style.css", "/script.js", "/parts.js", "/curve.js", "/words.js", "/icon.svg", "/api/status", "/metrics"]
    {
        check(&format!("GET {path}"), &known, "200 OK").await;
    }
    check("HEAD /", &known, "200 OK").await;
    check("GET /etc/passwd", &known, "404 Not Found").await;
    check("GET /", "host: evil.example\r\n", "421 Misdirected Request").await;
    check("GET /", "", "421 Misdirected Request").await;
    let refused = check("POST /api/status", &known, "405 Method Not Allowed").await;
    assert!(refused.contains("\r\nallow: GET, HEAD\r\n"), "{refused}");
    for path in ["/", "/api/status", "/api/events", "/metrics", "/style.css", "/nowhere"] {
        let asked = check(&format!("GET {path}"), HOST, "401 Unauthorized").await;
        assert!(
            asked.contains("\r\nwww-authenticate: Basic realm=\"Reelmill node\", charset=\"UTF-8\"\r\n"),
            "{asked}"
        );
        assert!(!asked.contains("rack-2"), "{asked}");
    }
}

#[tokio::test]
async fn metrics_are_of_the_newest_look() {
    let page = serve(desk("well"), None).await;
    let answer = ask(page.at, "GET /metrics", HOST).await;
    assert!(answer.contains("\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{answer}");
    assert!(body(&answer).contains("rack-2"), "{answer}");
}

/// The events of a page, as (name, data).
struct Events(Lines<BufReader<TcpStream>>);

impl Events {
    async fn open(page: &shelf::Served) -> Self {
        let mut stream = TcpStream::connect(page.at).await.expect("it listens");
        let request = format!("GET /api/events HTTP/1.1\r\n{HOST}\r\n");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        Self(BufReader::new(stream).lines())
    }

    async fn line(&mut self) -> Option<String> {
        self.0.next_line().await.expect("text")
    }

    async fn next(&mut self) -> Option<(String, Value)> {
        let mut name = String::new();
        while let Some(line) = self.line().await {
            if let Some(event) = line.strip_prefix("event: ") {
                event.clone_into(&mut name);
            } else if let Some(data) = line.strip_prefix("data: ") {
                return Some((name, serde_json::from_str(data).expect("JSON")));
            }
        }
        None
    }
}

#[tokio::test]
async fn a_listener_hears_the_past_then_now_then_each_look() {
    let page = serve(desk("hot"), None).await;
    let mut events = Events::open(&page).await;
    let (name, history) = events.next().await.expect("the history");
    assert_eq!((name.as_str(), history["points"].as_array().map(Vec::len)), ("history", Some(300)));
    assert_eq!(history["columns"][0], "seconds");
    let (name, now) = events.next().await.expect("a status");
    assert_eq!((name.as_str(), &now["state"], &now["point"]["seconds"]), ("status", &"hot".into(), &300.0.into()));
    page.desk.publish(snapshot("well"), Duration::from_secs(301));
    let (_, next) = events.next().await.expect("the next status");
    assert_eq!((&next["node"]["id"], &next["point"]["seconds"]), (&"rack-2".into(), &301.0.into()));
}

#[tokio::test]
async fn open_streams_end_with_the_agent() {
    let page = serve(desk("well"), None).await;
    let mut events = Events::open(&page).await;
    events.next().await.expect("the history");
    page.stop.cancel();
    while events.next().await.is_some() {}
    page.task.await.expect("served to the end");
}

#[tokio::test]
async fn only_so_many_may_listen_and_a_place_is_given_back() {
    let page = serve(desk("well"), None).await;
    let mut listeners = Vec::new();
    for _ in 0..16 {
        let mut events = Events::open(&page).await;
        events.next().await.expect("the history");
        listeners.push(events);
    }
    let refused = ask(page.at, "GET /api/events", HOST).await;
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("\r\nretry-after: 10\r\n"), "{refused}");
    assert!(ask(page.at, "GET /api/status", HOST).await.starts_with("HTTP/1.1 200 "));
    listeners.pop();
    // The server sees that a client is gone when it next writes to it.
    loop {
        page.desk.publish(snapshot("well"), Duration::from_secs(301));
        let mut events = Events::open(&page).await;
        if events.line().await.expect("a head").contains(" 200 ") {
            break;
        }
    }
}

#[tokio::test]
async fn silent_connections_take_only_so_many_places() {
    let page = serve(desk("well"), None).await;
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(TcpStream::connect(page.at).await.expect("it listens"));
    }
    let waiting = tokio::spawn(async move { ask(page.at, "GET /api/status", HOST).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished());
    silent.pop();
    assert!(waiting.await.expect("no panic").starts_with("HTTP/1.1 200 "));
}
