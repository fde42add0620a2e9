//! What the agent perceives, tried on what real boards said.

mod board;
mod merge;
mod metrics;
mod source;
mod support;
mod sysfs;
mod tegrastats;
mod whole;
