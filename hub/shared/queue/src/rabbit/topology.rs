//! What is declared on the server, each thing when it is first used, and what is known of it since.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use lapin::{
    ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::FieldTable,
};

use super::{
    link::{Line, Trouble, answer},
    names,
};

/// What a queue turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// As declared here.
    Ours,
    /// Somebody else declared it before, with other arguments. It is used as it is, but not trusted to count deliveries.
    Foreign,
}

/// What was declared so far.
#[derive(Debug, Default)]
pub(super) struct Topology(Mutex<HashMap<String, Found>>);

impl Topology {
    /// Sees to it that a queue is there.
    pub(super) async fn queue(&self, line: &Line, name: &str, arguments: FieldTable) -> Result<Found, Trouble> {
        if let Some(found) = self.known(name) {
            return Ok(found);
        }
        let found = match declare(line, name, QueueDeclareOptions::durable(), arguments).await {
            Ok(_) => Found::Ours,
            Err(trouble) if trouble.is_mismatch() => {
                declare(line, name, QueueDeclareOptions::durable().passive(), FieldTable::default()).await?;
                log::warn!(
                    "queue {name} was declared by another program with other arguments; it is used as it is, which may \
                     lose messages if the server fails (a quorum queue would not)"
                );
                Found::Foreign
            }
            Err(trouble) => return Err(trouble),
        };
        self.lock().insert(name.to_owned(), found);
        Ok(found)
    }

    /// Sees to it that there is a queue from which messages go on after some time to where their routing key says, and
    /// the exchange that leads into it. Whether it was not known before.
    pub(super) async fn passing(&self, line: &Line, name: &str, arguments: FieldTable) -> Result<bool, Trouble> {
        if self.known(name).is_some() {
            return Ok(false);
        }
        let expires = arguments.contains_key("x-expires");
        let desk = line.desk().await?;
        // Of the same kind as the queue: what comes and goes with a process leaves nothing behind.
        let options =
            ExchangeDeclareOptions { durable: true, auto_delete: expires, ..ExchangeDeclareOptions::default() };
        let (kind, none) = (ExchangeKind::Fanout, FieldTable::default);
        answer("an exchange", desk.exchange_declare(name.into(), kind, options, none())).await?;
        let options = QueueDeclareOptions::durable();
        answer("a queue", desk.queue_declare(name.into(), options, arguments)).await?;
        answer("a binding", desk.queue_bind(name.into(), name.into(), "".into(), QueueBindOptions::default(), none()))
            .await?;
        desk.put_back();
        self.lock().insert(name.to_owned(), Found::Ours);
        Ok(true)
    }

    /// Sees to it that the queue for this delay is there. Whether it was not known before.
    pub(super) async fn later(&self, line: &Line, name: &str, seconds: u32) -> Result<bool, Trouble> {
        self.passing(line, name, names::passing(Duration::from_secs(u64::from(seconds)))).await
    }

    /// Forgets everything, after something turned out to be gone.
    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    fn known(&self, name: &str) -> Option<Found> {
        self.lock().get(name).copied()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Found>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn declare(line: &Line, name: &str, options: QueueDeclareOptions, arguments: FieldTable) -> Result<(), Trouble> {
    // An answer that it exists otherwise closes the channel.
    let desk = line.desk().await?;
    answer("a queue", desk.queue_declare(name.into(), options, arguments)).await?;
    desk.put_back();
    Ok(())
}
