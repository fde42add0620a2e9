//! reelmill-agent: one on each node.

use std::process::ExitCode;

use clap::Parser as _;
use reelmill_agent::{
    cli::{Cli, Command},
    sensors::tegrastats::listing,
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    reelmill_daemon::log::init("reelmill-agent");
    let done = match &cli.command {
        Some(Command::Tegrastats { file }) => listing::print_file(file),
        None => Ok(ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|e| {
        reelmill_daemon::report(&*e);
        ExitCode::FAILURE
    })
}
