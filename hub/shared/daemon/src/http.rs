//! Listening for HTTP: a clear error when it cannot, loopback by default, and an end in bounded time.

use std::{io, net::SocketAddr, time::Duration};

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::report::Hinted;

/// How long open requests may take once the end was asked for; an event stream would never end by itself.
pub const DRAIN: Duration = Duration::from_secs(2);

/// Listens on an address.
///
/// # Errors
/// If it is taken or not allowed, with a hint.
pub async fn bind(addr: SocketAddr) -> Result<TcpListener, Hinted> {
    TcpListener::bind(addr).await.map_err(|e| cannot_listen(addr, &e))
}

fn cannot_listen(addr: SocketAddr, error: &io::Error) -> Hinted {
    let (why, hint) = match error.kind() {
        io::ErrorKind::AddrInUse => (
            "address in use".to_owned(),
            format!("see who has it with `ss -ltnp 'sport = :{}'`, or choose another port", addr.port()),
        ),
        io::ErrorKind::PermissionDenied => (
            "permission denied".to_owned(),
            "ports below 1024 need CAP_NET_BIND_SERVICE; choose a higher one".to_owned(),
        ),
        io::ErrorKind::AddrNotAvailable => {
            (format!("{} is no address of this machine", addr.ip()), "use 127.0.0.1 or one of `ip address`".to_owned())
        }
        _ => (error.to_string(), "choose another address or port".to_owned()),
    };
    Hinted::new(format!("cannot listen on {addr}: {why}"), hint)
}

/// Refuses an address that other machines could reach.
///
/// # Errors
/// If the address is not a loopback address.
pub fn require_loopback(addr: SocketAddr) -> Result<(), Hinted> {
    if addr.ip().is_loopback() {
        return Ok(());
    }
    Err(Hinted::new(
        format!("{addr} can be reached by other machines, and this listener asks nobody who they are"),
        format!("use 127.0.0.1:{} and put a proxy that authenticates before it", addr.port()),
    ))
}

/// Serves until `stop`; open requests then have [`DRAIN`] to end.
///
/// # Errors
/// If the listener fails.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) -> io::Result<()> {
    let stopped = stop.clone();
    let server = axum::serve(listener, router).with_graceful_shutdown(async move { stopped.cancelled().await });
    tokio::select! {
        result = async { server.await } => result,
        () = async { stop.cancelled().await; tokio::time::sleep(DRAIN).await } => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use axum::routing;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::*;

    /// The whole answer to a GET, head and body, as it came.
    pub(crate) async fn get(at: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(at).await.expect("it listens");
        let request = format!("GET {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("text");
        answer
    }

    #[tokio::test]
    async fn says_which_address_is_taken() {
        let taken = bind(([127, 0, 0, 1], 0).into()).await.expect("a free port");
        let at = taken.local_addr().expect("it is bound");
        let error = bind(at).await.expect_err("it is taken");
        let port = at.port();
        assert_eq!(
            crate::report::render(&error),
            format!(
                "error: cannot listen on 127.0.0.1:{port}: address in use\n\
                 hint: see who has it with `ss -ltnp 'sport = :{port}'`, or choose another port"
            )
        );
    }

    #[tokio::test]
    async fn says_that_an_address_is_not_here() {
        let error = bind(([192, 0, 2, 1], 8080).into()).await.expect_err("an address for documents");
        assert_eq!(error.to_string(), "cannot listen on 192.0.2.1:8080: 192.0.2.1 is no address of this machine");
    }

    #[test]
    fn takes_only_loopback_where_nobody_is_asked_who_he_is() {
        for good in ["127.0.0.1:80", "127.9.9.9:1", "[::1]:80"] {
            assert!(require_loopback(good.parse().expect("an address")).is_ok(), "{good}");
        }
        for bad in ["0.0.0.0:80", "[::]:80", "10.0.0.1:80"] {
            let error = require_loopback(bad.parse().expect("an address")).expect_err(bad);
            assert!(error.to_string().starts_with(&format!("{bad} can be reached by other machines")), "{error}");
        }
    }

    #[tokio::test]
    async fn ends_although_a_request_never_does() {
        let listener = bind(([127, 0, 0, 1], 0).into()).await.expect("a free port");
        let at = listener.local_addr().expect("it is bound");
        let stop = CancellationToken::new();
        let (entered, mut inside) = tokio::sync::mpsc::channel(1);
        let router = Router::new().route(
            "/forever",
            routing::get(move || async move {
                entered.send(()).await.expect("the test listens");
                std::future::pending::<()>().await;
            }),
        );
        let server = tokio::spawn(serve(listener, router, stop.clone()));
        let client = tokio::spawn(async move { get(at, "/forever").await });
        inside.recv().await.expect("the request arrived");
        stop.cancel();
        server.await.expect("no panic").expect("served to the end");
        client.abort();
    }
}
