//! Machines with firmware, boot loader and kernel of their own, and a disk that forgets what was not synced. They take
//! minutes, so they are a step of their own: `cargo xtask test boot`.

mod cuts;
#[path = "../systemd/farm.rs"]
#[allow(dead_code, reason = "others use all of it")]
mod farm;
#[path = "../broker/hub.rs"]
#[allow(dead_code, reason = "the broker's own tests use all of it")]
mod hub;
mod machines;
mod place;
mod tpm;
mod trial;
