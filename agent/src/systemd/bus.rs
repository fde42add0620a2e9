//! The connection to the system's message bus that questions share, made anew when it broke.

use tokio::sync::Mutex;
use zbus::Connection;

use super::error::{Action, Error};

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
    Connection::system().await.map_err(|e| Error::of_bus(Action::Connect, e))
}
