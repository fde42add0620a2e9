//! The embedded store: an S3 server on loopback over a folder, for one machine.

use std::{path::Path, time::Duration};

use anyhow::Context;
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::{
    auth::SimpleAuth,
    service::{S3Service, S3ServiceBuilder},
};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long a client may take to send its request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long requests in work may go on after the stop.
const DRAIN: Duration = Duration::from_secs(5);

/// The server, ready to be run.
pub struct EmbeddedStore {
    service: S3Service,
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
        Ok(Self { service: builder.build(), listener })
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

async fn serve(service: S3Service, socket: TcpStream, stop: CancellationToken) {
    // Small answers must not wait for an acknowledgement.
    let _ = socket.set_nodelay(true);
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(socket), service);
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
