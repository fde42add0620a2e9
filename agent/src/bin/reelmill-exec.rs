//! reelmill-exec: the root helper of the node agent.

use std::process::ExitCode;

use clap::Parser as _;
use reelmill_agent::exec::start::{self, Cli};

fn main() -> ExitCode {
    let cli = Cli::parse();
    reelmill_daemon::log::init("reelmill-exec");
    match start::run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            reelmill_daemon::report(&*e);
            ExitCode::FAILURE
        }
    }
}
