//! A small MQTT v5 broker for the fleet's topics, for a farm on one machine: TLS with client certificates, retained messages
//! that outlast a restart, sessions, last wills. Who may say and hear what follows from the certificate.
//!
//! It knows nothing but the topics of `reelmill_api`. What it leaves out is refused, not ignored: QoS 2, topic aliases and
//! shared subscriptions.

mod access;
mod connection;
mod exchange;
mod message;
mod retained;
mod session;
#[cfg(test)]
mod tests;
mod tls;
mod wire;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use self::exchange::Exchange;
pub use self::retained::{Changes, Kept};
use crate::db::Db;

/// Connections at once, far more than one machine's farm has.
const CONNECTIONS: usize = 512;
/// How long a client may take to show its certificate and to say who it is.
const HELLO: Duration = Duration::from_secs(10);
/// How often wills and expiries are looked at, and what is retained is stored: a power cut loses so much of it.
const TICK: Duration = Duration::from_millis(500);

/// Files that the broker reads anew for each connection, PEM all.
#[derive(Clone, Debug)]
pub struct Files {
    /// The authority of all clients.
    pub ca: PathBuf,
    /// What it has revoked, if the file is there.
    pub crl: PathBuf,
    /// The broker's certificate.
    pub cert: PathBuf,
    /// The certificate's key.
    pub key: PathBuf,
    /// Certificates of those who may say and hear everything; whoever shows another one is a node.
    pub operators: Vec<PathBuf>,
}

/// A broker that is about to run.
#[derive(Debug)]
pub struct Broker {
    listener: TcpListener,
    files: Files,
    exchange: Mutex<Exchange>,
    db: Db,
}

impl Broker {
    /// A broker on that listener, which remembers what is retained in the database.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn open(listener: TcpListener, files: Files, db: Db) -> anyhow::Result<Self> {
        let exchange = Mutex::new(Exchange::new(db.retained().await?, Timestamp::now()));
        Ok(Self { listener, files, exchange, db })
    }

    /// Serves until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let broker = Arc::new(self);
        let (mut connections, places) = (JoinSet::new(), Arc::new(Semaphore::new(CONNECTIONS)));
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                accepted = broker.listener.accept() => match accepted {
                    Ok((stream, _)) => if let Ok(place) = places.clone().try_acquire_owned() {
                        let broker = broker.clone();
                        connections.spawn(async move {
                            broker.serve(stream).await;
                            drop(place);
                        });
                    },
                    // Out of descriptors, most likely; some may come free.
                    Err(e) => {
                        log::warn!("the broker cannot take a connection: {e}");
                        tokio::time::sleep(TICK).await;
                    }
                },
                // A fault in one connection ends that one.
                Some(_) = connections.join_next() => {}
                _ = tick.tick() => broker.tick().await,
            }
        }
        broker.exchange().close();
        let _ = timeout(HELLO, async { while connections.join_next().await.is_some() {} }).await;
        broker.store().await;
    }

    async fn serve(&self, stream: TcpStream) {
        let hello = async {
            let (stream, who) = tls::accept(stream, &self.files).await?;
            wire::Wire::hello(stream).await.map(|(wire, hello)| (wire, hello, who))
        };
        match timeout(HELLO, hello).await {
            Ok(Ok((wire, hello, who))) => connection::serve(wire, hello, who, &self.exchange).await,
            Ok(Err(e)) => log::info!("the broker refused a connection: {e:#}"),
            Err(_) => log::info!("the broker gave up on a client that did not say who it is"),
        }
    }

    async fn tick(&self) {
        self.exchange().tick(Timestamp::now());
        self.store().await;
    }

    async fn store(&self) {
        let changes = self.exchange().take_changes();
        if changes.is_empty() {
            return;
        }
        if let Err(e) = self.db.store_retained(&changes).await {
            log::warn!("cannot store what the broker retains: {e}; it is tried again");
            self.exchange().put_back(changes);
        }
    }

    fn exchange(&self) -> MutexGuard<'_, Exchange> {
        lock(&self.exchange)
    }
}

/// A fault in one connection must not stop all others: what the exchange holds is whole between any two calls.
fn lock(exchange: &Mutex<Exchange>) -> MutexGuard<'_, Exchange> {
    exchange.lock().unwrap_or_else(PoisonError::into_inner)
}
