//! One look at the node: what its sensors and its worker tell, as one snapshot.

use reelmill_api::snapshot::{Absent, Node, Snapshot};

use crate::{config::Config, worker_status};

/// What is looked with: it remembers what a rate needs.
pub struct Eyes<'a> {
    config: &'a Config,
}

impl<'a> Eyes<'a> {
    /// Eyes that have seen nothing yet.
    pub fn new(config: &'a Config) -> Self {
        Self { config }
    }

    /// The node now.
    pub async fn look(&mut self) -> Snapshot {
        let mut snapshot = Snapshot {
            node: Node {
                id: self.config.node.as_str().to_owned(),
                reelmill: env!("CARGO_PKG_VERSION").to_owned(),
                ..Node::default()
            },
            ..Snapshot::default()
        };
        match worker_status::read(&self.config.worker.status).await {
            Ok(status) => snapshot.worker = Some(status),
            Err(silence) => snapshot.absent.push(Absent { source: "worker".to_owned(), why: silence.to_string() }),
        }
        snapshot
    }
}
