//! The embedded store: an S3 server on loopback over a folder, for one machine.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::{
    auth::SimpleAuth,
    service::{S3Service, S3ServiceBuilder},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Mutex,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long a client may take to send its request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long requests in work may go on after the stop.
const DRAIN: Duration = Duration::from_secs(5);

/// The server, ready to be run.
pub struct EmbeddedStore {
    service: Store,
    listener: TcpListener,
}

impl EmbeddedStore {
    /// A store over `folder` with these buckets, which answers only to this pair of keys.
    ///
    /// # Errors
    /// If the folder cannot be used.
    pub fn new(folder: &Path, buckets: &[&str], keys: (&str, &str), listener: TcpListener) -> anyhow::Result<Self> {
        for bucket in buckets {
            let path = folder.join(bucket);
            std::fs::create_dir_all(&path).with_context(|| format!("cannot make the bucket {}", path.display()))?;
        }
        let files = s3s_fs::FileSystem::new(folder)
            .map_err(|e| anyhow::anyhow!("cannot open the store's folder {}: {e:?}", folder.display()))?;
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(keys.0, keys.1));
        Ok(Self { service: Store { files: builder.build(), conditional: Arc::default() }, listener })
    }

    /// Serves until told to stop, then lets requests in work end.
    pub async fn run(self, stop: CancellationToken) {
        let open = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((socket, _)) => {
                    open.spawn(serve(self.service.clone(), socket, stop.clone()));
                }
                Err(e) => {
                    log::warn!("the embedded store cannot take a connection: {e}");
                    // Most likely no file descriptor is left; give others time to close.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        open.close();
        if tokio::time::timeout(DRAIN, open.wait()).await.is_err() {
            log::warn!("the embedded store left requests unanswered");
        }
    }
}

/// The store with its conditions made atomic: s3s-fs looks whether an object is there and then writes it, and two puts
/// that both ask for "only if absent" could both find it absent. The promise that one attempt publishes rests on this.
#[derive(Clone)]
struct Store {
    files: S3Service,
    conditional: Arc<Mutex<()>>,
}

impl Store {
    async fn answer(&self, request: http::Request<Incoming>) -> Result<http::Response<s3s::Body>, s3s::HttpError> {
        let asks =
            [http::header::IF_NONE_MATCH, http::header::IF_MATCH].iter().any(|h| request.headers().contains_key(h));
        // Reads may carry conditions too, and need no turn.
        let _turn =
            if asks && request.method() == http::Method::PUT { Some(self.conditional.lock().await) } else { None };
        self.files.call(request.map(s3s::Body::from)).await
    }
}

async fn serve(service: Store, socket: TcpStream, stop: CancellationToken) {
    // Small answers must not wait for an acknowledgement.
    let _ = socket.set_nodelay(true);
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(socket), service_fn(|request| service.answer(request)));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(e) = ended {
        log::debug!("a connection to the embedded store ended: {e}");
    }
}

#[cfg(test)]
mod tests {
    use reelmill_api::Location;
    use reelmill_storage::{Condition, FileRoots, S3Config, Storage};

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn of_many_puts_that_want_to_be_first_one_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("it is bound"));
        let store = EmbeddedStore::new(folder.path(), &["media"], ("key", "secret"), listener).expect("a store");
        let stop = CancellationToken::new();
        let running = tokio::spawn(store.run(stop.clone()));
        let config = S3Config::new(Some(address.parse().expect("an address")), "us-east-1", "key", "secret");
        let storage = Storage::new(Some(config), FileRoots::none()).expect("a good configuration");
        // Large bodies, because the store looks before it has taken them.
        for round in 0..10 {
            let at: Location = format!("s3://media/{round}/master.m3u8").parse().expect("a location");
            let mut puts = tokio::task::JoinSet::new();
            for n in 0..8_u8 {
                let (storage, at) = (storage.clone(), at.clone());
                let body = vec![n; 1 << 20];
                puts.spawn(async move { storage.put(&at, body.into(), "text/plain", Condition::Absent).await.is_ok() });
            }
            let won = puts.join_all().await.into_iter().filter(|&won| won).count();
            assert_eq!(won, 1, "round {round}");
        }
        stop.cancel();
        running.await.expect("it ends");
    }
}
