//! `cargo xtask demo`: the farm on this machine, with a sample job.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::{checkout::Checkout, program};

/// Builds the farm and becomes `reelmill demo`. The dev profile will do: ffmpeg does the work.
pub(crate) fn run(checkout: &Checkout, args: &[String]) -> Result<ExitCode> {
    program::run(&mut checkout.build_farm(&[]))?;
    program::become_it(Command::new(checkout.built("reelmill")).arg("demo").args(args))
}
