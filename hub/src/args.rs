//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Parser, Subcommand};

use reelmill_api::NodeId;

use crate::{
    config::{Config, Overrides},
    enrol::{
        broker_files::CaCommand,
        operator::{NodeCommand, TokenCommand},
    },
};
use reelmill_daemon::Env;

/// The hub of a Reelmill farm.
#[derive(Debug, Parser)]
#[command(name = "reelmill-hub", version)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the hub can be told to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the API and the page; without a configured queue and store also these, on loopback.
    Serve(Options),
    /// Say whether the configuration can be used, and exit.
    CheckConfig {
        /// Where the configuration is.
        #[command(flatten)]
        options: Options,
        /// Look at the settings alone, as where a system is built for another machine: presets need not be here.
        #[arg(long)]
        settings_only: bool,
    },
    /// Tokens that let nodes into the farm.
    Token {
        /// Which hub's.
        #[command(flatten)]
        options: Options,
        /// What to do with them.
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// The nodes of the farm, and those that ask to be let in.
    Node {
        /// Which hub's.
        #[command(flatten)]
        options: Options,
        /// What to do with them.
        #[command(subcommand)]
        command: NodeCommand,
    },
    /// What the farm's authority vouches for, in files.
    Ca {
        /// Which hub's.
        #[command(flatten)]
        options: Options,
        /// For whom.
        #[command(subcommand)]
        command: CaCommand,
    },
}

/// Where the configuration comes from.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The folder of the database and of whatever is embedded.
    #[arg(long, value_name = "DIR", global = true)]
    data: Option<PathBuf>,
    /// Where to listen; only loopback, as this build asks nobody who they are [default: 127.0.0.1:7700]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Bring a broker for nodes too and let it listen there; port 0 is the one of last time, or a free one
    #[arg(long, value_name = "ADDRESS:PORT")]
    fleet_listen: Option<SocketAddr>,
    /// Make an identity at that broker for a node of this name on this machine
    #[arg(long, value_name = "NODE", requires = "fleet_listen")]
    fleet_node: Option<NodeId>,
    /// A TOML file; the environment wins over it.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

impl Options {
    /// The configuration that they name.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn load(self) -> anyhow::Result<Config> {
        let over = Overrides {
            listen: self.listen,
            data: self.data,
            fleet_listen: self.fleet_listen,
            fleet_node: self.fleet_node,
        };
        Config::load(self.config.as_deref(), Env::from_process(), over)
    }
}
