//! reelmill-worker: leases tasks, encodes, publishes.

use std::process::ExitCode;

use clap::Parser;
use reelmill_worker::{
    cli::{Cli, Command},
    engine::confine,
    start,
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(Command::Confine(to)) = &cli.command {
        eprintln!("error: {:#}", confine::exec(to));
        return ExitCode::from(126);
    }
    reelmill_daemon::log::init("reelmill-worker");
    match start::run(&cli) {
        Ok(code) => code,
        Err(e) => {
            reelmill_daemon::report(&*e);
            ExitCode::FAILURE
        }
    }
}
