//! The start of reelmill-exec: settings, the socket that systemd opened, the ledger, the end.

use std::{
    io,
    os::{fd::AsFd as _, unix::net::UnixListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::{Parser, Subcommand};
use reelmill_daemon::{Env, Hinted, Shutdown, notify};
use tokio_util::sync::CancellationToken;

use super::{
    client,
    helper::Helper,
    keys::Keys,
    serve::serve,
    settings::Settings,
    system::{self, DeadmanOrGuard, System},
    wire::SOCKET,
};
use crate::{
    deeds::Told,
    first_boot::{
        self, FirstBoot,
        user_data::{self, UserData},
    },
};

/// Does the few things on this node that need root, for commands that it judges itself.
#[derive(Debug, Parser)]
#[command(
    name = "reelmill-exec",
    version,
    about,
    after_help = "The service manager starts it, by reelmill-exec.socket. Settings come from a TOML file and the \
                  environment; see docs/operate/agent.md."
)]
pub struct Cli {
    /// A TOML file with settings; the environment wins over it.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Something other than answering the agent.
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check the settings and exit: 0 if they can be used.
    CheckConfig,
    /// Take what a person gave this machine before it was switched on, and put it into force; the boot calls this.
    FirstBoot(FirstBoot),
    /// Take the user data that a rented machine was ordered with; the boot calls this.
    UserData(UserData),
    /// Do what needs no command.
    #[command(flatten)]
    LookAfter(DeadmanOrGuard),
    /// Ask the helper by hand: a question as JSON on standard input, the outcome as JSON on standard output.
    #[command(hide = true)]
    Ask,
}

/// Does what the command line says.
///
/// # Errors
/// What keeps the program from working, for the terminal.
pub fn run(cli: &Cli) -> anyhow::Result<()> {
    // One thread: the helper does one thing at a time.
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    match &cli.command {
        Some(Command::Ask) => return runtime()?.block_on(ask()),
        Some(Command::FirstBoot(asked)) => return first_boot::run(asked),
        Some(Command::UserData(asked)) => return runtime()?.block_on(user_data::run(asked)),
        Some(Command::LookAfter(what)) => return runtime()?.block_on(system::run(what)),
        Some(Command::CheckConfig) | None => {}
    }
    let told = |e| Hinted::new(e, "the settings are listed in docs/operate/agent.md");
    let settings = Settings::load(cli.config.as_deref(), Env::from_process()).map_err(told)?;
    let system = System::new(system::Settings::load(Env::from_process()).map_err(told)?);
    match cli.command {
        Some(_) => check(&settings),
        None => runtime()?.block_on(work(settings, system)),
    }
}

fn check(settings: &Settings) -> anyhow::Result<()> {
    match Keys::read(settings)?.in_force() {
        Ok((node, trust)) => println!("node: {node}\nkeys: document {}", trust.ctr()),
        Err(why) => println!("keys: {}", why.message),
    }
    println!("the configuration can be used");
    Ok(())
}

async fn ask() -> anyhow::Result<()> {
    let request = serde_json::from_reader(io::stdin())?;
    let told: Told = Arc::new(|percent| eprintln!("{percent} %"));
    let result = client::ask(Path::new(SOCKET), &request, &told, &CancellationToken::new()).await?;
    println!("{}", serde_json::Value::from(result));
    Ok(())
}

async fn work(settings: Settings, system: System) -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signals()?;
    let listener = listener()?;
    let idle = Duration::from_secs(settings.idle_seconds.get().into());
    let state = settings.state_folder.display().to_string();
    let helper = Helper::open(settings, system)
        .map_err(|e| Hinted::new(e, format!("root must own {state}, and one helper use it")))?;
    notify::ready();
    let served = serve(listener, helper, idle, shutdown.graceful()).await;
    notify::stopping();
    served
}

/// The socket that the service manager listens on for us, as standard input: `StandardInput=socket`.
fn listener() -> anyhow::Result<tokio::net::UnixListener> {
    let hint = "it is started by its socket: systemctl start reelmill-exec.socket";
    let cannot = |e: io::Error| Hinted::new(format!("standard input is no socket that listens: {e}"), hint);
    let listener = UnixListener::from(io::stdin().as_fd().try_clone_to_owned().map_err(cannot)?);
    listener.local_addr().map_err(cannot)?;
    listener.set_nonblocking(true)?;
    Ok(tokio::net::UnixListener::from_std(listener)?)
}
