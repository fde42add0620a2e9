//! A provider's metadata service, as EC2 and OpenStack have it, and many others as they do.

use std::{fmt, io, str::FromStr, time::Duration};

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Method, Request, StatusCode, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};
use url::Url;

/// It is in the same rack.
const PATIENCE: Duration = Duration::from_secs(5);
/// The second version of EC2's service wants a token first, against whoever can only make a machine fetch an address.
const TOKEN: &str = "/latest/api/token";
/// How long the token is good, seconds.
const TOKEN_SECONDS: &str = "60";
/// Where the data is: EC2's, then OpenStack's own.
const PATHS: &[&str] = &["/latest/user-data", "/openstack/latest/user_data"];

/// Where a provider tells machines about themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    host: String,
    port: u16,
}

impl FromStr for Provider {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = "it must be written as http://169.254.169.254";
        let url = Url::parse(text).map_err(|_| bad)?;
        let host = url.host_str().ok_or(bad)?.trim_matches(['[', ']']).to_owned();
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        if url.scheme() != "http" || !bare {
            return Err(bad);
        }
        Ok(Self { host, port: url.port().unwrap_or(80) })
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        if *port == 80 { write!(f, "http://{host}") } else { write!(f, "http://{host}:{port}") }
    }
}

impl Provider {
    /// The machine's user data, at most so long; `None` if it was ordered without.
    ///
    /// # Errors
    /// If nobody answers, or what answers is no such service.
    pub async fn user_data(&self, longest: u64) -> io::Result<Option<String>> {
        let longest = usize::try_from(longest).unwrap_or(usize::MAX);
        let ttl = ("x-aws-ec2-metadata-token-ttl-seconds", TOKEN_SECONDS);
        let token = match self.ask(Method::PUT, TOKEN, ttl, longest).await? {
            (StatusCode::OK, token) => Some(token),
            // A service of the first version.
            (StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED, _) => None,
            (status, _) => return Err(strange(TOKEN, status)),
        };
        let header = ("x-aws-ec2-metadata-token", token.as_deref().map_or("", str::trim));
        for path in PATHS {
            match self.ask(Method::GET, path, header, longest).await? {
                (StatusCode::OK, text) if !text.trim().is_empty() => return Ok(Some(text)),
                (StatusCode::OK | StatusCode::NOT_FOUND, _) => {}
                (status, _) => return Err(strange(path, status)),
            }
        }
        Ok(None)
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        (name, value): (&str, &str),
        longest: usize,
    ) -> io::Result<(StatusCode, String)> {
        let exchange = async {
            let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
            let (mut send, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
            let request = Request::builder()
                .method(method)
                .uri(path)
                .header(header::HOST, self.to_string().trim_start_matches("http://"));
            let request = if value.is_empty() { request } else { request.header(name, value) };
            let request = request.body(Empty::<Bytes>::new()).map_err(io::Error::other)?;
            let answered = async {
                let answer = send.send_request(request).await.map_err(io::Error::other)?;
                let status = answer.status();
                let body = Limited::new(answer.into_body(), longest).collect().await.map_err(io::Error::other)?;
                let text = String::from_utf8(body.to_bytes().into()).map_err(|_| io::Error::other("it is no text"))?;
                Ok((status, text))
            };
            tokio::select! {
                answer = answered => answer,
                Err(e) = connection => Err(io::Error::other(e)),
            }
        };
        timeout(PATIENCE, exchange).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

fn strange(path: &str, status: StatusCode) -> io::Error {
    io::Error::other(format!("{path} is answered with {status}"))
}
