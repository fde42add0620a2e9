//! What the worker on this node says of itself: its loopback status, read once for every look, and its metrics, when somebody
//! asks for them.

use std::{io, time::Duration};

use reelmill_api::status::WorkerStatus;
use tokio::time::timeout;

use crate::{config::LoopbackUrl, loopback};

/// A worker that needs longer is told as silent: the look at the node must not wait for it.
const PATIENCE: Duration = Duration::from_millis(500);
/// A command can wait, and does what it does by the answer.
const OF_A_COMMAND: Duration = Duration::from_secs(10);
/// The longest answer that is read; one with a hundred tasks has about 50 kB.
const LONGEST: u64 = 1 << 20;

/// Where a worker shows its metrics, beside its status.
const METRICS: &str = "/metrics";

/// Why a worker's status is not known.
#[derive(Debug, thiserror::Error)]
pub enum Silence {
    /// Nobody listens there.
    #[error("nobody answers at {0}")]
    Nobody(std::net::SocketAddr),
    /// The connection broke.
    #[error("cannot read the worker's status: {0}")]
    Broken(io::Error),
    /// Nothing came in time.
    #[error("the worker does not answer within {} ms", .0.as_millis())]
    Late(Duration),
    /// Something else than a status came.
    #[error("what answers at the worker's address is no worker: {0}")]
    Strange(String),
}

/// The worker's status now.
///
/// # Errors
/// If it does not come in time, or is none.
pub async fn read(url: &LoopbackUrl) -> Result<WorkerStatus, Silence> {
    understand(&ask(url, PATIENCE).await?)
}

/// The same for a command, with more patience.
///
/// # Errors
/// If it does not come in time, or is none.
pub async fn read_for_command(url: &LoopbackUrl) -> Result<WorkerStatus, Silence> {
    understand(&ask(url, OF_A_COMMAND).await?)
}

/// The metrics of the worker that tells its status there, as it writes them.
///
/// # Errors
/// If they do not come in time, or are none.
pub async fn metrics(status: &LoopbackUrl) -> Result<String, Silence> {
    metrics_within(status, PATIENCE).await
}

async fn metrics_within(status: &LoopbackUrl, within: Duration) -> Result<String, Silence> {
    let url = LoopbackUrl { at: status.at, path: METRICS.to_owned() };
    let answer = ask(&url, within).await?;
    let text = String::from_utf8(body(&answer)?.to_vec()).map_err(|e| Silence::Strange(e.to_string()))?;
    // A text that was cut off would hide series, and what reads it could not tell.
    if text.ends_with("# EOF\n") { Ok(text) } else { Err(Silence::Strange("metrics without their end".to_owned())) }
}

async fn ask(url: &LoopbackUrl, within: Duration) -> Result<Vec<u8>, Silence> {
    let answer = timeout(within, loopback::ask(url, LONGEST)).await.map_err(|_| Silence::Late(within))?;
    answer.map_err(|e| match e.kind() {
        io::ErrorKind::ConnectionRefused => Silence::Nobody(url.at),
        _ => Silence::Broken(e),
    })
}

/// The status in an answer.
fn understand(answer: &[u8]) -> Result<WorkerStatus, Silence> {
    serde_json::from_slice(body(answer)?).map_err(|e| Silence::Strange(e.to_string()))
}

fn body(answer: &[u8]) -> Result<&[u8], Silence> {
    let strange = |why: &str| Silence::Strange(why.to_owned());
    match loopback::parts(answer) {
        None => Err(strange("no head of an answer")),
        Some((b"200", body)) => Ok(body),
        Some(_) => Err(strange("the answer is not 200 OK")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    const STATUS: &str = r#"{"node":"a","reelmill":"1","pid":7,"state":"ready","engines":[],"presets":[],"concurrency":1,"running":[],"published":0,"failed":0}"#;

    fn check(answer: &str, want: &str) {
        let got = understand(answer.as_bytes()).map_or_else(|e| e.to_string(), |status| status.node);
        assert!(got.starts_with(want), "{answer:?}: {got:?}");
    }

    #[test]
    fn an_answer_is_a_head_with_200_and_a_status() {
        check(&format!("HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n{STATUS}"), "a");
        check(&format!("HTTP/1.1 200 OK\r\n\r\n{STATUS}"), "a");
        let strange = "what answers at the worker's address is no worker: ";
        check("", &format!("{strange}no head of an answer"));
        check("SSH-2.0-OpenSSH_10\r\n", &format!("{strange}no head of an answer"));
        check(&format!("HTTP/1.1 404 Not Found\r\n\r\n{STATUS}"), &format!("{strange}the answer is not 200 OK"));
        check(&format!("SIP/2.0 200 OK\r\n\r\n{STATUS}"), &format!("{strange}the answer is not 200 OK"));
        check("HTTP/1.1 200 OK\r\n\r\n{}", &format!("{strange}missing field `node`"));
        check("HTTP/1.1 200 OK\r\n\r\n", &format!("{strange}EOF"));
    }

    proptest! {
        #[test]
        fn whatever_answers_is_understood_or_refused(answer: Vec<u8>, body: String) {
            let _ = understand(&answer);
            let _ = understand(format!("HTTP/1.1 200 OK\r\n\r\n{body}").as_bytes());
        }
    }

    #[tokio::test]
    async fn reads_the_metrics_of_a_worker_to_their_end() {
        const WHOLE: &str = "reelmill_worker_fps 1\n# EOF\n";
        let url = worker_at("/metrics", format!("HTTP/1.0 200 OK\r\n\r\n{WHOLE}")).await;
        assert_eq!(metrics_within(&url, OF_A_COMMAND).await.expect("metrics"), WHOLE);
        let url = worker_at("/metrics", "HTTP/1.0 200 OK\r\n\r\nreelmill_wor".to_owned()).await;
        let error = metrics_within(&url, OF_A_COMMAND).await.expect_err("cut off").to_string();
        assert_eq!(error, "what answers at the worker's address is no worker: metrics without their end");
    }

    /// A worker that answers what it is told, then closes.
    async fn worker(answer: String) -> LoopbackUrl {
        worker_at("/status", answer).await
    }

    async fn worker_at(path: &'static str, answer: String) -> LoopbackUrl {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let at = listener.local_addr().expect("it is bound");
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("somebody asks");
            let mut request = [0; 200];
            let read = stream.read(&mut request).await.expect("a request");
            assert!(request[..read].starts_with(format!("GET {path} HTTP/1.0\r\n").as_bytes()));
            stream.write_all(answer.as_bytes()).await.expect("it reads");
        });
        LoopbackUrl { at, path: "/status".to_owned() }
    }

    #[tokio::test]
    async fn reads_the_status_of_a_worker() {
        let url = worker(format!("HTTP/1.0 200 OK\r\n\r\n{STATUS}")).await;
        assert_eq!(read_for_command(&url).await.expect("a status").pid, 7);
    }

    #[tokio::test]
    async fn an_endless_answer_is_cut_off() {
        let body = " ".repeat(2 * usize::try_from(LONGEST).expect("a small number"));
        let url = worker(format!("HTTP/1.0 200 OK\r\n\r\n{body}{STATUS}")).await;
        let error = read_for_command(&url).await.expect_err("cut off");
        assert!(matches!(error, Silence::Strange(_) | Silence::Broken(_)), "{error}");
    }

    #[tokio::test]
    async fn a_worker_that_is_not_there_or_says_nothing_is_told_so() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = LoopbackUrl { at: listener.local_addr().expect("it is bound"), path: "/".to_owned() };
        // The kernel takes the connection, and nobody ever answers.
        assert_eq!(read(&url).await.expect_err("late").to_string(), "the worker does not answer within 500 ms");
        drop(listener);
        let error = read(&url).await.expect_err("gone").to_string();
        assert_eq!(error, format!("nobody answers at {}", url.at));
    }
}
