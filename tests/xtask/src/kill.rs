//! `cargo xtask kill`: random kills of workers, queue servers and connections, as many rounds as wanted.

use std::process::ExitCode;

use anyhow::Result;

use crate::{checkout::Checkout, program};

/// Builds the worker and the program that kills it, and becomes the latter.
pub(crate) fn run(checkout: &Checkout, args: &[String]) -> Result<ExitCode> {
    program::run(&mut checkout.cargo(&["build", "--locked", "--package", "reelmill-worker", "--bins"]))?;
    let mut kill = checkout.cargo(&["run", "--locked", "--package", "reelmill-e2e", "--bin", "kill"]);
    program::become_it(kill.arg("--").args(args))
}
