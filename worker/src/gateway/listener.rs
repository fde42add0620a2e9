//! The gateway's connections. A media process that puts files says the next before the last is answered and hangs up
//! after the last word, so on such a connection nothing is answered at all.
//!
//! ffmpeg's HLS muxer never waits for an answer to a PUT. It sends the last segment and the playlist behind it on one
//! connection and closes that. An answer written then meets a closed socket, the kernel resets the connection, and what
//! it had taken in and we had not yet read is thrown away: the last files of a job, the more often the slower the store.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
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
