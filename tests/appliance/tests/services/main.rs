//! The services around the hub: what the NixOS modules render, in the hands of the real programs.

mod backup;
mod boot;
mod broker;
mod database;
mod place;
mod queue;
mod registry;
mod secrets;
mod store;
mod web;
