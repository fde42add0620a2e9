//! One question over HTTP to a program on this node: the worker's status, the agent's own.

use std::io;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::config::LoopbackUrl;

/// Asks, and gives the whole answer, of which at most `longest` bytes are read. HTTP/1.0 asks for a body that ends with the
/// connection, which needs no further protocol.
///
/// # Errors
/// If nobody listens, or the connection breaks.
pub(crate) async fn ask(url: &LoopbackUrl, longest: u64) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(url.at).await?;
    let request = format!("GET {} HTTP/1.0\r\nhost: {}\r\naccept: application/json\r\n\r\n", url.path, url.at);
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(longest).read_to_end(&mut answer).await?;
    Ok(answer)
}

/// The status code of an answer and its body; `None` where there is no head of an answer. A status that is not one of HTTP is
/// an empty word.
pub(crate) fn parts(answer: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n")?;
    let (head, body) = (&answer[..end], &answer[end + 4..]);
    let mut words = head.split(|byte| byte.is_ascii_whitespace());
    let is_http = words.next().is_some_and(|word| word.starts_with(b"HTTP/1."));
    Some((words.next().filter(|_| is_http).unwrap_or_default(), body))
}
