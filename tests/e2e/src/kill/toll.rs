//! What was struck and what came of it, as one row of a table.

use std::{fmt, time::Duration};

use reelmill_lab::queues::Kind;

use super::{ledger::Sums, strike::Target};

/// The outcome of one battle.
#[derive(Debug)]
pub struct Toll {
    /// The driver.
    pub queue: Kind,
    /// Rounds: one strike each.
    pub rounds: usize,
    /// Where the strikes were drawn from.
    pub seed: u64,
    /// How long it all took.
    pub took: Duration,
    /// What must not be; empty if every job ended exactly once.
    pub complaints: Vec<String>,
    pub(super) struck: Struck,
    pub(super) sums: Sums,
    pub(super) lost_leases: usize,
}

/// How often each was struck.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Struck {
    workers: usize,
    servers: usize,
    connections: usize,
}

impl Struck {
    pub(super) fn count(&mut self, target: Target) {
        match target {
            Target::Worker => self.workers += 1,
            Target::Server => self.servers += 1,
            Target::QueueLine | Target::StoreLine | Target::OfficeLine => self.connections += 1,
        }
    }
}

impl Toll {
    /// The table's head.
    pub const HEAD: &str = "queue    rounds  killed: workers servers connections  jobs attempts retries  \
        duplicates avoided: found published, lease lost, doubled  done dead  left behind  seconds  seed";
}

impl fmt::Display for Toll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (struck, sums) = (self.struck, self.sums);
        let retries = sums.attempts.saturating_sub(sums.jobs);
        write!(f, "{:8} {:6}", self.queue, self.rounds)?;
        write!(f, " {:16} {:7} {:11}", struck.workers, struck.servers, struck.connections)?;
        write!(f, " {:5} {:8} {retries:7}", sums.jobs, sums.attempts)?;
        write!(f, " {:36} {:11} {:8}", sums.found, self.lost_leases, sums.doubled)?;
        write!(f, " {:5} {:4} {:12} {:8.0}  {}", sums.done, sums.dead, sums.left, self.took.as_secs_f64(), self.seed)
    }
}
