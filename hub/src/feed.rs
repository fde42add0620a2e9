//! Tells whoever watches that something changed, such as a job. Only which one: a watcher reads the job itself, so that it
//! never sees an older state after a newer one.

use reelmill_api::JobId;
use tokio::sync::broadcast::{self, error::RecvError};

/// How many changes a slow watcher may be behind.
const BACKLOG: usize = 512;

/// The changes of all jobs, or of what else `T` names, for as many watchers as there are.
#[derive(Clone, Debug)]
pub struct Feed<T = JobId>(broadcast::Sender<T>);

/// One watcher.
#[derive(Debug)]
pub struct Watch<T = JobId>(broadcast::Receiver<T>);

/// What a watcher hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard<T = JobId> {
    /// This one changed.
    Changed(T),
    /// More changed than the watcher could follow: any may have.
    Missed,
    /// Nothing more will come.
    Ended,
}

impl<T: Clone> Feed<T> {
    /// A feed that nobody watches yet.
    pub fn new() -> Self {
        Self(broadcast::Sender::new(BACKLOG))
    }

    /// Tells all watchers.
    pub fn tell(&self, changed: T) {
        // An error only says that nobody watches.
        let _ = self.0.send(changed);
    }

    /// Watches from now on.
    pub fn watch(&self) -> Watch<T> {
        Watch(self.0.subscribe())
    }
}

impl<T: Clone> Default for Feed<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Clone> Watch<T> {
    /// Waits for the next change.
    pub async fn next(&mut self) -> Heard<T> {
        match self.0.recv().await {
            Ok(changed) => Heard::Changed(changed),
            Err(RecvError::Lagged(_)) => Heard::Missed,
            Err(RecvError::Closed) => Heard::Ended,
        }
    }
}
