//! The agent under a real systemd: machines are booted with its units and polkit rules as a node has them, and a unit that
//! stands for the worker. Only root can boot them; without root these tests are skipped, loudly.

mod agent;
mod batch;
mod control;
mod drain;
mod exec;
#[allow(dead_code, reason = "the tests of changes of the system use all of it")]
mod farm;
mod hardening;
#[path = "../broker/hub.rs"]
#[allow(dead_code, reason = "the broker's own tests use all of it")]
mod hub;
mod journal;
mod machines;
mod node;
mod small;
mod transient;
mod whole;
mod work;
