//! `reelmill-agent systemd`: what the agent asks of its node, asked by hand; for tests, and for somebody who wonders what
//! polkit lets the agent do. Answers are lines of JSON.

use std::{io, process::ExitCode, time::Duration};

use clap::Subcommand;
use reelmill_daemon::Shutdown;
use serde::Serialize;

use super::{
    Systemd,
    journal::{self, Priority, Query},
    transient,
    unit::{BatchId, UnitName},
};

/// Longer than any unit of ours takes to stop.
const LIMIT: Duration = Duration::from_secs(300);
/// How far back the journal is told.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What to ask.
#[derive(Debug, Subcommand)]
pub enum Ask {
    /// Tell how a unit is.
    Show {
        /// Its name.
        unit: String,
    },
    /// Restart a unit.
    Restart {
        /// Its name.
        unit: UnitName,
    },
    /// Hold off reboots and stop the worker; when told to end, start it again.
    Drain {
        /// Why, as others read it.
        why: String,
    },
    /// Run a batch to its end.
    Batch {
        /// Its id.
        id: BatchId,
    },
    /// Stop a batch.
    StopBatch {
        /// Its id.
        id: BatchId,
    },
    /// Reboot the machine.
    Reboot,
    /// Switch the machine off.
    PowerOff,
    /// Tell whether the clock is synchronised.
    Clock,
    /// Tell the last errors of our units.
    Errors {
        /// How many at most.
        #[arg(long, default_value_t = 20)]
        lines: u32,
    },
    /// Tell the last lines of a unit, whatever they say.
    Logs {
        /// Its name.
        unit: UnitName,
        /// How many at most.
        #[arg(long, default_value_t = 20)]
        lines: u32,
    },
    /// Run a command as root in a unit of its own, as root only.
    Run {
        /// The id of the unit.
        id: BatchId,
        /// The command.
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
}

/// Asks, and prints the answer.
///
/// # Errors
/// What kept it from being done.
pub fn run(what: &Ask) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { ask(what, &Shutdown::on_signals()?).await })?;
    Ok(ExitCode::SUCCESS)
}

async fn ask(what: &Ask, shutdown: &Shutdown) -> anyhow::Result<()> {
    match what {
        Ask::Show { unit } => tell(&node().state(unit).await?),
        Ask::Restart { unit } => Ok(Systemd::new(unit.clone()).restart_worker(LIMIT).await?),
        Ask::Drain { why } => {
            let systemd = Systemd::new(UnitName::worker());
            let drain = systemd.drain(why, LIMIT).await?;
            tell(&"drained")?;
            shutdown.graceful().cancelled().await;
            Ok(systemd.undrain(Some(drain), LIMIT).await?)
        }
        Ask::Batch { id } => tell(&node().run_batch(id).await?),
        Ask::StopBatch { id } => Ok(node().stop_batch(id, LIMIT).await?),
        Ask::Reboot => Ok(node().reboot().await?),
        Ask::PowerOff => Ok(node().power_off().await?),
        Ask::Clock => tell(&node().is_clock_synchronised().await?),
        Ask::Errors { lines } => tell_entries(&Query::last_errors(*lines, DAY)).await,
        Ask::Logs { unit, lines } => {
            let unit = Some(unit.clone());
            tell_entries(&Query { unit, priority: Priority::Debug, lines: *lines, within: DAY }).await
        }
        Ask::Run { id, command } => tell(&transient::run("by-hand", id, &words(command)).await?),
    }
}

async fn tell_entries(query: &Query) -> anyhow::Result<()> {
    journal::read(query).await?.iter().try_for_each(tell)
}

fn node() -> Systemd {
    Systemd::new(UnitName::worker())
}

fn words(command: &[String]) -> Vec<&str> {
    command.iter().map(String::as_str).collect()
}

fn tell<T: Serialize>(answer: &T) -> anyhow::Result<()> {
    let mut line = serde_json::to_string(answer)?;
    line.push('\n');
    Ok(io::Write::write_all(&mut io::stdout().lock(), line.as_bytes())?)
}
