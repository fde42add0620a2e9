//! All nodes that the hub knows, for as many readers as there are. No more than so many are kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use jiff::Timestamp;
use reelmill_api::{
    NodeId,
    fleet::topic::Document,
    nodes::{BrokerLine, MetricsAt, Node, NodeList, NodeState},
};

use super::node::{Known, Message, Unfit};
use crate::feed::{Feed, Watch};

/// How many nodes are kept; a farm of that size has a hub of another kind.
pub const MOST: usize = 1000;

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// This node.
    Node(NodeId),
    /// Our line to the broker, and with it perhaps all nodes.
    Broker,
}

/// The nodes, shared.
#[derive(Clone, Debug)]
pub struct Nodes {
    inner: Arc<Mutex<Inner>>,
    feed: Feed<Told>,
}

#[derive(Debug, Default)]
struct Inner {
    broker: Option<BrokerLine>,
    /// Since when we hear the broker.
    listening: Option<Timestamp>,
    known: BTreeMap<NodeId, Known>,
    /// Those that the database does not know as they are.
    changed: BTreeSet<NodeId>,
    /// Those that had to make room.
    gone: BTreeSet<NodeId>,
}

/// What the database has to be told.
#[derive(Debug, Default, PartialEq)]
pub struct Changes {
    /// Nodes that are new or different.
    pub store: Vec<Known>,
    /// Nodes that are no longer kept.
    pub remove: Vec<NodeId>,
}

impl Nodes {
    /// Nodes as they were stored; where there is no broker, `broker` is `None`.
    pub fn new(known: Vec<Known>, broker: Option<BrokerLine>) -> Self {
        let known = known.into_iter().map(|mut known| {
            known.forget_connection();
            (known.node.node.clone(), known)
        });
        let inner = Inner { broker, known: known.collect(), ..Inner::default() };
        Self { inner: Arc::new(Mutex::new(inner)), feed: Feed::new() }
    }

    /// Watches from now on.
    pub fn watch(&self) -> Watch<Told> {
        self.feed.watch()
    }

    /// All nodes by name, without what they report.
    pub fn list(&self) -> NodeList {
        let inner = self.lock();
        let short = |known: &Known| Node { reported: BTreeMap::new(), ..known.node.clone() };
        NodeList { broker: inner.broker.clone(), nodes: inner.known.values().map(short).collect() }
    }

    /// Those whose metrics others can have: name, address, and whether a worker is there that has metrics too.
    pub fn targets(&self) -> Vec<(NodeId, SocketAddr, bool)> {
        let target = |known: &Known| match known.node.metrics {
            Some(MetricsAt::At(at)) => {
                let worker = known.node.reported.get(&Document::Worker);
                Some((known.node.node.clone(), at, worker.is_some_and(|told| told["worker"].is_object())))
            }
            _ => None,
        };
        self.lock().known.values().filter_map(target).collect()
    }

    /// One node, whole.
    pub fn get(&self, node: &NodeId) -> Option<Node> {
        self.lock().known.get(node).map(|known| known.node.clone())
    }

    /// How the line to the broker is; `None` where there is no broker.
    pub fn broker(&self) -> Option<BrokerLine> {
        self.lock().broker.clone()
    }

    /// How many nodes are in each state.
    pub fn count(&self) -> [(NodeState, usize); 4] {
        let inner = self.lock();
        NodeState::ALL.map(|state| (state, inner.known.values().filter(|known| known.node.state == state).count()))
    }

    /// The line to the broker is up, or gone and why.
    pub fn line(&self, lost: Option<String>, now: Timestamp) {
        let mut inner = self.lock();
        let connected = lost.is_none();
        inner.listening = connected.then_some(now);
        let Some(broker) = &mut inner.broker else { return };
        let was = std::mem::replace(&mut broker.connected, connected);
        broker.why = lost;
        if connected {
            inner.known.values_mut().for_each(Known::forget_connection);
        }
        drop(inner);
        if was || connected {
            self.feed.tell(Told::Broker);
        }
    }

    /// Time has passed: nodes of which nothing comes are not taken for there. While we do not hear the broker, nobody knows.
    pub fn wait(&self, now: Timestamp) {
        let mut inner = self.lock();
        let Some(listening) = inner.listening else { return };
        let silent =
            inner.known.values_mut().filter_map(|known| known.wait(listening, now).then(|| known.node.node.clone()));
        let silent: Vec<NodeId> = silent.collect();
        inner.changed.extend(silent.iter().cloned());
        drop(inner);
        silent.into_iter().for_each(|node| self.feed.tell(Told::Node(node)));
    }

    /// Takes in what was said about a node.
    ///
    /// # Errors
    /// If the message is not what its topic promises, or there is no room for another node.
    pub fn hear(&self, node: &NodeId, message: Message<'_>, now: Timestamp) -> Result<(), Unfit> {
        let mut inner = self.lock();
        let mut known = inner.known.get(node).cloned().unwrap_or_else(|| Known::named(node.clone()));
        if !known.hear(message, now)? {
            return Ok(());
        }
        if !inner.known.contains_key(node) && !inner.make_room() {
            return Err(Unfit::Other(format!("{MOST} nodes are known and all of them are there")));
        }
        inner.gone.remove(node);
        inner.changed.insert(node.clone());
        inner.known.insert(node.clone(), known);
        drop(inner);
        self.feed.tell(Told::Node(node.clone()));
        Ok(())
    }

    /// What the database does not know yet; it is taken to be told.
    pub fn take_changes(&self) -> Changes {
        let mut inner = self.lock();
        let changed = std::mem::take(&mut inner.changed);
        let store = changed.iter().filter_map(|node| inner.known.get(node).cloned()).collect();
        Changes { store, remove: std::mem::take(&mut inner.gone).into_iter().collect() }
    }

    /// Changes that could not be stored are to be stored later.
    pub fn put_back(&self, changes: &Changes) {
        let mut inner = self.lock();
        inner.changed.extend(changes.store.iter().map(|known| known.node.node.clone()));
        inner.gone.extend(changes.remove.iter().cloned());
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Inner {
    /// Makes room for another node, at the cost of the one that is away the longest; whether there is room.
    fn make_room(&mut self) -> bool {
        if self.known.len() < MOST {
            return true;
        }
        let away = self.known.values().filter(|known| known.node.state == NodeState::Down);
        let Some(longest) = away.min_by_key(|known| known.node.last_seen).map(|known| known.node.node.clone()) else {
            return false;
        };
        self.known.remove(&longest);
        self.changed.remove(&longest);
        self.gone.insert(longest);
        true
    }
}

#[cfg(test)]
mod tests {
    use reelmill_api::fleet::topic::Topic;

    use super::*;
    use crate::feed::Heard;

    fn name(i: usize) -> NodeId {
        format!("node-{i}").parse().expect("a name")
    }

    fn say(nodes: &Nodes, i: usize, state: &str, second: i64) -> Result<(), Unfit> {
        let payload = format!(r#"{{"v":1,"state":"{state}","conn":"a"}}"#);
        let message = Message { topic: &Topic::Health(name(i)), payload: payload.as_bytes(), retained: false };
        nodes.hear(&name(i), message, Timestamp::from_second(second).expect("a time"))
    }

    #[test]
    fn a_flood_of_names_finds_no_room_and_who_is_away_longest_makes_it() {
        let nodes = Nodes::new(Vec::new(), None);
        for i in 0..MOST {
            say(&nodes, i, "up", 1000 - i64::try_from(i % 7).expect("small")).expect("there is room");
        }
        let full = say(&nodes, MOST, "up", 2000).expect_err("it is full");
        assert_eq!(full.to_string(), "1000 nodes are known and all of them are there");
        say(&nodes, 3, "down", 2000).expect("it is known");
        say(&nodes, 6, "down", 2000).expect("it is known");
        nodes.take_changes();
        say(&nodes, MOST, "up", 2001).expect("one is away");
        assert_eq!((nodes.get(&name(6)), nodes.list().nodes.len()), (None, MOST));
        let changes = nodes.take_changes();
        assert_eq!((changes.store.len(), changes.remove), (1, vec![name(6)]));
        assert_eq!(nodes.count().map(|(_, n)| n), [MOST - 1, 0, 1, 0]);
    }

    #[test]
    fn what_could_not_be_stored_is_stored_later() {
        let nodes = Nodes::new(Vec::new(), None);
        say(&nodes, 1, "up", 1).expect("there is room");
        let changes = nodes.take_changes();
        assert_eq!(nodes.take_changes(), Changes::default());
        nodes.put_back(&changes);
        assert_eq!(nodes.take_changes(), changes);
        say(&nodes, 1, "up", 1).expect("nothing new");
        assert_eq!(nodes.take_changes(), Changes::default(), "what changes nothing is not stored");
    }

    #[tokio::test]
    async fn who_watches_is_told_of_the_line_once() {
        let broker = BrokerLine { address: "a:1".to_owned(), connected: false, why: None };
        let nodes = Nodes::new(Vec::new(), Some(broker));
        let mut watch = nodes.watch();
        nodes.line(Some("refused".to_owned()), Timestamp::UNIX_EPOCH);
        assert_eq!(nodes.broker().and_then(|b| b.why).as_deref(), Some("refused"));
        nodes.line(None, Timestamp::UNIX_EPOCH);
        nodes.line(Some("gone".to_owned()), Timestamp::UNIX_EPOCH);
        nodes.line(Some("still gone".to_owned()), Timestamp::UNIX_EPOCH);
        drop(nodes);
        let told = [watch.next().await, watch.next().await, watch.next().await];
        assert_eq!(told, [Heard::Changed(Told::Broker), Heard::Changed(Told::Broker), Heard::Ended]);
    }
}
