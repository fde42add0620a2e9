//! A real Prometheus on a free port, and questions to it.

use std::{
    fmt::Write as _,
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
};

use reelmill_lab::programs::{Running, eventually, free_port};
use serde_json::Value;

/// A Prometheus that ends with the test.
pub(crate) struct Prometheus {
    port: u16,
    _process: Running,
}

impl Prometheus {
    /// Starts with that configuration and waits until it is ready.
    pub(crate) fn start(folder: &Path, config: &Value) -> Self {
        let file = folder.join("prometheus.json");
        fs::write(&file, config.to_string()).expect("written");
        let port = free_port();
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.join("data").display()));
        command.args([&format!("--web.listen-address=127.0.0.1:{port}"), "--log.level=warn"]).stdout(Stdio::null());
        let process = Running::start(command);
        eventually("Prometheus to be ready", || get(port, "/-/ready").filter(|(status, _)| *status == 200));
        Self { port, _process: process }
    }

    /// The series that an expression gives now.
    pub(crate) fn query(&self, expr: &str) -> Vec<Value> {
        let (status, answer) = get(self.port, &format!("/api/v1/query?query={}", encoded(expr))).expect("it answers");
        let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|e| panic!("{e}: {answer}"));
        assert_eq!(status, 200, "{expr}: {}", answer["error"]);
        // A number without labels is one series.
        match &answer["data"]["result"] {
            Value::Array(all) => all.clone(),
            other => panic!("{expr}: {other}"),
        }
    }

    /// Waits until an expression gives something.
    pub(crate) fn wait(&self, expr: &str) -> Vec<Value> {
        eventually(expr, || Some(self.query(expr)).filter(|series| !series.is_empty()))
    }
}

/// The status and the body of an answer; `None` while nobody answers.
pub(crate) fn get(port: u16, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nhost: 127.0.0.1:{port}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// Sends a body; the status and the answer.
pub(crate) fn send(port: u16, method: &str, path: &str, body: &[u8]) -> (u16, Value) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let head = format!("{method} {path} HTTP/1.0\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n");
    write!(stream, "{head}content-length: {}\r\n\r\n", body.len()).expect("it reads");
    stream.write_all(body).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => all.push(char::from(byte)),
            _ => write!(all, "%{byte:02X}").expect("a string takes all that is written to it"),
        }
        all
    })
}
