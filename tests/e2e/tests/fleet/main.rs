//! An operator's commands at a real broker: `reelmill send` as a person or a script meets it, with a real agent or with many
//! simulated nodes on the other side.

mod ask;
mod documents;
mod fleet;
mod leave;
mod many;
mod refused;
