//! The transcode worker: leases tasks from a queue, runs media engines, publishes to a store.

pub mod attempt;
pub mod cli;
pub mod config;
pub mod cube;
pub mod desk;
pub mod engine;
pub mod events;
pub mod extras;
pub mod fmp4;
pub mod gateway;
pub mod lanes;
pub mod lease;
pub mod one;
pub mod plan;
pub mod playlist;
pub mod probe;
pub mod publish;
pub mod setup;
pub mod start;
pub mod status;
pub mod verify;
pub mod worker;
