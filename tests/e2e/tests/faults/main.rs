//! Success is what the gateway recorded, never a child's exit code: whatever the store or the media program does, the
//! output is published whole, or not at all and with a reason.

mod answers;
mod engine;
mod leases;
mod parts;
mod reads;
mod scene;
mod stage;
mod whole;
mod writes;
