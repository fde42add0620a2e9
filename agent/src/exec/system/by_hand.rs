//! `reelmill-agent system`: changes of the system without a command's signature, as root only; for tests, and for somebody who
//! wonders what a part does.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use clap::Subcommand;
use reelmill_api::fleet::{Command, state::Phase};
use reelmill_daemon::{Env, Shutdown};

use super::{DeadmanOrGuard, Settings, System};
use crate::{deeds::Told, exec::wire::Answer};

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Ask {
    /// Do one part of a `switch` or a `rollback`, and print what the root helper would answer, a line of JSON each.
    Part {
        /// Which: `preflight`, `fetch`, `check`, `activate`, `commit` or `undo`.
        #[arg(value_parser = phase)]
        phase: Phase,
        /// A file with the command, which nobody needs to have signed.
        command: PathBuf,
    },
    /// Do what needs no command.
    #[command(flatten)]
    LookAfter(DeadmanOrGuard),
}

fn phase(word: &str) -> Result<Phase, String> {
    serde_json::from_value(word.into()).map_err(|e| e.to_string())
}

/// Does it.
///
/// # Errors
/// What kept it from being done.
pub fn run(what: &Ask) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(ask(what))
}

async fn ask(what: &Ask) -> anyhow::Result<ExitCode> {
    let system = System {
        settings: Settings::load(Env::from_process())?,
        dead_man: Some(["system", "deadman"].map(str::to_owned).to_vec()),
    };
    let (phase, file) = match what {
        Ask::LookAfter(what) => return system.look_after(what).await.map(|()| ExitCode::SUCCESS),
        Ask::Part { phase, command } => (*phase, command),
    };
    let command: Command = serde_json::from_slice(&std::fs::read(file)?)?;
    let told: Told = Arc::new(|percent| tell(&Answer::Told(percent)));
    let shutdown = Shutdown::on_signals()?;
    match system.part(&command, phase, &told, shutdown.graceful()).await {
        Ok(result) => {
            tell(&Answer::Done(result));
            Ok(ExitCode::SUCCESS)
        }
        Err(undone) => {
            tell(&Answer::Undone(undone));
            Ok(ExitCode::FAILURE)
        }
    }
}

fn tell(answer: &Answer) {
    let line = serde_json::to_string(answer).expect("texts, numbers and lists");
    // Nobody may be there to read it.
    let _ = writeln!(io::stdout().lock(), "{line}");
}
