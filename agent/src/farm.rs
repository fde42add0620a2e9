//! The node's place in its farm: joins the broker's session to what the agent sees of its node and can do to it.

mod belonging;
mod way;
mod world;

use std::{
    fs,
    future::Future,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use jiff::Timestamp;
use reelmill_api::{
    fleet::{
        Trust,
        event::NodeEvent,
        state::{CommandState, State, Teller},
        topic::EventKind,
    },
    snapshot::{Broker, Enrolment, Farm, LastCommand, Snapshot},
};
use reelmill_daemon::{Hinted, Shutdown};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{
    broker::{self, Desk, Identity, Line, Settings},
    config::{BrokerSection, Config, Window},
    core::{ANSWERED, Core, Own},
    deeds::{Deeds as _, OnNode, Parts, Reach, Say, See, Sight, tags::SaidTags},
    desk, door,
    enrol::{self, seal},
    exec::{set_conf, system},
    standing::Standing,
    systemd::{Systemd, unit::UnitName},
};
pub use belonging::Belonging;
use world::{Beside, Reported};

/// Where nodes reach a broker unless told otherwise.
const PORT: u16 = 8883;
/// How often the service manager is asked about the clock.
const CLOCK_EVERY: Duration = Duration::from_secs(10);
/// Events that may wait for the broker's seat, which takes them at once.
const SAID: usize = 16;

/// A node's commands, at work until the agent ends.
pub type Work = Pin<Box<dyn Future<Output = anyhow::Result<()>>>>;

/// A node's place in its farm.
pub struct Place {
    address: String,
    world: watch::Sender<broker::World>,
    line: watch::Receiver<Line>,
    watched: Watched,
    reported: Reported,
}

/// What is watched beside the sensors.
struct Watched {
    clock: watch::Receiver<bool>,
    clock_is_right: bool,
    window: Option<Window>,
    conf_ver: PathBuf,
    /// Where the root helper leaves what became of the node's systems.
    systems: PathBuf,
    /// Where the page listens.
    page: Vec<SocketAddr>,
    /// This node's address on the way to the broker.
    way: watch::Receiver<Option<IpAddr>>,
}

impl Watched {
    fn beside(&self, snapshot: &Snapshot) -> Beside {
        let told = snapshot.time_synchronised.unwrap_or(false) || *self.clock.borrow();
        Beside {
            synchronised: self.clock_is_right || told,
            window: self.window,
            conf_ver: set_conf::version_in(&self.conf_ver),
            bad: system::bad_systems(&self.systems),
            metrics: Some(way::metrics_at(&self.page, *self.way.borrow())),
        }
    }
}

impl Place {
    /// Takes the place that the settings name; `None` if they name no broker. What comes with it must be awaited until the
    /// end of the agent, and is to be made within a runtime.
    ///
    /// # Errors
    /// If the ledger or the trusted keys cannot be read, with what to do.
    pub async fn take(
        config: &Config,
        first: &Snapshot,
        desk: Arc<desk::Desk>,
        tags: Arc<SaidTags>,
        shutdown: &Shutdown,
    ) -> anyhow::Result<Option<(Self, Work)>> {
        let Some(settings) = settings(config) else { return Ok(None) };
        // Without its key the node is no part of its farm, and its page must still say so.
        if let Err(e) = seal::lay_out(&config.state_folder, config.runtime_folder.as_deref()) {
            log::error!("cannot use this node's key in {}: {e}", config.state_folder.display());
        }
        let enrolled = enrol::is_enrolled(&config.state_folder);
        let trust = trust(&file(config, config.broker.trust.as_ref(), "trust.json"), enrolled.is_some())?;
        let boot_id = first.os.boot_id.clone().context("this kernel tells no boot id")?;
        let (ledger, memory) = broker::recall(&config.state_folder.join("commands"), Timestamp::now())
            .map_err(|e| Hinted::new(e, "the agent's user must own the state folder, and only one agent may use it"))?;
        let teller = Teller { boot_id, agent: env!("CARGO_PKG_VERSION").to_owned() };
        let (say, said) = say(teller.clone());
        let parts = Parts { desk, tags, settings: format!("{config:#?}\n"), say };
        let clock = follow_clock(first.time_synchronised.unwrap_or(false), shutdown.graceful().clone());
        let mut reported = Reported::default();
        let watched = Watched {
            clock,
            clock_is_right: config.broker.clock_is_right,
            window: config.window,
            conf_ver: config.helper.folder.join(set_conf::IN_FORCE),
            systems: config.helper.folder.clone(),
            page: config.page.listen.clone(),
            way: way::follow(settings.host.clone(), settings.port, shutdown.graceful().clone()),
        };
        let world = world::of(first, &Standing::of(first), &watched.beside(first), &mut reported);
        let around = world.around.clone();
        let (world, seen) = watch::channel(world);
        let (shown, line) = watch::channel(Line::default());
        let anew = Arc::new(Notify::new());
        if let Some(folder) = &config.runtime_folder {
            open_door(folder, line.clone(), anew.clone(), shutdown.graceful().clone());
        }
        let reach = reach(config, &settings, see(seen.clone(), line.clone()), anew.clone());
        if enrolled.is_some() {
            let (reach, stop) = (reach.clone(), shutdown.graceful().clone());
            tokio::spawn(async move { enrol::renew::keep_fresh(&reach.state_folder, &reach, &stop).await });
        }
        let deeds = Arc::new(OnNode::new(systemd(), reach, parts));
        let own = Own {
            node: settings.node.clone(),
            teller,
            trust,
            enrolled_at: enrolled.as_ref().map(|enrolled| enrolled.enrolled_at),
            able: deeds.able().into_iter().chain(ANSWERED).collect(),
        };
        let core = Core::new(own, memory, around);
        if core.is_held() {
            deeds.hold_again().await;
            let deeds = deeds.clone();
            tokio::spawn(async move { deeds.stop_again().await });
        }
        let address = format!("{}:{}", settings.host, settings.port);
        log::info!("commands from the broker at {address}");
        let shutdown = shutdown.clone();
        let work = async move {
            let desk = Desk { core, ledger, deeds, world: seen, line: shown, anew, said };
            Ok(broker::run(&settings, desk, &shutdown).await?)
        };
        Ok(Some((Self { address, world, line, watched, reported }, Box::pin(work))))
    }

    /// Tells the commands how the node is now; how it stands to its farm.
    pub fn tell(&mut self, snapshot: &Snapshot) -> Farm {
        let beside = self.watched.beside(snapshot);
        let world = world::of(snapshot, &Standing::of(snapshot), &beside, &mut self.reported);
        self.world.send_if_modified(|known| {
            let changed = *known != world;
            *known = world;
            changed
        });
        let line = self.line.borrow();
        let Line { connected, why, .. } = &*line;
        Farm {
            enrolment: Some(Enrolment::Enrolled),
            broker: Some(Broker {
                address: self.address.clone(),
                connected: *connected,
                why: why.clone(),
                since: None,
            }),
            last_command: line.last.as_ref().map(last_command),
        }
    }
}

fn settings(config: &Config) -> Option<Settings> {
    let BrokerSection { host, port, ca, cert, key, .. } = &config.broker;
    let of = |given: &Option<PathBuf>, name| file(config, given.as_ref(), name);
    Some(Settings {
        node: config.node.clone(),
        host: host.as_ref()?.as_str().to_owned(),
        port: port.map_or(PORT, u16::from),
        identity: Identity {
            ca: of(ca, "ca.pem"),
            cert: of(cert, "cert.pem"),
            key: key
                .clone()
                .unwrap_or_else(|| seal::key_to_use(&config.state_folder, config.runtime_folder.as_deref())),
        },
        keep_alive: Settings::KEEP_ALIVE,
    })
}

/// What the deeds need of the other parts.
fn reach(config: &Config, settings: &Settings, see: See, connect_anew: Arc<Notify>) -> Reach {
    Reach {
        helper: config.helper.socket.clone(),
        see,
        connect_anew,
        broker: (settings.host.clone(), settings.port),
        worker: config.worker.status.clone(),
        trust: file(config, config.broker.trust.as_ref(), "trust.json"),
        conf_ver: config.helper.folder.join(set_conf::IN_FORCE),
        state_folder: config.state_folder.clone(),
        runtime_folder: config.runtime_folder.clone(),
    }
}

/// Lets the guard ask about the line. A node without a door is one like any other, but for what the guard can see of it.
fn open_door(folder: &Path, line: watch::Receiver<Line>, anew: Arc<Notify>, stop: CancellationToken) {
    match door::open(folder) {
        Ok(listener) => {
            tokio::spawn(async move { stop.run_until_cancelled(door::serve(listener, line, anew)).await });
        }
        Err(e) => {
            log::warn!("the guard cannot ask about the broker: cannot open {}: {e}", door::path(folder).display())
        }
    }
}

/// The node as it is seen now.
fn see(world: watch::Receiver<broker::World>, line: watch::Receiver<Line>) -> See {
    Arc::new(move || {
        let (world, line) = (world.borrow(), line.borrow());
        Sight {
            connected: line.connected,
            connections: line.connections,
            why: line.why.clone(),
            gpu: world.around.gpu,
            clock: world.synchronised,
        }
    })
}

fn file(config: &Config, given: Option<&PathBuf>, name: &str) -> PathBuf {
    given.cloned().unwrap_or_else(|| config.state_folder.join(name))
}

/// Whose commands are obeyed. A hub that takes a node in may not know anybody yet.
fn trust(path: &PathBuf, enrolled: bool) -> anyhow::Result<Trust> {
    let hint = "write it with `reelmill keys trust`; without it this node obeys nobody";
    if enrolled && !path.exists() {
        log::warn!("there is no {}, so this node obeys nobody; hint: {hint}", path.display());
        return Ok(enrol::nobody());
    }
    let read = fs::read(path).map_err(|e| Hinted::new(format!("cannot read {}: {e}", path.display()), hint))?;
    let trust = Trust::parse(&read);
    Ok(trust.map_err(|e| Hinted::new(format!("cannot use {}: {}", path.display(), e.reason.as_str()), hint))?)
}

/// What deeds tell of, as events, and where they come out. One that nobody takes is left out: the end tells the newest again.
fn say(teller: Teller) -> (Say, mpsc::Receiver<NodeEvent>) {
    let (tell, said) = mpsc::channel(SAID);
    let say = move |command, detail| {
        let event = NodeEvent::new(EventKind::Log, "new lines in the journal", Timestamp::now(), &teller);
        let _ = tell.try_send(NodeEvent { command: Some(command), detail, ..event });
    };
    (Arc::new(say), said)
}

fn systemd() -> Systemd {
    Systemd::new(UnitName::worker())
}

/// Whether the clock agrees with the world's, by the service manager, which knows of every time service.
fn follow_clock(first: bool, stop: CancellationToken) -> watch::Receiver<bool> {
    let (tell, told) = watch::channel(first);
    let ask = async move {
        let systemd = systemd();
        let mut tick = interval(CLOCK_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            match systemd.is_clock_synchronised().await {
                Ok(right) => tell.send_replace(right),
                Err(e) => {
                    log::debug!("cannot ask about the clock: {e}");
                    continue;
                }
            };
        }
    };
    tokio::spawn(async move { stop.run_until_cancelled(ask).await });
    told
}

fn last_command(state: &State) -> LastCommand {
    let phase = match state.state {
        CommandState::Running { phase } => serde_json::to_value(phase).ok(),
        _ => None,
    };
    LastCommand {
        id: state.id.to_string(),
        op: state.op.to_string(),
        state: state.state.as_str().to_owned(),
        phase: phase.and_then(|word| word.as_str().map(str::to_owned)),
        percent: state.pct,
        by: None,
        why: state.error.as_ref().map(|fault| fault.msg.as_str().to_owned()),
        since: Some(state.t.to_string()),
    }
}
