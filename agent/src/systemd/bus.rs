//! The connection to the system's message bus that questions share, made anew when it broke.

use std::time::Duration;

use tokio::sync::Mutex;
use zbus::{Connection, connection::Builder};

use super::error::{Action, Error};

/// How long somebody may take for an answer. A job's end is no answer, and is waited for as long as its caller says.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection, once somebody asked.
#[derive(Debug, Default)]
pub(super) struct Bus(Mutex<Option<Connection>>);

impl Bus {
    /// Asks over the shared connection. Where it is broken, the next question makes a new one.
    pub(super) async fn ask<T, F>(&self, question: impl FnOnce(Connection) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut shared = self.0.lock().await;
        let bus = match &*shared {
            Some(bus) => bus.clone(),
            None => shared.insert(connect().await?).clone(),
        };
        drop(shared);
        let answer = question(bus).await;
        if matches!(&answer, Err(e) if e.is_broken_connection()) {
            *self.0.lock().await = None;
        }
        answer
    }
}

/// A connection of one's own. What systemd ties to it (signals, units kept in memory) ends with it.
pub(super) async fn connect() -> Result<Connection, Error> {
    let bus = async { Builder::system()?.method_timeout(PATIENCE).build().await };
    // A bus that has not come up yet takes connections, and is silent.
    match tokio::time::timeout(PATIENCE, bus).await {
        Ok(bus) => bus.map_err(|e| Error::of_bus(Action::Connect, e)),
        Err(_) => Err(Error::TimedOut { action: Action::Connect, limit: PATIENCE }),
    }
}
