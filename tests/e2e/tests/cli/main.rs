//! The command line as a person meets it at a terminal or in a script: what it prints, how it ends, and what it leaves
//! behind, above all when it is cut short.

mod demo;
mod desk;
mod doctor;
mod kin;
mod queues;
mod terminal;
mod transcode;
mod up;
