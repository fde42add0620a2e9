//! The root helper: the few things that an ordinary user cannot do, for commands that it judges itself.

pub mod client;
pub mod system;
pub mod wire;
