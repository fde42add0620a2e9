//! reelmill-agent: one on each node.

use std::process::ExitCode;

use clap::Parser as _;
use reelmill_agent::{
    cli::{Cli, Command},
    systemd::by_hand,
};
use reelmill_daemon::{Shutdown, notify};

fn main() -> ExitCode {
    let cli = Cli::parse();
    reelmill_daemon::log::init("reelmill-agent");
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            reelmill_daemon::report(&*e);
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let shutdown = Shutdown::on_signals()?;
        match &cli.command {
            Some(Command::Systemd(what)) => by_hand::ask(what, &shutdown).await,
            None => stay(&shutdown).await,
        }
    })
}

/// Until there is more to do: being there is what the service manager watches.
async fn stay(shutdown: &Shutdown) -> anyhow::Result<()> {
    let watchdog = tokio::spawn(notify::watchdog(|| true, shutdown.graceful().clone()));
    log::info!("ready");
    notify::ready();
    shutdown.graceful().cancelled().await;
    notify::stopping();
    Ok(watchdog.await?)
}
