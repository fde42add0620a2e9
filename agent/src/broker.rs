//! The node's seat at the broker: what is commanded goes to the core, what the core decides is written down, done and told.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use reelmill_api::{
    NodeId,
    fleet::{
        CommandId, State, Topic,
        health::{Capabilities, Health, Heartbeat, Presence},
        topic::Document,
    },
};
use reelmill_daemon::Shutdown;
use rumqttc::v5::mqttbytes::v5::Publish;
use serde_json::Value;
use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

mod link;
mod recall;
mod retry;
mod tls;
mod work;

use self::link::{Heard, Link};
pub use self::recall::recall;
pub use self::tls::{Identity, IdentityError};
use crate::{
    core::{Around, Core, Effect, Event, Now, Reply},
    deeds::Deeds,
    ledger::{Ledger, LedgerError},
};

/// How often the time is told to the core.
const TICK: Duration = Duration::from_secs(1);
/// How often the heartbeat is published.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Longer correlation data is none of ours to carry around.
const LONGEST_CORRELATION: usize = 64;

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
    pub const KEEP_ALIVE: Duration = Duration::from_secs(30);

    fn last_will(&self, conn: &str) -> Vec<u8> {
        json(&Health::will(conn))
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
}

/// Takes commands and does them, until the end is asked for. A broker that is away is waited for.
///
/// # Errors
/// If the ledger cannot be written: then nothing may be done, and a new start must read what is there.
pub async fn run<D: Deeds>(settings: &Settings, desk: Desk<D>, shutdown: &Shutdown) -> Result<(), LedgerError> {
    let (tell, mut told) = mpsc::channel(64);
    let link = Link::open(settings);
    let mut seat = Seat {
        settings,
        desk,
        link,
        conn: String::new(),
        greeting: Greeting::None,
        started: Instant::now(),
        tell,
        stops: HashMap::new(),
        shown: World::default(),
        next_beat: Instant::now(),
    };
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
        }
    }
    seat.leave().await;
    Ok(())
}

/// How far we are with a new connection.
#[derive(Debug, PartialEq, Eq)]
enum Greeting {
    /// There is none.
    None,
    /// All that concerns us is subscribed to.
    Subscribing,
    /// What the broker kept comes; a question is on its way, and whether something came since.
    Asking { heard: bool },
    /// All of it is here.
    Done,
}

struct Seat<'a, D> {
    settings: &'a Settings,
    desk: Desk<D>,
    link: Link,
    /// The nonce of the present connection.
    conn: String,
    greeting: Greeting,
    started: Instant,
    tell: mpsc::Sender<Event>,
    stops: HashMap<CommandId, CancellationToken>,
    shown: World,
    next_beat: Instant,
}

impl<D: Deeds> Seat<'_, D> {
    fn step(&mut self, event: Event) -> Result<(), LedgerError> {
        if let Event::Done(id, _) = &event {
            self.stops.remove(id);
        }
        let synchronised = self.desk.world.borrow().synchronised;
        let now = Now { wall: Timestamp::now(), synchronised, up: self.started.elapsed() };
        for effect in self.desk.core.step(&now, event) {
            self.carry_out(effect)?;
        }
        if self.desk.ledger.is_long() {
            self.desk.ledger.rewrite(&self.desk.core.memory().records())?;
        }
        Ok(())
    }

    fn carry_out(&mut self, effect: Effect) -> Result<(), LedgerError> {
        let node = self.settings.node.clone();
        match effect {
            Effect::Write(record) => self.desk.ledger.append(&record)?,
            Effect::Publish(state) => {
                log::info!("{} {}: {}", state.op, state.id, state.state.as_str());
                self.link.publish(&Topic::State(node, state.id), state.to_payload(), None);
                self.desk.line.send_modify(|line| line.last = self.desk.core.last().cloned());
            }
            Effect::Clear(id) => self.link.publish(&Topic::State(node, id), Vec::new(), None),
            Effect::Tell(event) => self.link.publish(&Topic::Event(node, event.kind), json(&event), None),
            Effect::Answer(Reply { topic, correlation }, state) => {
                self.link.publish(&topic, state.to_payload(), Some(correlation));
            }
            Effect::Report(documents) => self.report(&documents),
            Effect::Begin(id, deed) => {
                let stop = CancellationToken::new();
                self.stops.insert(id, stop.clone());
                work::begin(self.desk.deeds.clone(), id, deed, stop, self.tell.clone());
            }
            Effect::Stop(id) => self.stops.get(&id).into_iter().for_each(CancellationToken::cancel),
        }
        Ok(())
    }

    fn hear(&mut self, heard: Heard) -> Result<(), LedgerError> {
        match heard {
            Heard::Up(conn) => {
                self.greeting = Greeting::Subscribing;
                self.conn = conn;
                let tags = self.desk.world.borrow().around.tags.clone();
                self.link.subscribe(&self.settings.node, &tags);
            }
            Heard::Message(message) => {
                if let Greeting::Asking { heard } = &mut self.greeting {
                    *heard = true;
                }
                if let Some(event) = self.understand(&message) {
                    self.step(event)?;
                }
                self.link.acknowledge(message);
            }
            Heard::Subscribed => self.subscribed()?,
            Heard::Room => self.link.flush(),
            Heard::Lost(why) => {
                self.greeting = Greeting::None;
                self.desk.line.send_modify(|line| (line.connected, line.why) = (false, Some(why)));
            }
        }
        Ok(())
    }

    fn subscribed(&mut self) -> Result<(), LedgerError> {
        match self.greeting {
            Greeting::Subscribing | Greeting::Asking { heard: true } => {
                self.greeting = Greeting::Asking { heard: false };
                self.link.ask_for_the_end(&self.settings.node);
                Ok(())
            }
            Greeting::Asking { heard: false } => {
                self.greeting = Greeting::Done;
                self.introduce();
                self.step(Event::Settled)
            }
            Greeting::None | Greeting::Done => Ok(()),
        }
    }

    /// Says who we are and how.
    fn introduce(&mut self) {
        let able = self.desk.core.able();
        let without: Vec<&str> = reelmill_api::fleet::Op::NAMES.iter().filter(|n| !able.contains(*n)).copied().collect();
        let tags = self.shown.around.tags.clone();
        let capabilities = Capabilities::of(env!("CARGO_PKG_VERSION"), tags, &without);
        self.link.publish(&Topic::Capabilities(self.settings.node.clone()), json(&capabilities), None);
        self.show_health();
        self.report(&[]);
        self.beat();
        self.desk.line.send_modify(|line| (line.connected, line.why) = (true, None));
    }

    fn show_health(&mut self) {
        let health = Health::there(&self.conn, Timestamp::now(), self.shown.unwell.clone());
        self.link.publish(&Topic::Health(self.settings.node.clone()), json(&health), None);
    }

    /// Publishes these documents as they are known; none: all.
    fn report(&mut self, documents: &[Document]) {
        for (document, content) in &self.shown.documents {
            if documents.is_empty() || documents.contains(document) {
                self.link.publish(&Topic::Reported(self.settings.node.clone(), *document), json(content), None);
            }
        }
    }

    fn beat(&mut self) {
        self.next_beat = Instant::now() + HEARTBEAT;
        if let Some(heartbeat) = &self.shown.heartbeat {
            self.link.publish(&Topic::Heartbeat(self.settings.node.clone()), json(heartbeat), None);
        }
    }

    fn tick(&mut self) -> Result<(), LedgerError> {
        self.link.flush();
        if self.greeting == Greeting::Done && Instant::now() >= self.next_beat {
            self.beat();
        }
        self.step(Event::Tick)
    }

    /// Takes over what others have found out, and tells what of it has changed.
    fn look_around(&mut self) -> Result<(), LedgerError> {
        let world = self.desk.world.borrow_and_update().clone();
        let before = std::mem::replace(&mut self.shown, world);
        if self.greeting == Greeting::Done {
            let changed = |(document, _): &(&Document, &Value)| {
                before.documents.get(*document) != self.shown.documents.get(*document)
            };
            let changed: Vec<Document> = self.shown.documents.iter().filter(changed).map(|(d, _)| *d).collect();
            if !changed.is_empty() {
                self.report(&changed);
            }
            if before.unwell != self.shown.unwell {
                self.show_health();
            }
            if before.around.tags != self.shown.around.tags {
                self.link.subscribe(&self.settings.node, &self.shown.around.tags);
                self.introduce();
            }
        }
        if before.around != self.shown.around || before.synchronised != self.shown.synchronised {
            self.step(Event::Around(Box::new(self.shown.around.clone())))?;
        }
        Ok(())
    }

    /// What a message means to us, if anything.
    fn understand(&self, message: &Publish) -> Option<Event> {
        let text = String::from_utf8_lossy(&message.topic);
        let topic = match text.parse::<Topic>() {
            Ok(topic) => topic,
            Err(e) => {
                log::warn!("a message is passed over: {e}");
                return None;
            }
        };
        match &topic {
            Topic::Command(node, ..) if *node == self.settings.node => {}
            // What a subscription of an older session still brings.
            Topic::Group(tag, ..) if self.shown.around.tags.contains(tag) => {}
            _ => {
                log::debug!("a message on {topic} is passed over");
                return None;
            }
        }
        Some(Event::Message { reply: self.reply(message), topic, payload: message.payload.to_vec() })
    }

    fn reply(&self, message: &Publish) -> Option<Reply> {
        let properties = message.properties.as_ref()?;
        let asked = properties.response_topic.as_deref()?;
        let correlation = properties.correlation_data.as_ref().map(|data| data.to_vec()).unwrap_or_default();
        let topic = Topic::response(asked, &self.settings.node);
        if topic.is_none() || correlation.len() > LONGEST_CORRELATION {
            log::warn!("an answer was asked for where this node does not answer: {}", asked.escape_debug());
            return None;
        }
        topic.map(|topic| Reply { topic, correlation })
    }

    /// Says that we leave by our own will, and leaves. What is being done is taken up at the next start.
    async fn leave(mut self) {
        if self.greeting == Greeting::Done {
            let reasons = vec!["the agent was stopped".to_owned()];
            let health = Health { state: Presence::Down, ..Health::there(&self.conn, Timestamp::now(), reasons) };
            self.link.publish(&Topic::Health(self.settings.node.clone()), json(&health), None);
        }
        self.link.close().await;
    }
}

fn json(content: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(content).expect("it holds only texts, numbers and lists")
}
