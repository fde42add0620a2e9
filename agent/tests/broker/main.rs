//! The agent at a real Mosquitto, with TLS, client certificates and the fleet's access list: what it takes, what it refuses,
//! and how it is lost and found.

mod documents;
mod helper;
mod hub;
mod lost;
mod node;
mod program;
mod refused;
mod taken;
