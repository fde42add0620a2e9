//! Serving with bounds: the agent keeps its files and memory for its node, however many connections others open.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use reelmill_daemon::http::DRAIN;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// So many connections a listener takes at once; the next ones wait.
const MOST: usize = 64;
/// So long a connection may take for a request's head, the first and each further one.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest head of a request that is read.
const LONGEST_HEAD: usize = 16 * 1024;
/// How long to wait when no connection can be taken because files have run out.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop`; open answers then have a moment to end.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(MOST));
    let graceful = GracefulShutdown::new();
    loop {
        let (place, stream) = tokio::select! {
            () = stop.cancelled() => break,
            next = accept(&listener, &places) => next,
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE)
            .max_buf_size(LONGEST_HEAD)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone()));
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(e) = connection.await {
                log::debug!("a connection to the page ended: {e}");
            }
            drop(place);
        });
    }
    // Who is late is left behind: the program ends now.
    let _ = timeout(DRAIN, graceful.shutdown()).await;
}

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> (OwnedSemaphorePermit, TcpStream) {
    let place = places.clone().acquire_owned().await.expect("nobody closes it");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (place, stream),
            Err(e) => {
                log::debug!("cannot take a connection to the page: {e}");
                sleep(PAUSE).await;
            }
        }
    }
}
