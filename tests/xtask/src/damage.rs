//! `cargo xtask damage`: damaged sources through one worker, as many as wanted.

use std::process::ExitCode;

use anyhow::Result;

use crate::{checkout::Checkout, program};

/// Builds the worker and the program that gives it the sources, and becomes the latter.
pub(crate) fn run(checkout: &Checkout, args: &[String]) -> Result<ExitCode> {
    program::run(&mut checkout.cargo(&["build", "--locked", "--package", "reelmill-worker", "--bins"]))?;
    let mut damage = checkout.cargo(&["run", "--locked", "--package", "reelmill-e2e", "--bin", "damage"]);
    program::become_it(damage.arg("--").args(args))
}
