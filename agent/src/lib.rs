//! The node agent: one on each node. It tells what it knows of its node, and does what signed commands say.

pub mod broker;
pub mod cli;
pub mod core;
pub mod deeds;
pub mod ledger;
