//! `reelmill-hub`: arguments, configuration, log, run, exit.

use std::process::ExitCode;

use clap::Parser;
use jiff::Timestamp;
use reelmill_daemon::{Shutdown, log, process, report};
use reelmill_hub::{
    args::{Args, Command, Options},
    enrol::{
        broker_files::{self, CaCommand},
        operator::{self, NodeCommand, TokenCommand},
    },
};

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    log::init("reelmill-hub");
    let result = match args.command {
        Command::Serve(options) => serve(options).await,
        Command::CheckConfig { options, settings_only } => check(options, settings_only),
        Command::Token { options, command } => token(options, command).await,
        Command::Node { options, command } => node(options, command).await,
        Command::Ca { options, command } => ca(options, command).await,
    };
    result.inspect_err(|e| report(&**e)).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

async fn serve(options: Options) -> anyhow::Result<()> {
    process::hide()?;
    let shutdown = Shutdown::on_signals()?;
    shutdown.also_on_stdin_eof();
    reelmill_hub::Hub::start(options.load()?, shutdown.graceful().clone()).await?.ended().await
}

fn check(options: Options, settings_only: bool) -> anyhow::Result<()> {
    let config = options.load()?;
    // Presets of the owner's own may be on the hub's machine only.
    let elsewhere = config.preset_folder.as_ref().is_some_and(|folder| !folder.exists());
    if !(settings_only && elsewhere) {
        config.presets()?;
    }
    println!("the configuration is good");
    Ok(())
}

async fn token(options: Options, command: TokenCommand) -> anyhow::Result<()> {
    print!("{}", operator::token(&options.load()?, command, Timestamp::now()).await?);
    Ok(())
}

async fn node(options: Options, command: NodeCommand) -> anyhow::Result<()> {
    print!("{}", operator::node(&options.load()?, command, Timestamp::now()).await?);
    Ok(())
}

async fn ca(options: Options, command: CaCommand) -> anyhow::Result<()> {
    print!("{}", broker_files::issue(&options.load()?, command, Timestamp::now()).await?);
    Ok(())
}
