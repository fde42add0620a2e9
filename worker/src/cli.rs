//! The command line of reelmill-worker.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::engine::confine::Confine;

/// Leases transcoding tasks from a queue, encodes them, and publishes the output.
#[derive(Debug, Parser)]
#[command(
    name = "reelmill-worker",
    version,
    about,
    after_help = "Settings come from a TOML file and the environment; see docs/operate/worker.md."
)]
pub struct Cli {
    /// A TOML file with settings; the environment wins over it.
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Work until the lanes are empty, then exit 0.
    #[arg(long)]
    pub drain: bool,
    /// Something other than working.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Something other than working.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check the settings and exit: 0 if they can be used.
    CheckConfig {
        /// Also try the queue and the store.
        #[arg(long)]
        connect: bool,
        /// Look at the settings alone, as where a system is built for another machine: no secret is read, and no program
        /// or folder looked for.
        #[arg(long, conflicts_with = "connect")]
        settings_only: bool,
    },
    /// Tell what this machine can do, and what is missing with the command that would fix it: 0 if it can work.
    Doctor {
        /// Print one JSON object instead of text.
        #[arg(long)]
        json: bool,
        /// Look only at what encodes, and not at queue, store and spool.
        #[arg(long)]
        encoders: bool,
    },
    /// Do one job, read as a line of JSON from standard input; events go to standard output.
    One,
    /// Confine this process and become another program.
    #[command(name = "confine", hide = true)]
    Confine(Confine),
}
