//! The kill test: real jobs by real workers, while workers, the queue's server and connections are killed at random points;
//! and the ledger that tells whether every job ended exactly once.

mod battle;
mod crew;
mod field;
mod ledger;
mod strike;
mod toll;
mod whole;

pub use battle::Battle;
pub use toll::Toll;
