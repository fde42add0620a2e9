//! The socket that the client library speaks through: TCP or TLS by this project's own choice of cryptography, and with a
//! switch that cuts it, so that a connection to a server that hangs can be given up at once.

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd, AsRawFd},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use async_rs::{Runtime, Tokio, traits::*, util::Task};
use futures::{Stream, io as fio};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use tokio_util::{
    compat::{Compat, TokioAsyncReadCompatExt},
    sync::{CancellationToken, WaitForCancellationFutureOwned},
};

use super::address::{ADDRESS, Address};
use crate::QueueError;

/// What carries bytes both ways.
trait Carrier: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Carrier for T {}

/// A connected socket.
pub(super) struct Socket {
    carrier: Compat<Box<dyn Carrier>>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Socket {
    fn new(carrier: Box<dyn Carrier>, cut: CancellationToken) -> Self {
        Self { carrier: carrier.compat(), cut: Box::pin(cut.cancelled_owned()) }
    }

    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.cut.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the connection was given up")),
            Poll::Pending => Ok(()),
        }
    }
}

impl fio::AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.carrier).poll_read(cx, buf)
    }
}

impl fio::AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.carrier).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.carrier).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.carrier).poll_close(cx)
    }
}

/// How to reach one server.
#[derive(Clone)]
pub(super) struct Dialer {
    host: String,
    port: u16,
    tls: Option<TlsConnector>,
}

impl Dialer {
    /// # Errors
    /// [`QueueError::BadAddress`] where the certificates to trust cannot be used.
    pub(super) fn new(address: &Address) -> Result<Self, QueueError> {
        let tls = address.tls.then(|| connector(address.ca.as_deref())).transpose()?;
        Ok(Self { host: address.host.clone(), port: address.port, tls })
    }

    /// Connects; `cut` gives the socket up.
    pub(super) async fn dial(&self, cut: CancellationToken) -> io::Result<Socket> {
        let dialing = async {
            let tcp = TcpStream::connect((self.host.as_str(), self.port)).await?;
            tcp.set_nodelay(true)?;
            let carrier: Box<dyn Carrier> = match &self.tls {
                None => Box::new(tcp),
                Some(tls) => {
                    let name = ServerName::try_from(self.host.clone()).map_err(io::Error::other)?;
                    Box::new(tls.connect(name, tcp).await?)
                }
            };
            Ok(carrier)
        };
        let carrier = tokio::select! {
            () = cut.cancelled() => Err(io::Error::from(io::ErrorKind::TimedOut)),
            dialled = dialing => dialled,
        };
        Ok(Socket::new(carrier?, cut))
    }
}

fn connector(ca: Option<&str>) -> Result<TlsConnector, QueueError> {
    let roots = match ca {
        None => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            roots
        }
        Some(path) => ADDRESS.trust(path)?.roots,
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| ADDRESS.bad(&e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The client library's runtime: tokio's, but for the kind of its sockets.
#[derive(Clone, Debug)]
pub(super) struct Kit(Tokio);

impl Kit {
    pub(super) fn current() -> Runtime<Self> {
        Runtime::new(Self(Tokio::current()))
    }
}

impl RuntimeKit for Kit {}

impl Executor for Kit {
    type Task<T: Send + 'static> = <Tokio as Executor>::Task<T>;

    fn block_on<T, F: Future<Output = T>>(&self, f: F) -> T {
        self.0.block_on(f)
    }

    fn spawn<T: Send + 'static, F: Future<Output = T> + Send + 'static>(&self, f: F) -> Task<Self::Task<T>> {
        self.0.spawn(f)
    }

    fn spawn_blocking<T: Send + 'static, F: FnOnce() -> T + Send + 'static>(&self, f: F) -> Task<Self::Task<T>> {
        self.0.spawn_blocking(f)
    }
}

impl Reactor for Kit {
    type TcpStream = Socket;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: io::Read + io::Write + AsFd + AsRawFd + Send + 'static>(
        &self,
        socket: H,
    ) -> io::Result<impl fio::AsyncRead + fio::AsyncWrite + Send + Unpin + 'static> {
        self.0.register(socket)
    }

    fn sleep(&self, dur: Duration) -> Self::Sleep {
        self.0.sleep(dur)
    }

    fn interval(&self, dur: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(dur)
    }

    #[expect(clippy::manual_async_fn, reason = "an async function would borrow the kit, and this must outlive it")]
    fn tcp_connect_addr(&self, addr: SocketAddr) -> impl Future<Output = io::Result<Socket>> + Send + 'static {
        async move {
            let tcp = TcpStream::connect(addr).await?;
            tcp.set_nodelay(true)?;
            Ok(Socket::new(Box::new(tcp), CancellationToken::new()))
        }
    }
}
