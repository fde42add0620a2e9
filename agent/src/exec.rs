//! The root helper: the few things that an ordinary user cannot do, for commands that it judges itself. A program of its own,
//! which the service manager starts when the agent asks, and which ends when nobody does.

pub mod child;
pub mod client;
pub mod files;
pub mod firmware;
pub mod helper;
pub mod judge;
pub mod keys;
pub mod power;
pub mod progress;
pub mod record;
pub mod reset;
pub mod serve;
pub mod set_conf;
pub mod settings;
pub mod start;
pub mod system;
pub mod wire;
pub mod worker_env;
