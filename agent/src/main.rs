//! reelmill-agent: one on each node.

use clap::Parser as _;
use reelmill_agent::cli::Cli;

fn main() {
    reelmill_daemon::log::init("reelmill-agent");
    let _ = Cli::parse();
}
