//! The gateway's connections. A media process that puts files says the next before the last is answered and hangs up
//! after the last word, so on such a connection nothing is answered at all.
//!
//! ffmpeg's HLS muxer never waits for an answer to a PUT. It sends the last segment and the playlist behind it on one
//! connection and closes that. An answer written then meets a closed socket, the kernel resets the connection, and what
//! it had taken in and we had not yet read is thrown away: the last files of a job, the more often the slower the store.
//!
//! For the same reason such a connection is never closed before its process has closed it: ffmpeg 8 glances at it after
//! the last byte of a file that it puts alone, and takes an end that it finds there for a failure.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

/// The gateway's listener.
pub(crate) struct Listener(pub(crate) TcpListener);

impl axum::serve::Listener for Listener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (socket, from) = axum::serve::Listener::accept(&mut self.0).await;
        (Connection { socket, begun: false, silent: false }, from)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// One connection of a media process.
pub(crate) struct Connection {
    socket: TcpStream,
    begun: bool,
    silent: bool,
}

impl Connection {
    /// The first letter of a connection tells what it is for: `P` of PUT and POST.
    fn note(&mut self, first: Option<&u8>) {
        if let (false, Some(first)) = (self.begun, first) {
            self.begun = true;
            self.silent = *first == b'P';
        }
    }

    /// Ready once the process has closed its side; what it says until then is passed over.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut scratch = [0; 512];
            let mut rest = ReadBuf::new(&mut scratch);
            ready!(Pin::new(&mut self.socket).poll_read(cx, &mut rest))?;
            if rest.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = to.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(cx, to);
        self.note(to.filled().get(before));
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.silent {
            true => Poll::Ready(Ok(bytes.len())),
            false => Pin::new(&mut self.socket).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.silent {
            // A socket that is broken has no process that could look at it.
            let _ = ready!(self.poll_end(cx));
        }
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.silent {
            true => Poll::Ready(Ok(bytes.iter().map(|slice| slice.len()).sum())),
            false => Pin::new(&mut self.socket).poll_write_vectored(cx, bytes),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::{Router, body::Bytes};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        sync::mpsc,
        time::timeout,
    };

    use super::*;

    /// A connection to a server that tells what was put.
    async fn connected() -> (TcpStream, mpsc::Receiver<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("its address");
        let (tell, told) = mpsc::channel(1);
        let router = Router::new().fallback(move |body: Bytes| async move {
            tell.send(body.len()).await.expect("the test listens");
        });
        tokio::spawn(async move { axum::serve(Listener(listener), router).await });
        (TcpStream::connect(at).await.expect("a listener"), told)
    }

    const HEAD: &str = " / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";

    #[tokio::test]
    async fn whoever_puts_hears_nothing_and_no_end_before_its_own() {
        let (mut socket, mut told) = connected().await;
        socket.write_all(format!("PUT{HEAD}5\r\nhello\r\n0\r\n\r\n").as_bytes()).await.expect("open");
        assert_eq!(told.recv().await, Some(5));
        let mut byte = [0];
        let heard = timeout(Duration::from_millis(200), socket.read(&mut byte)).await;
        assert!(heard.is_err(), "the server said {byte:?} or hung up: {heard:?}");
        socket.shutdown().await.expect("open");
        assert_eq!(socket.read(&mut byte).await.expect("an end"), 0);
    }

    #[tokio::test]
    async fn whoever_gets_is_answered_and_hung_up_on() {
        let (mut socket, mut told) = connected().await;
        socket.write_all(format!("GET{HEAD}0\r\n\r\n").as_bytes()).await.expect("open");
        assert_eq!(told.recv().await, Some(0));
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.expect("an answer and an end");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
}
