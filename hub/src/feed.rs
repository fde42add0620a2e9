//! Tells whoever watches that a job changed. Only which one: a watcher reads the job itself, so that it never sees an
//! older state after a newer one.

use reelmill_api::JobId;
use tokio::sync::broadcast::{self, error::RecvError};

/// How many changes a slow watcher may be behind.
const BACKLOG: usize = 512;

/// The changes of all jobs, for as many watchers as there are.
#[derive(Clone, Debug)]
pub struct Feed(broadcast::Sender<JobId>);

/// One watcher.
#[derive(Debug)]
pub struct Watch(broadcast::Receiver<JobId>);

/// What a watcher hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// This job changed.
    Changed(JobId),
    /// More changed than the watcher could follow: any job may have.
    Missed,
    /// Nothing more will come.
    Ended,
}

impl Feed {
    /// A feed that nobody watches yet.
    pub fn new() -> Self {
        Self(broadcast::Sender::new(BACKLOG))
    }

    /// Tells all watchers.
    pub fn tell(&self, job: JobId) {
        // An error only says that nobody watches.
        let _ = self.0.send(job);
    }

    /// Watches from now on.
    pub fn watch(&self) -> Watch {
        Watch(self.0.subscribe())
    }
}

impl Default for Feed {
    fn default() -> Self {
        Self::new()
    }
}

impl Watch {
    /// Waits for the next change.
    pub async fn next(&mut self) -> Heard {
        match self.0.recv().await {
            Ok(job) => Heard::Changed(job),
            Err(RecvError::Lagged(_)) => Heard::Missed,
            Err(RecvError::Closed) => Heard::Ended,
        }
    }
}
