//! `reelmill doctor`: the worker's own examination of this machine, in a process of its own.

use std::{path::PathBuf, process::Stdio};

use crate::{exit::FAILED, programs::Program};

/// Tell what this machine can do, and what is missing with the command that would fix it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 it can work, 1 it cannot yet.")]
pub(crate) struct Args {
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
    /// The worker's configuration, TOML
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs the command and returns its exit code.
///
/// # Errors
/// If the worker is not there.
pub(crate) async fn run(args: Args) -> anyhow::Result<u8> {
    let mut command = Program::find("reelmill-worker")?.command();
    command.stdin(Stdio::null()).stdout(Stdio::inherit()).stderr(Stdio::inherit()).arg("doctor");
    if args.json {
        command.arg("--json");
    }
    if let Some(config) = args.config {
        command.arg("--config").arg(config);
    }
    let status = command.status().await?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(FAILED))
}
