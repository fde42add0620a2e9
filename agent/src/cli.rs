//! The command line of reelmill-agent.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::systemd::by_hand::Ask;

/// Tells how this node is, and does what the farm's operators command.
#[derive(Debug, Parser)]
#[command(name = "reelmill-agent", version, about)]
pub struct Cli {
    /// A TOML file with settings; the environment wins over it.
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Something other than the agent's work.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Something other than the agent's work.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Ask the service manager by hand.
    #[command(subcommand, hide = true)]
    Systemd(Ask),
}
