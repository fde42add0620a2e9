//! What tests and benchmarks share: real servers on free loopback ports, stopped when dropped, and the programs as a user
//! would start them.

pub mod fault;
pub mod line;
pub mod media;
pub mod mosquitto;
pub mod nspawn;
mod presign;
pub mod programs;
pub mod qemu;
pub mod redis;
pub mod s3;
pub mod sqs;
