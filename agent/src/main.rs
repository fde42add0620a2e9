//! reelmill-agent: one on each node.

use std::process::ExitCode;

use clap::Parser as _;
use reelmill_agent::{cli::Cli, start};

fn main() -> ExitCode {
    let cli = Cli::parse();
    reelmill_daemon::log::init("reelmill-agent");
    match start::run(&cli) {
        Ok(code) => code,
        Err(e) => {
            reelmill_daemon::report(&*e);
            ExitCode::FAILURE
        }
    }
}
