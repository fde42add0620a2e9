//! The start of the program: settings, parts, the loop, the end.

use std::{
    path::Path,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use reelmill_daemon::{ConfigError, Env, Hinted, Secret, Shutdown, http, notify};
use tokio::{
    net::TcpListener,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{
    cli::{Cli, Command},
    config::{Config, PageSection},
    deeds::{batch, examine, tags::SaidTags},
    desk::Desk,
    enrol,
    farm::{Belonging, Work},
    look::Eyes,
    page::{self, Guard},
    sensors::tegrastats::listing,
    simulate,
    systemd::by_hand,
};

/// The loop has died when it missed so many looks, and the service manager's watchdog may have the program.
const MISSED: u32 = 5;
/// And not sooner than this: a node under full load may be slow.
const SHORTEST_DEATH: Duration = Duration::from_secs(10);

/// Does what the command line says.
///
/// # Errors
/// What keeps the program from working, for the terminal.
pub fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    if let Some(Command::Tegrastats { file }) = &cli.command {
        return listing::print_file(file);
    }
    if let Some(Command::Systemd(what)) = &cli.command {
        return by_hand::run(what);
    }
    if let Some(Command::Batch { id, worker }) = &cli.command {
        match batch::become_worker(Path::new(batch::ORDERS), id, worker)? {}
    }
    if let Some(Command::Examine { id, worker }) = &cli.command {
        return examine::leave_answer(Path::new(batch::ORDERS), Path::new(examine::ANSWERS), id, worker);
    }
    if let Some(Command::Simulate(many)) = &cli.command {
        return simulate::run(many);
    }
    if let Some(Command::System(what)) = &cli.command {
        return crate::exec::system::by_hand::run(what);
    }
    let config = Config::load(cli.config.as_deref(), Env::from_process()).map_err(config_error)?;
    match &cli.command {
        Some(
            Command::Tegrastats { .. }
            | Command::Systemd(_)
            | Command::System(_)
            | Command::Batch { .. }
            | Command::Examine { .. }
            | Command::Simulate(_),
        ) => {
            unreachable!("it needs no settings")
        }
        Some(Command::CheckConfig { settings_only }) => check(&config, *settings_only)?,
        // One thread: the agent mostly waits, and each further one costs memory beside the encoders.
        None => tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work(&config))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What is wrong with the settings, with where they are told of.
fn config_error(error: ConfigError) -> anyhow::Error {
    Hinted::new(error, "the settings are listed in docs/operate/agent.md").into()
}

fn check(config: &Config, settings_only: bool) -> anyhow::Result<()> {
    if settings_only {
        asks_for_a_password(&config.page)?;
    } else {
        password(&config.page)?;
    }
    let at: Vec<_> = config.page.listen.iter().map(ToString::to_string).collect();
    println!("node: {}\npage: {}\nthe configuration can be used", config.node.as_str(), at.join(", "));
    Ok(())
}

async fn work(config: &Config) -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signals()?;
    shutdown.also_on_stdin_eof();
    let stop = shutdown.graceful().clone();
    let mut config = enrol::settled(config)?;
    let password = password(&config.page)?;
    let listeners = bind(&config.page).await?;
    // Port 0 has become a port.
    config.page.listen = listeners.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?;
    let config = &config;
    let started = Instant::now();
    let tags = Arc::new(SaidTags::open(&config.state_folder));
    let mut eyes = Eyes::new(config, tags.clone(), started, &stop);
    let first = eyes.look().await;
    let desk = Arc::new(Desk::new(first.clone(), config.sample_seconds.duration()));
    let (mut place, commands) = Belonging::find(config, &first, desk.clone(), tags, &shutdown).await?;
    let pulse = Arc::new(Pulse::new(config.sample_seconds.duration()));
    let guard = Guard::new(names(config), password);
    let router = page::router(desk.clone(), config.worker.status.clone(), guard, stop.clone());
    let serving: Vec<_> = listeners
        .into_iter()
        .map(|listener| tokio::spawn(page::serve(listener, router.clone(), stop.clone())))
        .collect();
    let beating = pulse.clone();
    let watchdog = tokio::spawn(notify::watchdog(move || beating.beats(), stop.clone()));
    notify::ready();
    let looking = look_on(&mut eyes, &mut place, &desk, &pulse, started, &stop);
    let ((), commanded) = tokio::join!(looking, obey(commands, &stop));
    notify::stopping();
    for task in serving {
        task.await?;
    }
    watchdog.await?;
    commanded
}

/// Does what is commanded until `stop`. Where nothing can be written down any more nothing may be done, so the agent ends:
/// its next start reads what is there.
async fn obey(commands: Work, stop: &CancellationToken) -> anyhow::Result<()> {
    let ended = commands.await;
    stop.cancel();
    ended
}

/// Looks at the node again and again until `stop`.
async fn look_on(
    eyes: &mut Eyes,
    place: &mut Belonging,
    desk: &Desk,
    pulse: &Pulse,
    started: Instant,
    stop: &CancellationToken,
) {
    let mut tick = interval(pulse.interval);
    // A machine that slept is looked at once, not once for every second that it slept.
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick.tick().await;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let mut snapshot = tokio::select! {
            () = stop.cancelled() => return,
            snapshot = eyes.look() => snapshot,
        };
        place.tell(&mut snapshot);
        desk.publish(snapshot, started.elapsed());
        pulse.beat();
    }
}

/// The password of the page, if it has one.
fn password(page: &PageSection) -> anyhow::Result<Option<Secret>> {
    asks_for_a_password(page)?;
    page.password.as_ref().map(|p| p.resolve().context("cannot read page.password")).transpose()
}

/// Whether a page that other machines can reach asks them for a password, or need not.
fn asks_for_a_password(page: &PageSection) -> anyhow::Result<()> {
    let open = page.listen.iter().find(|at| !at.ip().is_loopback());
    match open {
        Some(at) if page.password.is_none() && !page.without_password => Err(Hinted::new(
            format!("other machines can reach the page at {at}, and it asks nobody who they are"),
            "set page.password (PAGE_PASSWORD), or say page.without_password = true if all of them may read it",
        )
        .into()),
        _ => Ok(()),
    }
}

async fn bind(page: &PageSection) -> anyhow::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for at in &page.listen {
        let listener = http::bind(*at).await?;
        log::info!("page at http://{}/", listener.local_addr()?);
        listeners.push(listener);
    }
    Ok(listeners)
}

/// The names that this node has in an address bar.
fn names(config: &Config) -> Vec<String> {
    let id = config.node.as_str();
    let more = config.page.names.iter().map(|name| name.as_str().to_owned());
    [id.to_owned(), format!("{id}.local")].into_iter().chain(more).collect()
}

/// Whether the loop still runs. A loop that hangs stops the beat, and then the watchdog is not fed: also where only
/// the loop hangs and the rest of the program goes on.
struct Pulse {
    interval: Duration,
    last: Mutex<Instant>,
}

impl Pulse {
    fn new(interval: Duration) -> Self {
        Self { interval, last: Mutex::new(Instant::now()) }
    }

    fn beat(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn beats(&self) -> bool {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.elapsed() < (self.interval * MISSED).max(SHORTEST_DEATH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_page(listen: &[&str], password: Option<&str>, without_password: bool) -> Result<bool, String> {
        let page = PageSection {
            listen: listen.iter().map(|at| at.parse().expect("an address")).collect(),
            password: password.map(|p| p.parse().expect("a reference")),
            without_password,
            names: Vec::new(),
        };
        super::password(&page).map(|password| password.is_some()).map_err(|e| reelmill_daemon::report::render(&*e))
    }

    #[test]
    fn a_page_that_others_can_reach_needs_a_password_or_the_owners_word() {
        assert_eq!(check_page(&["127.0.0.1:1", "[::1]:1"], None, false), Ok(false));
        assert_eq!(check_page(&["0.0.0.0:1"], Some("x"), false), Ok(true));
        assert_eq!(check_page(&["0.0.0.0:1"], None, true), Ok(false));
        assert_eq!(
            check_page(&["127.0.0.1:1", "10.0.0.1:1"], None, false),
            Err("error: other machines can reach the page at 10.0.0.1:1, and it asks nobody who they are\n\
                 hint: set page.password (PAGE_PASSWORD), or say page.without_password = true if all of them may \
                 read it"
                .to_owned())
        );
        assert_eq!(
            check_page(&["127.0.0.1:1"], Some("file:/nowhere/password"), false),
            Err("error: cannot read page.password: cannot read the secret file /nowhere/password: No such file or \
                 directory (os error 2)"
                .to_owned())
        );
    }

    #[test]
    fn a_loop_that_stands_still_has_no_pulse() {
        let pulse = Pulse::new(Duration::from_secs(1));
        assert!(pulse.beats());
        let long_ago = Instant::now().checked_sub(SHORTEST_DEATH).expect("the machine runs longer");
        *pulse.last.lock().expect("ours") = long_ago;
        assert!(!pulse.beats());
        pulse.beat();
        assert!(pulse.beats());
    }
}
