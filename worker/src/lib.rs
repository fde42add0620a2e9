//! The transcode worker: leases tasks from a queue, runs media engines, publishes to a store.

pub mod admission;
pub mod attempt;
pub mod cli;
pub mod config;
pub mod cube;
pub mod desk;
pub mod doctor;
pub mod drain;
pub mod engine;
pub mod events;
pub mod extras;
pub mod fmp4;
pub mod gateway;
pub mod lanes;
pub mod language;
pub mod lease;
pub mod live;
pub mod manifest;
pub mod movie;
pub mod notices;
pub mod one;
pub mod plan;
pub mod playlist;
pub mod probe;
pub mod publish;
pub mod pulse;
pub mod quiet;
pub mod setup;
#[cfg(test)]
mod snapshot;
pub mod spool;
pub mod start;
pub mod status;
pub mod storyboard;
pub mod text;
pub mod verify;
pub mod worker;
