//! A real hub with its embedded store and queue on free ports; the tests play the client and the worker.

mod fleet;
mod jobs;
mod media;
mod pictures;
mod process;
mod queues;
mod requests;
mod support;
