//! The node agent: one on each node. It tells what it knows of its node, and does what signed commands say.

pub mod broker;
pub mod cli;
pub mod config;
pub mod core;
pub mod deeds;
pub mod desk;
pub mod door;
pub mod enrol;
pub mod exec;
pub mod farm;
pub mod first_boot;
pub mod ledger;
pub mod look;
mod loopback;
pub mod metrics;
pub mod page;
pub mod sensors;
pub mod simulate;
pub mod standing;
pub mod start;
pub mod systemd;
pub mod worker_status;
