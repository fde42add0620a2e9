//! Single files: archive masters, clips for feeds, proxies. Each is judged by what ffprobe and a decoder find in it, and
//! each is published once and whole, whatever becomes of the worker.

mod colours;
mod decoding;
mod faults;
mod masters;
mod proxy;
mod social;
mod spool;
mod stage;
mod takeover;
