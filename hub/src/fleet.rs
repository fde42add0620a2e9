//! The hub's side of the fleet, as far as it only listens: what all nodes say of themselves, kept for the page and the API.

mod node;
mod nodes;
mod place;

use std::time::Duration;

use jiff::Timestamp;
use reelmill_api::fleet::topic::{Topic, filter};
use reelmill_mqtt::{Filter, Heard, Identity, Link, Publish, QoS, Settings};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) use self::place::all_names;
pub use self::{
    node::{Known, Message, Unfit},
    nodes::{Changes, MOST, Nodes, Told},
    place::{Place, Shown},
};
use crate::db::Db;

/// How often what changed is stored: a crash loses so much of what the broker does not remember.
const STORE_EVERY: Duration = Duration::from_secs(5);

/// Listens to the fleet.
#[derive(Debug)]
pub struct Fleet {
    /// What it learns.
    pub nodes: Nodes,
    /// Where it is stored.
    pub db: Db,
    /// Where it is heard.
    pub settings: Settings,
}

/// A hub's line to the broker at that address.
pub fn line(host: &str, port: u16, identity: Identity) -> Settings {
    Settings {
        host: host.to_owned(),
        port,
        // A second hub does not push out the first.
        client: format!("hub-{}", Uuid::new_v4().simple()),
        identity,
        keep_alive: Settings::KEEP_ALIVE,
        // What counts is retained, and told again.
        session: None,
        will: None,
    }
}

impl Fleet {
    /// Listens until told to stop. A broker that is away is waited for.
    pub async fn run(self, stop: CancellationToken) {
        let mut link = Link::open(&self.settings);
        let mut tick = interval(STORE_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                heard = link.hear() => self.heard(heard, &mut link),
                _ = tick.tick() => {
                    self.nodes.wait(now());
                    self.store().await;
                }
            }
        }
        link.close().await;
        self.store().await;
    }

    fn heard(&self, heard: Heard, link: &mut Link) {
        match heard {
            Heard::Up(_) => {
                // Before anything is told, so that what is told counts.
                self.nodes.line(None, now());
                link.subscribe(filters());
            }
            Heard::Message(message) => {
                self.message(&message);
                link.acknowledge(message);
            }
            Heard::Subscribed => {}
            Heard::Room => link.flush(),
            Heard::Lost(why) => self.nodes.line(Some(why), now()),
        }
    }

    fn message(&self, message: &Publish) {
        let text = String::from_utf8_lossy(&message.topic);
        let Some((topic, node)) = text.parse::<Topic>().ok().and_then(|topic| of_node(&topic).map(|n| (topic, n)))
        else {
            log::debug!("a message on {} is passed over", text.escape_debug());
            return;
        };
        let heard = Message { topic: &topic, payload: &message.payload, retained: message.retain };
        if let Err(why) = self.nodes.hear(&node, heard, now()) {
            log::debug!("a message on {topic} is passed over: {why}");
        }
    }

    async fn store(&self) {
        let changes = self.nodes.take_changes();
        if changes == Changes::default() {
            return;
        }
        if let Err(e) = self.db.store_nodes(&changes).await {
            log::warn!("cannot store what is known of the nodes: {e}; it is tried again");
            self.nodes.put_back(&changes);
        }
    }
}

/// Whose topic it is, of those that we listen to.
fn of_node(topic: &Topic) -> Option<reelmill_api::NodeId> {
    match topic {
        Topic::Health(node) | Topic::Capabilities(node) | Topic::Heartbeat(node) | Topic::Reported(node, _) => {
            Some(node.clone())
        }
        _ => None,
    }
}

fn filters() -> Vec<Filter> {
    let confirmed = [filter::all_health(), filter::all_capabilities(), filter::all_reported()];
    let filters = confirmed.into_iter().map(|path| Filter::new(path, QoS::AtLeastOnce));
    filters.chain([Filter::new(filter::all_heartbeats(), QoS::AtMostOnce)]).collect()
}

/// Now, to the millisecond, which is enough for people.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}
