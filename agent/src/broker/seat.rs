//! Who sits between the broker, the core, the ledger and the deeds, and alone knows all of them.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use reelmill_api::{
    fleet::{
        CommandId, CommandState, Op, Topic,
        event::NodeEvent,
        health::{Capabilities, Health, Presence},
        topic::{Document, filter},
    },
    preset::Tag,
};
use reelmill_mqtt::{Filter, Heard, Link, Publish, QoS, RetainForwardRule};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Desk, Settings, World, json, work};
use crate::{
    core::{Effect, Event, Now, Reply},
    deeds::Deeds,
    ledger::LedgerError,
};

/// How often the heartbeat is published.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// More events are not kept for a broker that is away.
const MOST_UNTOLD: usize = 16;
/// Longer correlation data is none of ours to carry around.
const LONGEST_CORRELATION: usize = 64;

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

pub(super) struct Seat<'a, D> {
    settings: &'a Settings,
    pub(super) desk: Desk<D>,
    pub(super) link: Link,
    /// The nonce of the present connection.
    conn: String,
    greeting: Greeting,
    started: Instant,
    tell: mpsc::Sender<Event>,
    stops: HashMap<CommandId, CancellationToken>,
    shown: World,
    next_beat: Instant,
    /// What happened while nobody could be told.
    untold: Vec<NodeEvent>,
}

impl<'a, D: Deeds> Seat<'a, D> {
    /// A seat that has heard nothing yet.
    pub(super) fn new(settings: &'a Settings, desk: Desk<D>, tell: mpsc::Sender<Event>) -> Self {
        Self {
            settings,
            desk,
            link: Link::open(&settings.line()),
            conn: String::new(),
            greeting: Greeting::None,
            started: Instant::now(),
            tell,
            stops: HashMap::new(),
            shown: World::default(),
            next_beat: Instant::now(),
            untold: Vec::new(),
        }
    }

    /// Tells the core what happened, and does what it says.
    pub(super) fn step(&mut self, event: Event) -> Result<(), LedgerError> {
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
                let part = match state.state {
                    CommandState::Running { phase } => format!(" ({phase:?})").to_lowercase(),
                    _ => String::new(),
                };
                log::info!("{} {}: {}{part}", state.op, state.id, state.state.as_str());
                self.link.publish(&Topic::State(node, state.id), state.to_payload(), None);
                self.desk.line.send_modify(|line| line.last = self.desk.core.last().cloned());
            }
            Effect::Clear(id) => self.link.publish(&Topic::State(node, id), Vec::new(), None),
            Effect::Tell(event) if self.greeting != Greeting::Done => self.keep(*event),
            Effect::Tell(event) => self.say(&event),
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

    /// An event is told once, so one that nobody can hear now is told later; a state is told again anyway.
    fn keep(&mut self, event: NodeEvent) {
        if self.untold.len() < MOST_UNTOLD {
            self.untold.push(event);
        }
    }

    /// Something was heard on the line.
    pub(super) fn hear(&mut self, heard: Heard) -> Result<(), LedgerError> {
        match heard {
            Heard::Up(conn) => {
                self.greeting = Greeting::Subscribing;
                self.conn = conn;
                let tags = self.desk.world.borrow().around.tags.clone();
                self.subscribe(&tags);
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

    /// Subscribes to all that concerns the node, and asks for what is retained there.
    fn subscribe(&mut self, tags: &[Tag]) {
        let node = &self.settings.node;
        let mut filters = vec![filter::commands(node), filter::desired(node)];
        filters.extend(tags.iter().map(filter::group));
        self.link.subscribe(filters.into_iter().map(|path| Filter::new(path, QoS::AtLeastOnce)).collect());
    }

    /// Asks for an answer that the broker gives after all that it has to send now: it takes requests in their order, so
    /// a second subscription to the same, without what is retained, is a question without any effect.
    fn ask_for_the_end(&mut self) {
        let mut again = Filter::new(filter::desired(&self.settings.node), QoS::AtLeastOnce);
        again.retain_forward_rule = RetainForwardRule::Never;
        self.link.subscribe(vec![again]);
    }

    fn subscribed(&mut self) -> Result<(), LedgerError> {
        match self.greeting {
            Greeting::Subscribing | Greeting::Asking { heard: true } => {
                self.greeting = Greeting::Asking { heard: false };
                self.ask_for_the_end();
                Ok(())
            }
            Greeting::Asking { heard: false } => {
                self.greeting = Greeting::Done;
                self.desk.line.send_modify(|line| line.connections += 1);
                self.introduce();
                self.step(Event::Settled)
            }
            Greeting::None | Greeting::Done => Ok(()),
        }
    }

    /// Says who we are and how.
    fn introduce(&mut self) {
        let able = self.desk.core.able();
        let without: Vec<&str> = Op::NAMES.iter().filter(|n| !able.contains(*n)).copied().collect();
        let tags = self.shown.around.tags.clone();
        let capabilities = Capabilities::of(env!("CARGO_PKG_VERSION"), tags, &without);
        self.link.publish(&Topic::Capabilities(self.settings.node.clone()), json(&capabilities), None);
        self.show_health();
        self.report(&[]);
        self.beat();
        for event in std::mem::take(&mut self.untold) {
            self.say(&event);
        }
        self.desk.line.send_modify(|line| (line.connected, line.why) = (true, None));
    }

    fn show_health(&mut self) {
        let health = Health::there(&self.conn, Timestamp::now(), self.shown.unwell.clone());
        self.link.publish(&Topic::Health(self.settings.node.clone()), json(&health), None);
    }

    /// Tells of something that happened, if somebody is there to hear it.
    pub(super) fn say(&mut self, event: &NodeEvent) {
        self.link.publish(&Topic::Event(self.settings.node.clone(), event.kind), json(event), None);
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

    /// Time has passed.
    pub(super) fn tick(&mut self) -> Result<(), LedgerError> {
        self.link.flush();
        if self.greeting == Greeting::Done && Instant::now() >= self.next_beat {
            self.beat();
        }
        self.step(Event::Tick)
    }

    /// Takes over what others have found out, and tells what of it has changed.
    pub(super) fn look_around(&mut self) -> Result<(), LedgerError> {
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
                self.subscribe(&self.shown.around.tags.clone());
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
    pub(super) async fn leave(mut self) {
        if self.greeting == Greeting::Done {
            let reasons = vec!["the agent was stopped".to_owned()];
            let health = Health { state: Presence::Down, ..Health::there(&self.conn, Timestamp::now(), reasons) };
            self.link.publish(&Topic::Health(self.settings.node.clone()), json(&health), None);
        }
        self.link.close().await;
    }
}
