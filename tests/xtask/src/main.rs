//! `cargo xtask COMMAND`: builds, runs and checks this repository, and installs what that needs on a fresh machine.

mod aarch64;
mod args;
mod bench;
mod browser;
mod checkout;
mod damage;
mod demo;
mod ffmpeg8;
mod fuzz;
mod gstreamer;
mod kill;
mod lint;
mod moto;
mod nix;
mod nixfiles;
mod npm;
mod packages;
mod processes;
mod program;
mod python;
mod steps;
mod suite;

use std::{env, process::ExitCode};

use args::Command;
use checkout::Checkout;

fn main() -> ExitCode {
    match args::parse(env::args().skip(1)).map_err(anyhow::Error::from).and_then(run) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    if command == Command::Help {
        print!("{}", args::USAGE);
        return Ok(ExitCode::SUCCESS);
    }
    program::reach_system_programs()?;
    let checkout = Checkout::find()?;
    nix::reenter(&checkout)?;
    packages::install(packages::needed_by(&command))?;
    // Formatting compiles nothing of the farm.
    if command != Command::Format {
        npm::install(&checkout.ui())?;
    }
    match command {
        Command::Help | Command::Ui => Ok(ExitCode::SUCCESS),
        Command::Demo { args } => demo::run(&checkout, &args),
        Command::Test(selection) => suite::run(&checkout, &selection),
        Command::Lint => suite::run(&checkout, &suite::Selection::Lint),
        Command::Bench { args } => bench::run(&checkout, &args),
        Command::Damage { args } => damage::run(&checkout, &args),
        Command::Kill { args } => kill::run(&checkout, &args),
        Command::Format => {
            program::run(&mut checkout.cargo(&["fmt", "--all"]))?;
            nixfiles::format(&checkout, false).map(|()| ExitCode::SUCCESS)
        }
        Command::Fuzz { target, seconds } => fuzz::run(&checkout, target.as_deref(), seconds),
    }
}
