//! `cargo xtask bench`: the benchmarks, on programs built for speed.

use std::process::ExitCode;

use anyhow::Result;

use crate::{checkout::Checkout, program};

/// Builds the farm in release mode and becomes the bench program.
pub(crate) fn run(checkout: &Checkout, args: &[String]) -> Result<ExitCode> {
    program::run(&mut checkout.build_farm(&["--release"]))?;
    let mut bench = checkout.cargo(&["run", "--locked", "--release", "--package", "reelmill-e2e", "--bin", "bench"]);
    program::become_it(bench.arg("--").args(args))
}
