//! The agent's side of the root helper's socket: one question, and what is answered.

use std::{
    io::{self, ErrorKind},
    os::unix::fs::FileTypeExt as _,
    path::Path,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
};
use tokio_util::sync::CancellationToken;

use super::wire::{Answer, MAX_REQUEST, Request};
use crate::deeds::{Outcome, Told, Undone};

/// The longest answer, in bytes: a result goes into a command's state, which is smaller.
const MAX_ANSWER: u64 = 64 * 1024;
/// What to do where the helper does not work.
const LOOK: &str = "see `journalctl -u reelmill-exec`";

/// Whether this node has a root helper at all; it is started by the first question.
pub fn is_there(socket: &Path) -> bool {
    socket.metadata().is_ok_and(|file| file.file_type().is_socket())
}

/// Asks the root helper, and waits for what comes of it. When `stop` is cancelled the connection is closed, by which the
/// helper stops what can be stopped without harm.
///
/// # Errors
/// What kept it from being done: in the helper's words, or why there are none.
pub async fn ask(socket: &Path, request: &Request, told: &Told, stop: &CancellationToken) -> Outcome {
    tokio::select! {
        outcome = exchange(socket, request, told) => outcome,
        () = stop.cancelled() => Err(Undone::for_now("stopped", "it was asked to end")),
    }
}

async fn exchange(socket: &Path, request: &Request, told: &Told) -> Outcome {
    let mut line = serde_json::to_vec(request).expect("a question holds only texts");
    if line.len() >= MAX_REQUEST {
        return Err(Undone::for_good(
            "too_large",
            format!("a message of {} bytes does not fit a question", line.len()),
        ));
    }
    line.push(b'\n');
    let mut stream = UnixStream::connect(socket).await.map_err(|e| unreachable(socket, &e))?;
    // One that is refused at the door answers without having read.
    let written = stream.write_all(&line).await;
    let mut answers = BufReader::new(stream);
    loop {
        match next(&mut answers).await {
            Ok(Answer::Told(percent)) => told(percent),
            Ok(Answer::Done(result)) => return Ok(result),
            Ok(Answer::Undone(undone)) => return Err(undone),
            Err(e) => return Err(broken(written.as_ref().err().unwrap_or(&e))),
        }
    }
}

async fn next(answers: &mut BufReader<UnixStream>) -> io::Result<Answer> {
    let mut line = Vec::new();
    answers.take(MAX_ANSWER).read_until(b'\n', &mut line).await?;
    if line.is_empty() {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    serde_json::from_slice(&line).map_err(io::Error::from)
}

fn unreachable(socket: &Path, error: &io::Error) -> Undone {
    let at = socket.display();
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => Undone::for_now(
            "no_helper",
            format!("nobody listens at {at}: this needs root, so reelmill-exec.socket must be installed and started"),
        ),
        ErrorKind::PermissionDenied => Undone::for_now(
            "no_helper",
            format!("{at} is not for this user: SocketUser= in reelmill-exec.socket names who"),
        ),
        _ => Undone::for_now("no_helper", format!("cannot reach the root helper at {at}: {error}; {LOOK}")),
    }
}

fn broken(error: &io::Error) -> Undone {
    Undone::for_now("helper_died", format!("the root helper ended before it answered ({error}); {LOOK}"))
}
