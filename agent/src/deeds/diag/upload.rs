//! A file put to a presigned address by one request. The address is as good as a password: no error and no log line shows
//! more of it than the host.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper::{
    Method, Request, StatusCode,
    body::{Body, Bytes, Frame, SizeHint},
    client::conn::http1,
    header::HOST,
    rt::{Read, Write},
};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;
use url::Url;

/// A connection that takes longer does not come.
const CONNECT: Duration = Duration::from_secs(15);
/// The whole of it, on a slow line.
const WHOLE: Duration = Duration::from_secs(7 * 60);
/// So much is handed to the connection at once.
const CHUNK: usize = 64 * 1024;

/// Why a file was not put.
#[derive(Debug, thiserror::Error)]
pub(super) enum UploadError {
    #[error("the address must begin with https:// or http://, and name a host")]
    Unfit,
    #[error("cannot connect to {host}: {source}")]
    Unreachable { host: String, source: io::Error },
    #[error("the connection to {host} broke: {source}")]
    Broken { host: String, source: hyper::Error },
    #[error("{host} took longer than {} s", limit.as_secs())]
    TimedOut { host: String, limit: Duration },
    #[error("{host} sends elsewhere ({status}), and no other host gets it")]
    Redirected { host: String, status: StatusCode },
    #[error("{host} refuses it ({status}); the address may have expired, or be for another method than PUT")]
    Refused { host: String, status: StatusCode },
}

impl UploadError {
    /// For programs.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Unfit => "bad_address",
            Self::Unreachable { .. } | Self::Broken { .. } => "upload_failed",
            Self::TimedOut { .. } => "too_slow",
            Self::Redirected { .. } | Self::Refused { .. } => "upload_refused",
        }
    }
}

/// Where is told how many bytes are on their way.
pub(super) type Progress = Box<dyn FnMut(usize) + Send>;

/// Puts `content` there.
///
/// # Errors
/// If the host is not there, does not take it in time, or not at all.
pub(super) async fn put(to: &Url, content: Bytes, told: Progress) -> Result<(), UploadError> {
    let host = host_of(to).ok_or(UploadError::Unfit)?;
    let body = Chunks { whole: content.len(), rest: content, told };
    let status = match timeout(WHOLE, send(to, &host, body)).await {
        Ok(answer) => answer?,
        Err(_) => return Err(UploadError::TimedOut { host, limit: WHOLE }),
    };
    match status {
        status if status.is_success() => Ok(()),
        status if status.is_redirection() => Err(UploadError::Redirected { host, status }),
        status => Err(UploadError::Refused { host, status }),
    }
}

/// The host with its port, as a person knows it and as the request names it.
fn host_of(url: &Url) -> Option<String> {
    if !["http", "https"].contains(&url.scheme()) {
        return None;
    }
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

async fn send(to: &Url, host: &str, body: Chunks) -> Result<StatusCode, UploadError> {
    let unreachable = |source| UploadError::Unreachable { host: host.to_owned(), source };
    let connect = async {
        let address =
            (to.host_str().unwrap_or_default().trim_matches(['[', ']']), to.port_or_known_default().unwrap_or(0));
        TcpStream::connect(address).await
    };
    let stream = match timeout(CONNECT, connect).await {
        Ok(connected) => connected.map_err(unreachable)?,
        Err(_) => return Err(UploadError::TimedOut { host: host.to_owned(), limit: CONNECT }),
    };
    if to.scheme() == "http" {
        return exchange(TokioIo::new(stream), to, host, body).await;
    }
    let name = ServerName::try_from(to.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned());
    let name = name.map_err(|e| unreachable(io::Error::other(e)))?;
    let connector = TlsConnector::from(tls().map_err(|e| unreachable(io::Error::other(e)))?);
    match timeout(CONNECT, connector.connect(name, stream)).await {
        Ok(secured) => exchange(TokioIo::new(secured.map_err(unreachable)?), to, host, body).await,
        Err(_) => Err(UploadError::TimedOut { host: host.to_owned(), limit: CONNECT }),
    }
}

/// Whom the system trusts (`SSL_CERT_FILE` names others), for the store is not one of the farm's own.
fn tls() -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

async fn exchange<T>(io: T, to: &Url, host: &str, body: Chunks) -> Result<StatusCode, UploadError>
where
    T: Read + Write + Send + Unpin + 'static,
{
    let broken = |source| UploadError::Broken { host: host.to_owned(), source };
    let path = to.query().map_or_else(|| to.path().to_owned(), |query| format!("{}?{query}", to.path()));
    let request = Request::builder().method(Method::PUT).uri(path).header(HOST, host).body(body);
    let request = request.map_err(|_| UploadError::Unfit)?;
    let (mut sender, connection) = http1::handshake(io).await.map_err(broken)?;
    tokio::pin!(connection);
    let answer = sender.send_request(request);
    tokio::pin!(answer);
    // The connection moves the request along; its own end is the answer's error.
    let answer = tokio::select! {
        answer = &mut answer => answer,
        _ = &mut connection => answer.await,
    };
    Ok(answer.map_err(broken)?.status())
}

/// A body of which is told how much is on its way. Its length is known, and so is announced.
struct Chunks {
    rest: Bytes,
    whole: usize,
    told: Progress,
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let n = self.rest.len().min(CHUNK);
        let chunk = self.rest.split_to(n);
        let sent = self.whole - self.rest.len();
        (self.told)(sent);
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

#[cfg(test)]
mod tests;
