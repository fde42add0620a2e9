//! The command line of reelmill-agent.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::{
    exec::system,
    simulate::Simulate,
    systemd::{by_hand::Ask, unit::BatchId},
};

/// Tells how this node is, and does what the farm's operators command.
#[derive(Debug, Parser)]
#[command(
    name = "reelmill-agent",
    version,
    about,
    after_help = "Settings come from a TOML file and the environment; see docs/operate/agent.md."
)]
pub struct Cli {
    /// A TOML file with settings; the environment wins over it.
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Something other than watching the node.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Something other than watching the node.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check the settings and exit: 0 if they can be used.
    CheckConfig {
        /// Look at the settings alone, as where a system is built for another machine: no secret is read.
        #[arg(long)]
        settings_only: bool,
    },
    /// Read what NVIDIA's tegrastats printed, and print one JSON object for each line: 0 if all could be read.
    Tegrastats {
        /// The file; `-` is standard input. Empty lines and those with a `#` are passed over.
        file: PathBuf,
    },
    /// Become the worker of a batch, as the agent ordered it; only a batch's unit runs it.
    #[command(hide = true)]
    Batch {
        /// The id of the batch.
        id: BatchId,
        /// The worker with its arguments.
        #[arg(last = true, required = true)]
        worker: Vec<String>,
    },
    /// Have the worker examine its machine, and leave what it finds for the agent; only an examination's unit runs it.
    #[command(hide = true)]
    Examine {
        /// The id of the examination.
        id: BatchId,
        /// The worker with its arguments.
        #[arg(last = true, required = true)]
        worker: Vec<String>,
    },
    /// Pretend to be many nodes, for load tests against a real broker.
    Simulate(Simulate),
    /// Ask the service manager by hand.
    #[command(subcommand, hide = true)]
    Systemd(Ask),
    /// Change the node's system by hand.
    #[command(subcommand, hide = true)]
    System(system::by_hand::Ask),
}
