//! The storage drivers against a real S3 server and a real file system, in order and out of order.

mod bounds;
mod faults;
mod folders;
mod pinning;
mod round_trips;
mod sentences;
mod support;
