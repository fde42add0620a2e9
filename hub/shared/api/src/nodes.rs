//! A node as its hub knows it: what `GET /v1/nodes` shows. All of it was told by the node itself, and is bounded.

use std::{collections::BTreeMap, net::SocketAddr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    NodeId,
    fleet::{OpName, Text, health::Heartbeat, topic::Document},
    preset::Tag,
};

/// All nodes that a hub knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeList {
    /// The hub's line to the broker, without which nothing here is new; absent where the hub has no broker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broker: Option<BrokerLine>,
    /// The nodes, by name.
    pub nodes: Vec<Node>,
}

/// How a hub stands to the broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerLine {
    /// Where nodes and operators find it, `HOST:PORT`.
    pub address: String,
    /// Whether the hub hears it.
    pub connected: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub node: NodeId,
    /// Whether it is there.
    pub state: NodeState,
    /// What is not as it should be, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Text<200>>,
    /// When it last said something, by the hub's clock; absent where only the broker's memory tells of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
    /// The agent's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Text<64>>,
    /// What it is made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub board: Option<Text<100>>,
    /// What its owner says of it, and what it found out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// The operations that it can do, and their versions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ops: BTreeMap<OpName, u32>,
    /// Its last heartbeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<Heartbeat>,
    /// Where its metrics can be had; absent where it has not said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<MetricsAt>,
    /// What it reports, whole; only where one node is asked for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reported: BTreeMap<Document, Value>,
}

/// Where other machines can have a node's metrics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricsAt {
    /// At its page, which listens there.
    At(SocketAddr),
    /// Nowhere, and why.
    Nowhere(Text<200>),
}

impl MetricsAt {
    /// Nowhere, because of that.
    pub fn nowhere(why: &str) -> Self {
        Self::Nowhere(Text::cut(why))
    }

    /// What a node says of itself, as far as somebody else may believe it: an address of the reader's own machine, or of no
    /// single machine, is nobody's page.
    #[must_use]
    pub fn as_heard(self) -> Self {
        match self {
            Self::At(at) if is_of_one_machine(at) => self,
            Self::At(at) => Self::nowhere(&format!("it names {at}, which is no address of one other machine")),
            Self::Nowhere(_) => self,
        }
    }
}

fn is_of_one_machine(at: SocketAddr) -> bool {
    let ip = at.ip().to_canonical();
    let is_broadcast = matches!(ip, std::net::IpAddr::V4(ip) if ip.is_broadcast());
    at.port() != 0 && !ip.is_loopback() && !ip.is_unspecified() && !ip.is_multicast() && !is_broadcast
}

/// Whether a node is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// It is there and well.
    Up,
    /// It is there, and something is wrong.
    Degraded,
    /// It is not there.
    Down,
    /// Nobody has said so far.
    Unknown,
}

impl NodeState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Up, Self::Degraded, Self::Down, Self::Unknown];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Down => "down",
            Self::Unknown => "unknown",
        }
    }
}

impl Node {
    /// A node of which only the name is known.
    pub fn named(node: NodeId) -> Self {
        Self {
            node,
            state: NodeState::Unknown,
            reasons: Vec::new(),
            last_seen: None,
            agent: None,
            board: None,
            tags: Vec::new(),
            ops: BTreeMap::new(),
            heartbeat: None,
            metrics: None,
            reported: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_at_an_address_of_one_other_machine_or_nowhere() {
        let check = |at: &str, want: &str| {
            let heard = MetricsAt::At(at.parse().expect("an address")).as_heard();
            assert_eq!(serde_json::to_string(&heard).expect("JSON"), want, "{at}");
        };
        check("10.0.0.3:9310", r#"{"at":"10.0.0.3:9310"}"#);
        check("[fd00::3]:9310", r#"{"at":"[fd00::3]:9310"}"#);
        let nowhere = |at: &str| format!(r#"{{"nowhere":"it names {at}, which is no address of one other machine"}}"#);
        for at in ["127.0.0.1:9310", "[::1]:1", "0.0.0.0:1", "[::]:1", "224.0.0.1:1", "255.255.255.255:1", "10.0.0.3:0"]
        {
            check(at, &nowhere(at));
        }
        check("[::ffff:127.0.0.1]:1", &nowhere("[::ffff:127.0.0.1]:1"));
    }
}
