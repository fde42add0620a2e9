//! Changes of the system with a real Nix and a real systemd: machines are booted that have a Nix store, a signed cache and a
//! stand-in for the boot loader, and change to systems whose `switch-to-configuration` does what a release may do to a node.
//! Only root can boot them; without root these tests are skipped, loudly.

mod boot;
mod cuts;
mod guard;
mod helper;
mod live;
mod node;
mod refused;
