//! `cargo xtask bench`: the benchmarks, on programs built for speed.

use std::process::ExitCode;

use anyhow::Result;

use crate::{checkout::Checkout, program, python};

/// Benchmarks that measure the agent alone, from outside.
const OF_THE_AGENT: [&str; 2] = ["agent", "nodes"];
/// The one that measures the queues' drivers alone, within itself.
const QUEUES: &str = "queues";
/// Where that one finds what it is measured beside.
const PYTHON: &str = "REELMILL_BENCH_PYTHON";

/// Builds in release mode what is measured, and becomes the bench program.
pub(crate) fn run(checkout: &Checkout, args: &[String]) -> Result<ExitCode> {
    let mut bench = checkout.cargo(&["run", "--locked", "--package", "reelmill-e2e", "--bin", "bench"]);
    if !is_of_the_agent(args) {
        bench.arg("--release").env(PYTHON, python::install(checkout, QUEUES)?);
    }
    if is_of_the_queues(args) {
        return program::become_it(bench.arg("--").args(args));
    }
    program::run(&mut checkout.cargo(&["build", "--locked", "--release", "--package", "reelmill-agent"]))?;
    if is_of_the_agent(args) {
        // Neither the clock nor the operator's client is what is measured.
        program::run(&mut checkout.cargo(&["build", "--locked", "--package", "reelmill"]))?;
    } else {
        program::run(&mut checkout.build_farm(&["--release"]))?;
    }
    program::become_it(bench.arg("--").args(args))
}

/// Whether nothing but the agent is measured.
pub(crate) fn is_of_the_agent(args: &[String]) -> bool {
    matches!(args, [one] if OF_THE_AGENT.contains(&one.as_str()))
}

/// Whether nothing but the queues is measured.
pub(crate) fn is_of_the_queues(args: &[String]) -> bool {
    matches!(args, [one] if one == QUEUES)
}
