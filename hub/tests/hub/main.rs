//! A real hub with its embedded store and queue on free ports; the tests play the client and the worker.

mod fleet;
mod jobs;
mod media;
mod process;
mod requests;
mod support;
