//! A whole farm on this machine: one hub with its store and broker, one worker, and one agent, all kept running.

use std::{
    fs::{self, DirBuilder},
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    pin::pin,
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use reelmill_daemon::{Hinted, Shutdown, http};
use tokio::{sync::watch, task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    addresses::{Addresses, Edition, forget_others},
    agent::{self, Agent},
    backoff::Backoff,
    hub::Hub,
    last_words::LastWords,
    port::Port,
    programs::Program,
    running::Running,
    screen::Screen,
    worker,
};

/// The port of the page and the API where none is asked for.
pub(crate) const PORT: u16 = 8080;
/// How long a hub may take until it is ready.
const READY: Duration = Duration::from_secs(60);
/// How often it is looked whether the hub is ready.
const LOOK: Duration = Duration::from_millis(50);
/// How long a hub may take to end.
const HUB_GRACE: Duration = Duration::from_secs(10);

/// How long an agent may take to end.
const AGENT_GRACE: Duration = Duration::from_secs(10);
/// Where a farm's broker listens unless told otherwise: on loopback, on the port of last time or a free one.
const FLEET_LISTEN: &str = "127.0.0.1:0";

/// What a farm has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// A hub and a worker.
    Jobs,
    /// A broker and an agent too.
    Fleet,
}

/// A farm that runs. To end it well, call [`Farm::stop`]; dropped, its programs are killed.
#[derive(Debug)]
pub(crate) struct Farm {
    /// Where it was when it began.
    pub(crate) addresses: Addresses,
    /// The page of the node that this machine is.
    pub(crate) node_page: Option<String>,
    keeper: JoinHandle<anyhow::Result<()>>,
    stop: CancellationToken,
}

impl Farm {
    /// Starts a farm with its data in that folder and waits until its hub is ready. A wish to stop ends the wait.
    pub(crate) async fn start(
        data: &Path,
        port: Option<u16>,
        extent: Extent,
        screen: &Screen,
        shutdown: &Shutdown,
    ) -> anyhow::Result<Self> {
        let data = data_folder(data)?;
        let agent = (extent == Extent::Fleet).then(Agent::find).transpose().unwrap_or_else(|missing| {
            screen.note("no agent runs here: this machine takes jobs, and is no node that can be watched or commanded");
            screen.error(&missing);
            None
        });
        let keeper = Keeper {
            hub: Program::find("reelmill-hub")?,
            worker: Program::find("reelmill-worker")?,
            agent,
            extent,
            listen: choose(port).await?,
            data,
            screen: screen.clone(),
            forced: shutdown.forced().clone(),
        };
        let old = Edition::of(&keeper.data);
        let mut hub = keeper.start_hub()?;
        let addresses = tokio::select! {
            ready = keeper.ready(&mut hub, old) => ready?,
            () = shutdown.graceful().cancelled() => {
                hub.stop(HUB_GRACE, shutdown.forced()).await;
                bail!("stopped before the hub was ready");
            }
        };
        let stop = CancellationToken::new();
        let node_page = keeper.agent.as_ref().map(Agent::page);
        let kept = keeper.keep(hub, addresses.clone(), stop.clone());
        Ok(Self { addresses, node_page, keeper: tokio::spawn(kept), stop })
    }

    /// Waits until a program cannot be kept running, and says why.
    pub(crate) async fn broken(&mut self) -> anyhow::Error {
        match (&mut self.keeper).await {
            Ok(Ok(())) => anyhow!("the farm ended"),
            Ok(Err(error)) => error,
            Err(panic) => anyhow!(panic),
        }
    }

    /// Ends the worker, then the hub.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        if !self.keeper.is_finished() {
            let _ = self.broken().await;
        }
    }
}

impl Drop for Farm {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// The data folder, made for this user alone if it is not there.
fn data_folder(path: &Path) -> anyhow::Result<PathBuf> {
    let doing = || format!("cannot use the data folder {}", path.display());
    DirBuilder::new().recursive(true).mode(0o700).create(path).with_context(doing)?;
    fs::canonicalize(path).with_context(doing)
}

/// The port for the page and the API: the one that was asked for or an error, else the usual one or one near it.
async fn choose(port: Option<u16>) -> Result<Port, Hinted> {
    let Some(port) = port else { return Ok(Port::near(PORT)) };
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    http::bind(at).await?;
    Ok(Port::at(at))
}

/// All that is needed to start the farm's programs again.
struct Keeper {
    hub: Program,
    worker: Program,
    agent: Option<Agent>,
    extent: Extent,
    data: PathBuf,
    listen: Port,
    screen: Screen,
    forced: CancellationToken,
}

impl Keeper {
    /// Keeps all running until `stop`, or until the hub or the worker cannot be kept running; then ends the hub last, because
    /// the others give back and say goodbye.
    async fn keep(self, hub: Running, addresses: Addresses, stop: CancellationToken) -> anyhow::Result<()> {
        let (tell, told) = watch::channel(addresses);
        let hub_stop = CancellationToken::new();
        let mut hub = pin!(self.keep_hub(hub, &tell, &hub_stop));
        let mut worker = pin!(async {
            let worker = async {
                let ended = self.keep_worker(told.clone(), &stop).await;
                stop.cancel();
                ended
            };
            tokio::join!(worker, self.keep_agent(told.clone(), &stop)).0
        });
        tokio::select! {
            ended = &mut worker => {
                hub_stop.cancel();
                let hub_ended = hub.await;
                ended.and(hub_ended)
            }
            ended = &mut hub => {
                stop.cancel();
                let worker_ended = worker.await;
                ended.and(worker_ended)
            }
        }
    }

    async fn keep_hub(
        &self,
        mut hub: Running,
        tell: &watch::Sender<Addresses>,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let mut backoff = Backoff::default();
        loop {
            tokio::select! {
                status = hub.ended() => self.pause(&mut hub, &describe(status), &mut backoff, stop).await?,
                () = stop.cancelled() => {
                    hub.stop(HUB_GRACE, &self.forced).await;
                    return Ok(());
                }
            }
            let old = Edition::of(&self.data);
            hub = self.start_hub()?;
            tokio::select! {
                ready = self.ready(&mut hub, old) => match ready {
                    Ok(addresses) => drop(tell.send_if_modified(|known| {
                        std::mem::replace(known, addresses.clone()) != addresses
                    })),
                    Err(error) => self.screen.error(&*error),
                },
                () = stop.cancelled() => {}
            }
        }
    }

    async fn keep_worker(&self, mut told: watch::Receiver<Addresses>, stop: &CancellationToken) -> anyhow::Result<()> {
        let mut backoff = Backoff::default();
        while !stop.is_cancelled() {
            let addresses = told.borrow_and_update().clone();
            let mut worker = self.start_worker(&addresses)?;
            tokio::select! {
                status = worker.ended() => self.pause(&mut worker, &describe(status), &mut backoff, stop).await?,
                Ok(()) = told.changed() => {
                    self.screen.note("the store's address changed: starting the worker again");
                    worker.stop(worker::GRACE, &self.forced).await;
                }
                () = stop.cancelled() => worker.stop(worker::GRACE, &self.forced).await,
            }
        }
        Ok(())
    }

    /// Keeps the agent running, if there is one. A farm works without it.
    async fn keep_agent(&self, mut told: watch::Receiver<Addresses>, stop: &CancellationToken) {
        let Some(agent) = &self.agent else { return };
        let mut backoff = Backoff::default();
        while !stop.is_cancelled() {
            let addresses = told.borrow_and_update().clone();
            let mut running = match self.start_agent(agent, &addresses) {
                Ok(running) => running,
                Err(error) => return self.without_agent(&error),
            };
            tokio::select! {
                status = running.ended() => {
                    let paused = self.pause(&mut running, &describe(status), &mut backoff, stop).await;
                    if let Err(error) = paused {
                        return self.without_agent(&error);
                    }
                }
                Ok(()) = told.changed() => running.stop(AGENT_GRACE, &self.forced).await,
                () = stop.cancelled() => running.stop(AGENT_GRACE, &self.forced).await,
            }
        }
    }

    fn without_agent(&self, error: &anyhow::Error) {
        self.screen.error(&**error);
        self.screen.note("the farm goes on without an agent: this machine is no node that can be watched or commanded");
    }

    fn start_agent(&self, agent: &Agent, addresses: &Addresses) -> anyhow::Result<Running> {
        let fleet = addresses.fleet.as_ref().context("the hub brings no broker")?;
        let node = fleet.node.as_ref().context("the hub made no identity for this machine")?;
        let mut command = agent.command(&self.data, fleet, node)?;
        Running::start(agent.program().name(), &mut command, &self.screen).context("cannot start reelmill-agent")
    }

    /// Says that a program ended and waits until it is to be started again.
    async fn pause(
        &self,
        program: &mut Running,
        ended: &str,
        backoff: &mut Backoff,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        if stop.is_cancelled() {
            return Ok(());
        }
        let name = program.name();
        let why = program.last_words();
        let Some(wait) = backoff.after(program.age()) else {
            return Err(told(format!("{name} ended {} times soon after its start", backoff.short_runs()), ended, why));
        };
        let why = why.map_or(String::new(), |words| format!(": {}", words.error));
        let seconds = wait.as_secs_f64();
        self.screen.note(&format!("{name} ended with {ended}{why}; starting it again in {seconds:.1} s"));
        tokio::select! {
            () = sleep(wait) => {}
            () = stop.cancelled() => {}
        }
        Ok(())
    }

    fn start_hub(&self) -> anyhow::Result<Running> {
        let mut command = self.hub.command();
        forget_others(&mut command);
        agent::forget_others(&mut command);
        command.arg("serve").arg("--data").arg(&self.data).args(["--listen", &self.listen.address().to_string()]);
        match self.extent {
            Extent::Jobs => drop(command.env_remove("FLEET_LISTEN")),
            Extent::Fleet => {
                let listen = std::env::var("FLEET_LISTEN").unwrap_or_else(|_| FLEET_LISTEN.to_owned());
                command.args(["--fleet-listen", &listen, "--fleet-node", agent::node_name().as_str()]);
            }
        }
        Running::start(self.hub.name(), &mut command, &self.screen).context("cannot start reelmill-hub")
    }

    fn start_worker(&self, addresses: &Addresses) -> anyhow::Result<Running> {
        let mut command = self.worker.command();
        addresses.tell(&mut command);
        if let Some(agent) = &self.agent {
            agent.tell_worker(&mut command);
        }
        Running::start(self.worker.name(), &mut command, &self.screen).context("cannot start reelmill-worker")
    }

    /// Waits until the hub wrote new addresses and answers at them.
    async fn ready(&self, hub: &mut Running, old: Edition) -> anyhow::Result<Addresses> {
        let late = || format!("reelmill-hub is not ready after {} s", READY.as_secs());
        tokio::select! {
            found = tokio::time::timeout(READY, self.look(old)) => found.with_context(late)?,
            status = hub.ended() => {
                let ended = describe(status);
                Err(told("reelmill-hub ended before it was ready".to_owned(), &ended, hub.last_words()))
            }
        }
    }

    async fn look(&self, old: Edition) -> anyhow::Result<Addresses> {
        loop {
            if let Some(addresses) = Addresses::read(&self.data, old)?
                && Hub::at(addresses.api.clone()).health().await.is_ok()
            {
                return Ok(addresses);
            }
            sleep(LOOK).await;
        }
    }
}

/// An error with the program's own words, or at least with how it ended.
fn told(message: String, ended: &str, words: Option<LastWords>) -> anyhow::Error {
    let Some(words) = words else {
        let hint = "REELMILL_LOG=debug shows more of what it does";
        return Hinted::new(format!("{message} ({ended})"), hint).into();
    };
    let message = format!("{message}: {}", words.error);
    let mut hints = words.hints.into_iter().rev();
    let Some(last) = hints.next() else { return anyhow!(message) };
    hints.fold(Hinted::new(message, last), Hinted::new).into()
}

fn describe(status: std::io::Result<std::process::ExitStatus>) -> String {
    status.map_or_else(|e| e.to_string(), |status| status.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_was_asked_for_is_had_or_refused() {
        let taken = http::bind((Ipv4Addr::LOCALHOST, 0).into()).await.expect("a free port");
        let port = taken.local_addr().expect("it is bound").port();
        let error = choose(Some(port)).await.expect_err("it is taken");
        assert_eq!(error.to_string(), format!("cannot listen on 127.0.0.1:{port}: address in use"));
        drop(taken);
        assert_eq!(choose(Some(port)).await.expect("it is free now").address().port(), port);
        assert!(choose(None).await.expect("some port is free").address().ip().is_loopback());
    }

    fn check(words: Option<LastWords>, want: &str) {
        let error = told("reelmill-hub ended before it was ready".to_owned(), "exit status: 1", words);
        assert_eq!(reelmill_daemon::report::render(&*error), want);
    }

    #[test]
    fn a_program_that_cannot_be_kept_running_is_told_in_its_own_words() {
        check(
            None,
            "error: reelmill-hub ended before it was ready (exit status: 1)\n\
             hint: REELMILL_LOG=debug shows more of what it does",
        );
        let words =
            LastWords { error: "no disk".to_owned(), hints: vec!["free some".to_owned(), "or more".to_owned()] };
        check(Some(words), "error: reelmill-hub ended before it was ready: no disk\nhint: free some\nhint: or more");
    }

    #[test]
    fn the_data_folder_is_for_this_user_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let made = data_folder(&folder.path().join("a/b")).expect("it can be made");
        assert_eq!(fs::metadata(made).expect("it is there").permissions().mode() & 0o777, 0o700);
        let error = data_folder(Path::new("/dev/null/x")).expect_err("not below a file");
        assert_eq!(error.to_string(), "cannot use the data folder /dev/null/x");
    }
}
