//! The node's seat at the broker: what is commanded goes to the core, what the core decides is written down, done and told.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use reelmill_api::{
    NodeId,
    fleet::{
        State,
        event::NodeEvent,
        health::{Health, Heartbeat},
        topic::{Document, Topic},
    },
};
use reelmill_daemon::Shutdown;
use serde_json::Value;
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{MissedTickBehavior, interval},
};

mod recall;
mod seat;
mod work;

pub use reelmill_mqtt::{Identity, IdentityError};

pub use self::recall::recall;
use self::seat::Seat;
use crate::{
    core::{Around, Core},
    deeds::Deeds,
    ledger::{Ledger, LedgerError},
};

/// How long the broker keeps the session of a node that is away.
const SESSION: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long the broker holds the last will back: a node that is back before then was never lost to anyone.
const WILL_DELAY: Duration = Duration::from_secs(20);
/// How often the time is told to the core.
const TICK: Duration = Duration::from_secs(1);

/// Where the broker is and who we are.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The node's name; the certificate has the same.
    pub node: NodeId,
    /// The broker's host, which its certificate names.
    pub host: String,
    /// Its port for nodes, usually 8883.
    pub port: u16,
    /// What we show, and whom we trust.
    pub identity: Identity,
    /// After so long a silence each side looks whether the other is there; from 5 seconds.
    pub keep_alive: Duration,
}

impl Settings {
    /// How long a silence may usually be.
    pub const KEEP_ALIVE: Duration = reelmill_mqtt::Settings::KEEP_ALIVE;

    /// The line that a node has.
    fn line(&self) -> reelmill_mqtt::Settings {
        let will = reelmill_mqtt::Will {
            topic: Topic::Health(self.node.clone()),
            delay: WILL_DELAY,
            payload: Arc::new(|conn| json(&Health::will(conn))),
        };
        reelmill_mqtt::Settings {
            host: self.host.clone(),
            port: self.port,
            client: self.node.to_string(),
            identity: self.identity.clone(),
            keep_alive: self.keep_alive,
            session: Some(SESSION),
            will: Some(will),
        }
    }
}

/// What is so on the node, as others find it out. The default is a node of which nobody knows anything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct World {
    /// What the core decides by.
    pub around: Around,
    /// Whether the clock agrees with the world's.
    pub synchronised: bool,
    /// What is not as it should be, in words.
    pub unwell: Vec<String>,
    /// What is reported.
    pub documents: BTreeMap<Document, Value>,
    /// What is measured.
    pub heartbeat: Option<Heartbeat>,
}

/// How it stands with the broker, for those who show it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    /// Whether there is a connection.
    pub connected: bool,
    /// How many connections have stood since the start.
    pub connections: u64,
    /// Why there is none, once one was tried.
    pub why: Option<String>,
    /// The command that changed last.
    pub last: Option<State>,
}

/// All that commands need.
pub struct Desk<D> {
    /// What decides.
    pub core: Core,
    /// Where it is written down.
    pub ledger: Ledger,
    /// What does it.
    pub deeds: Arc<D>,
    /// What is around.
    pub world: watch::Receiver<World>,
    /// Who is told how it stands.
    pub line: watch::Sender<Line>,
    /// Tells when another connection is wanted in the place of the present one.
    pub anew: Arc<Notify>,
    /// What deeds tell of while they run.
    pub said: mpsc::Receiver<NodeEvent>,
}

/// Takes commands and does them, until the end is asked for. A broker that is away is waited for.
///
/// # Errors
/// If the ledger cannot be written: then nothing may be done, and a new start must read what is there.
pub async fn run<D: Deeds>(settings: &Settings, desk: Desk<D>, shutdown: &Shutdown) -> Result<(), LedgerError> {
    let (tell, mut told) = mpsc::channel(64);
    let mut seat = Seat::new(settings, desk, tell);
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    seat.look_around()?;
    loop {
        tokio::select! {
            () = shutdown.graceful().cancelled() => break,
            heard = seat.link.hear() => seat.hear(heard)?,
            Some(event) = told.recv() => seat.step(event)?,
            _ = tick.tick() => seat.tick()?,
            Ok(()) = seat.desk.world.changed() => seat.look_around()?,
            () = seat.desk.anew.notified() => seat.link.connect_anew(),
            Some(event) = seat.desk.said.recv() => seat.say(&event),
        }
    }
    seat.leave().await;
    Ok(())
}

fn json(content: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(content).expect("it holds only texts, numbers and lists")
}
