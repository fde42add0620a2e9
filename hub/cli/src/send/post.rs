//! What is said with the broker: what nodes have told of themselves, what is given to them, and what they say to it.

use std::{collections::BTreeMap, time::Duration};

use anyhow::bail;
use jiff::Timestamp;
use reelmill_api::{
    NodeId,
    error::printable,
    fleet::{
        CommandId, Topic,
        health::{Capabilities, Health},
        topic::{ROOT, filter},
    },
    preset::Tag,
};
use reelmill_daemon::report::Hinted;
use reelmill_mqtt::{Address, Filter, Heard, Link, QoS, Settings};
use tokio::time::{Instant, timeout};

use super::{
    access::Access,
    draft,
    errand::{Errand, Given},
};

/// What was retained has come when nothing came for so long.
const QUIET: Duration = Duration::from_millis(300);
/// But it is not waited for longer than this: nodes tell of themselves all the time.
const LONGEST: Duration = Duration::from_secs(3);
/// How long the broker may take for an answer.
const ANSWER: Duration = Duration::from_secs(10);

/// What all nodes tell of themselves.
pub(super) fn of_all() -> Vec<String> {
    vec![filter::all_capabilities(), filter::all_health()]
}

/// What one node tells of itself.
pub(super) fn of_one(node: &NodeId) -> Vec<String> {
    [Topic::Capabilities(node.clone()), Topic::Health(node.clone())].map(|topic| topic.to_string()).into()
}

/// A command that was given before, and what became of it.
pub(super) fn of_command(node: &NodeId, id: CommandId) -> Vec<String> {
    vec![format!("{ROOT}/n/{node}/cmd/+/{id}"), Topic::State(node.clone(), id).to_string()]
}

/// What comes from the broker.
pub(super) enum News {
    /// A connection stands, and what we want to hear is asked for.
    Up,
    /// What is retained begins to come.
    Subscribed,
    /// A message on a topic of the fleet.
    Message(Topic, Vec<u8>),
    /// The broker has taken a message.
    Taken,
    /// It has not; why.
    Refused(String),
    /// The connection is gone, or did not come about; why, and what can be done. Another is tried by itself.
    Lost(String, Option<String>),
}

/// Our place at the broker.
pub(super) struct Post {
    link: Link,
    at: Address,
    filters: Vec<String>,
}

impl Post {
    /// Connects, and asks for all of these topics.
    ///
    /// # Errors
    /// If there is no connection at once.
    pub(super) async fn open(access: &Access, filters: Vec<String>) -> anyhow::Result<Self> {
        let name: String = draft::random()?.iter().map(|byte| format!("{byte:02x}")).collect();
        let link = Link::open(&Settings {
            host: access.at.host.clone(),
            port: access.at.port,
            client: format!("reelmill-send-{name}"),
            identity: access.identity.clone(),
            keep_alive: Settings::KEEP_ALIVE,
            session: None,
            will: None,
        });
        let mut post = Self { link, at: access.at.clone(), filters };
        loop {
            match post.news().await {
                News::Up => return Ok(post),
                News::Lost(why, hint) => return Err(post.unreachable(&why, hint).into()),
                _ => {}
            }
        }
    }

    fn unreachable(&self, why: &str, hint: Option<String>) -> Hinted {
        let told = format!("no connection to the broker at {}: {why}", self.at);
        Hinted::new(told, hint.unwrap_or_else(|| "is it the broker's port for operators, usually 8884?".to_owned()))
    }

    /// What comes next. Can be dropped while it waits.
    pub(super) async fn news(&mut self) -> News {
        loop {
            match self.link.hear().await {
                Heard::Up(_) => {
                    self.ask(self.filters.clone());
                    return News::Up;
                }
                Heard::Subscribed => return News::Subscribed,
                Heard::Room => {
                    return self.link.remark().map(str::to_owned).map_or(News::Taken, News::Refused);
                }
                Heard::Lost(why) => return News::Lost(why, self.link.remark().map(str::to_owned)),
                Heard::Message(message) => {
                    let topic = String::from_utf8_lossy(&message.topic).parse();
                    let payload = message.payload.to_vec();
                    self.link.acknowledge(message);
                    if let Ok(topic) = topic {
                        return News::Message(topic, payload);
                    }
                }
            }
        }
    }

    fn ask(&mut self, filters: Vec<String>) {
        self.link.subscribe(filters.into_iter().map(|path| Filter::new(path, QoS::AtLeastOnce)).collect());
    }

    /// Asks for what becomes of these too.
    pub(super) fn listen(&mut self, errands: &[Errand]) {
        let more: Vec<_> = errands.iter().map(|it| Topic::State(it.node.clone(), it.id).to_string()).collect();
        // A request of a thousand topics would be larger than a broker takes.
        more.chunks(64).for_each(|some| self.ask(some.to_vec()));
        self.filters.extend(more);
    }

    /// Gives a command; more than once is the same as once.
    pub(super) fn give(&mut self, given: &Given) {
        let within = given.expires_within(Timestamp::now());
        self.link.command(&given.topic(), given.message.clone(), within, given.command.op.class());
    }

    /// Takes a command away, of which the end is known.
    pub(super) fn clear(&mut self, topic: &Topic) {
        self.link.publish(topic, Vec::new(), None);
    }

    /// Leaves, when all is said.
    pub(super) async fn close(self) {
        self.link.close().await;
    }

    /// What the broker keeps on the topics that were asked for.
    ///
    /// # Errors
    /// If the connection is lost.
    pub(super) async fn learn(&mut self) -> anyhow::Result<Known> {
        let mut known = Known { at: self.at.clone(), nodes: BTreeMap::new(), commands: Vec::new() };
        let (mut patience, until) = (ANSWER, Instant::now() + LONGEST);
        while Instant::now() < until {
            match timeout(patience, self.news()).await {
                Err(_) if patience == ANSWER => bail!("the broker at {} does not answer", self.at),
                Err(_) => break,
                Ok(News::Subscribed) => patience = QUIET,
                Ok(News::Lost(why, hint)) => return Err(self.unreachable(&why, hint).into()),
                Ok(News::Message(topic, payload)) => known.hear(topic, payload),
                Ok(_) => {}
            }
        }
        Ok(known)
    }
}

/// What nodes have told of themselves.
pub(super) struct Known {
    at: Address,
    nodes: BTreeMap<NodeId, Told>,
    commands: Vec<(Topic, Vec<u8>)>,
}

#[derive(Default)]
struct Told {
    health: Option<Health>,
    tags: Vec<Tag>,
}

impl Known {
    fn hear(&mut self, topic: Topic, payload: Vec<u8>) {
        match topic {
            Topic::Health(node) => {
                if let Ok(health) = serde_json::from_slice(&payload) {
                    self.nodes.entry(node).or_default().health = Some(health);
                }
            }
            Topic::Capabilities(node) => {
                if let Ok(Capabilities { tags, .. }) = serde_json::from_slice(&payload) {
                    self.nodes.entry(node).or_default().tags = tags;
                }
            }
            topic => self.commands.push((topic, payload)),
        }
    }

    /// Whether a node is there, as far as that is known.
    pub(super) fn health(&self, node: &NodeId) -> Option<&Health> {
        self.nodes.get(node)?.health.as_ref()
    }

    /// The node, if it has told of itself.
    ///
    /// # Errors
    /// If it has not.
    pub(super) fn must_know(&self, node: NodeId) -> anyhow::Result<NodeId> {
        if self.nodes.contains_key(&node) {
            return Ok(node);
        }
        let hint = "is the name right? and may your certificate read what nodes tell at this broker?";
        Err(Hinted::new(format!("nobody named {node} has ever told of itself at {}", self.at), hint).into())
    }

    /// The nodes with a tag.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn tagged(&self, tag: &Tag) -> anyhow::Result<Vec<NodeId>> {
        let tagged = self.nodes.iter().filter(|(_, told)| told.tags.contains(tag));
        let nodes: Vec<NodeId> = tagged.map(|(node, _)| node.clone()).collect();
        if !nodes.is_empty() {
            return Ok(nodes);
        }
        let mut tags: Vec<_> = self.nodes.values().flat_map(|told| told.tags.iter().map(Tag::as_str)).collect();
        tags.sort_unstable();
        tags.dedup();
        let hint = match tags[..] {
            [] => "no node has told of any tag".to_owned(),
            _ => format!("tags are {}", printable(&tags.join(", "))),
        };
        Err(Hinted::new(format!("no node tagged {} has told of itself at {}", tag.as_str(), self.at), hint).into())
    }

    /// A command that was given before.
    ///
    /// # Errors
    /// If nothing is known of it.
    pub(super) fn command(&self, node: NodeId, id: CommandId) -> anyhow::Result<Errand> {
        let mut errand = Errand::given_before(self.must_know(node)?, id).with(self);
        for (topic, payload) in &self.commands {
            errand.hear(topic, payload);
        }
        if errand.topic().is_none() {
            let told = format!("nothing is known of {id} on {}", errand.node);
            let hint = "it has ended and was cleared, or was too late to start, or was never given";
            return Err(Hinted::new(told, hint).into());
        }
        Ok(errand)
    }
}
