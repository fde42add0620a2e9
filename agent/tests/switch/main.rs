//! Changes of the system with a real Nix and a real systemd: machines are booted that have a Nix store, a signed cache and a
//! stand-in for the boot loader, and change to systems whose `switch-to-configuration` does what a release may do to a node.
//! Only root can boot them; without root these tests are skipped, loudly.

mod boot;
mod cuts;
#[path = "../systemd/farm.rs"]
#[allow(dead_code, reason = "others use all of it")]
mod farm;
mod guard;
mod helper;
#[path = "../broker/hub.rs"]
#[allow(dead_code, reason = "the broker's own tests use all of it")]
mod hub;
mod live;
mod node;
mod refused;
mod tidy;
mod whole;
