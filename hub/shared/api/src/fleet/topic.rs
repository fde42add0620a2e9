//! The topics of the fleet's broker, and how a message on each is delivered. The only file that spells a topic.
//!
//! ```text
//! reelmill/1/n/<node>/cmd/<op>/<id>    a command; who gave it clears it once its end is stored
//! reelmill/1/n/<node>/st/<id>          what became of the command; the node clears it when the command is cleared
//! reelmill/1/n/<node>/ev/<kind>        something happened on the node
//! reelmill/1/n/<node>/health           up, degraded, down; the last will goes here too
//! reelmill/1/n/<node>/cap              what the node can do
//! reelmill/1/n/<node>/rep/<doc>        what is, e.g. `os`
//! reelmill/1/n/<node>/des/<doc>        what shall be, signed
//! reelmill/1/n/<node>/m                the heartbeat
//! reelmill/1/g/<group>/cmd/<op>/<id>   a command to all nodes with a tag, only where it needs no signature
//! reelmill/1/r/<requester>/<node>      a node's answer to a request
//! ```

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use super::{CommandId, OpName};
use crate::{NodeId, error::printable, preset::Tag};

/// What all topics begin with: the protocol's name and its major version.
pub const ROOT: &str = "reelmill/1";

/// Largest command, bytes.
pub const MAX_COMMAND: usize = 32 * 1024;
/// Largest state of a command, bytes.
pub const MAX_STATE: usize = 16 * 1024;
/// Largest reported or desired document, bytes.
pub const MAX_DOCUMENT: usize = 64 * 1024;
/// Largest of all other messages, bytes.
pub const MAX_OTHER: usize = 8 * 1024;

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// A command to one node.
    Command(NodeId, OpName, CommandId),
    /// What became of a command.
    State(NodeId, CommandId),
    /// Something happened on a node.
    Event(NodeId, EventKind),
    /// Whether a node is there.
    Health(NodeId),
    /// What a node can do.
    Capabilities(NodeId),
    /// What is on a node.
    Reported(NodeId, Document),
    /// What shall be on a node.
    Desired(NodeId, Document),
    /// A node's heartbeat.
    Heartbeat(NodeId),
    /// A command to all nodes with a tag.
    Group(Tag, OpName, CommandId),
    /// A node's answer to who asked.
    Response(Requester, NodeId),
}

/// A text that is no topic of this protocol.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{}` is no topic of {ROOT}", printable(.0))]
pub struct NotATopic(String);

/// A word of a closed list that is a level of a topic.
macro_rules! level {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name { $($(#[$of])* $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The word.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            fn of(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|it| it.as_str() == word)
            }
        }
    };
}

level! {
    /// Documents about a node, reported by it or desired of it.
    Document {
        /// The system: generation, release, kernel, boot.
        Os = "os",
        /// The worker: version, engines, what it encodes.
        Worker = "worker",
        /// The machine: board, processor, memory, disks.
        Hw = "hw",
        /// Addresses and links.
        Net = "net",
        /// Settings.
        Conf = "conf",
    }
}

level! {
    /// What may happen on a node.
    EventKind {
        /// It started.
        Boot = "boot",
        /// A new system was unwell and the old one is back.
        Rollback = "rollback",
        /// It was drained, or takes work again.
        Lock = "lock",
        /// It became too hot, or is well again.
        Thermal = "thermal",
        /// The worker ended by itself.
        WorkerCrash = "worker-crash",
        /// A message that claimed the id of another command was refused.
        Refused = "refused",
        /// Lines came into a journal that a command follows.
        Log = "log",
    }
}

/// Who asks: the level of a response topic that only they read. 1 to 64 ASCII letters, digits and hyphens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Requester(String);

impl Requester {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Requester {
    type Err = NotATopic;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let ok = (1..=64).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if ok { Ok(Self(s.to_owned())) } else { Err(NotATopic(s.to_owned())) }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(node, op, id) => write!(f, "{ROOT}/n/{node}/cmd/{op}/{id}"),
            Self::State(node, id) => write!(f, "{ROOT}/n/{node}/st/{id}"),
            Self::Event(node, kind) => write!(f, "{ROOT}/n/{node}/ev/{}", kind.as_str()),
            Self::Health(node) => write!(f, "{ROOT}/n/{node}/health"),
            Self::Capabilities(node) => write!(f, "{ROOT}/n/{node}/cap"),
            Self::Reported(node, doc) => write!(f, "{ROOT}/n/{node}/rep/{}", doc.as_str()),
            Self::Desired(node, doc) => write!(f, "{ROOT}/n/{node}/des/{}", doc.as_str()),
            Self::Heartbeat(node) => write!(f, "{ROOT}/n/{node}/m"),
            Self::Group(group, op, id) => write!(f, "{ROOT}/g/{}/cmd/{op}/{id}", group.as_str()),
            Self::Response(requester, node) => write!(f, "{ROOT}/r/{}/{node}", requester.as_str()),
        }
    }
}

impl FromStr for Topic {
    type Err = NotATopic;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        read(s).ok_or_else(|| NotATopic(s.to_owned()))
    }
}

fn read(text: &str) -> Option<Topic> {
    let levels: Vec<&str> = text.strip_prefix(ROOT)?.strip_prefix('/')?.split('/').collect();
    Some(match levels.as_slice() {
        ["n", node, rest @ ..] => of_node(node.parse().ok()?, rest)?,
        ["g", group, "cmd", op, id] => Topic::Group(group.parse().ok()?, op.parse().ok()?, id.parse().ok()?),
        ["r", requester, node] => Topic::Response(requester.parse().ok()?, node.parse().ok()?),
        _ => return None,
    })
}

fn of_node(node: NodeId, rest: &[&str]) -> Option<Topic> {
    Some(match rest {
        ["cmd", op, id] => Topic::Command(node, op.parse().ok()?, id.parse().ok()?),
        ["st", id] => Topic::State(node, id.parse().ok()?),
        ["ev", kind] => Topic::Event(node, EventKind::of(kind)?),
        ["health"] => Topic::Health(node),
        ["cap"] => Topic::Capabilities(node),
        ["rep", doc] => Topic::Reported(node, Document::of(doc)?),
        ["des", doc] => Topic::Desired(node, Document::of(doc)?),
        ["m"] => Topic::Heartbeat(node),
        _ => return None,
    })
}

/// How a message is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Whether the broker must confirm it (QoS 1), or may lose it (QoS 0).
    pub confirmed: bool,
    /// Whether the broker keeps it for who subscribes later.
    pub retained: bool,
    /// When the broker forgets it; of a command, that is when it may no longer start.
    pub expires_after: Option<Duration>,
    /// Its largest payload, bytes.
    pub limit: usize,
}

impl Topic {
    /// How messages on this topic are delivered.
    pub fn delivery(&self) -> Delivery {
        const MINUTE: Duration = Duration::from_secs(60);
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        let (confirmed, retained, expires_after, limit) = match self {
            Self::Command(..) => (true, true, None, MAX_COMMAND),
            Self::State(..) => (true, true, Some(7 * DAY), MAX_STATE),
            Self::Event(..) => (true, false, Some(DAY), MAX_OTHER),
            Self::Health(_) | Self::Capabilities(_) => (true, true, None, MAX_OTHER),
            Self::Reported(..) | Self::Desired(..) => (true, true, None, MAX_DOCUMENT),
            Self::Heartbeat(_) => (false, false, Some(MINUTE), MAX_OTHER),
            Self::Group(..) => (true, false, None, MAX_COMMAND),
            Self::Response(..) => (true, false, Some(MINUTE), MAX_DOCUMENT),
        };
        Delivery { confirmed, retained, expires_after, limit }
    }

    /// The response topic of a request, if it is one on which only this node may answer. A node that answered wherever it
    /// is told to would write in its own name what the asker may not write.
    pub fn response(text: &str, own: &NodeId) -> Option<Self> {
        text.parse().ok().filter(|topic| matches!(topic, Self::Response(_, node) if node == own))
    }
}

/// What is subscribed to: a topic with wildcards.
pub mod filter {
    use super::{NodeId, ROOT, Requester, Tag};

    /// All commands to one node.
    pub fn commands(node: &NodeId) -> String {
        format!("{ROOT}/n/{node}/cmd/#")
    }

    /// All that is desired of one node.
    pub fn desired(node: &NodeId) -> String {
        format!("{ROOT}/n/{node}/des/+")
    }

    /// All commands to the nodes with a tag.
    pub fn group(tag: &Tag) -> String {
        format!("{ROOT}/g/{}/cmd/#", tag.as_str())
    }

    /// The states of one node's commands.
    pub fn states_of(node: &NodeId) -> String {
        format!("{ROOT}/n/{node}/st/+")
    }

    /// The answers to one requester.
    pub fn responses(requester: &Requester) -> String {
        format!("{ROOT}/r/{}/+", requester.as_str())
    }

    /// The states of all commands of all nodes.
    pub fn all_states() -> String {
        format!("{ROOT}/n/+/st/+")
    }

    /// The health of all nodes.
    pub fn all_health() -> String {
        format!("{ROOT}/n/+/health")
    }

    /// What all nodes can do.
    pub fn all_capabilities() -> String {
        format!("{ROOT}/n/+/cap")
    }

    /// What all nodes report.
    pub fn all_reported() -> String {
        format!("{ROOT}/n/+/rep/+")
    }

    /// The events of all nodes.
    pub fn all_events() -> String {
        format!("{ROOT}/n/+/ev/+")
    }

    /// The heartbeats of all nodes.
    pub fn all_heartbeats() -> String {
        format!("{ROOT}/n/+/m")
    }

    /// The same filter for several hubs, each message going to one of them.
    pub fn shared(filter: &str) -> String {
        format!("$share/hub/{filter}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01M81B5H80NENTQAXBNENTQAXB";

    #[test]
    fn every_topic_is_read_as_it_is_written() {
        for topic in [
            &format!("reelmill/1/n/orin-3/cmd/logs-tail/{ID}"),
            &format!("reelmill/1/n/orin-3/st/{ID}"),
            "reelmill/1/n/orin-3/ev/worker-crash",
            "reelmill/1/n/orin-3/health",
            "reelmill/1/n/orin-3/cap",
            "reelmill/1/n/orin-3/rep/os",
            "reelmill/1/n/orin-3/des/conf",
            "reelmill/1/n/orin-3/m",
            &format!("reelmill/1/g/lan/cmd/ping/{ID}"),
            "reelmill/1/r/hub-1/orin-3",
        ] {
            assert_eq!(topic.parse::<Topic>().map(|t| t.to_string()).as_deref(), Ok(topic));
        }
    }

    #[test]
    fn refuses_what_is_no_topic() {
        for bad in [
            "",
            "reelmill/1",
            "reelmill/2/n/orin-3/health",
            "reelmill/1/n/+/health",
            "reelmill/1/n/Orin/health",
            "reelmill/1/n/orin-3/health/",
            "/reelmill/1/n/orin-3/health",
            "reelmill/1/n/orin-3/cmd/reboot/1",
            "reelmill/1/n/orin-3/cmd/#",
            "reelmill/1/n/orin-3/ev/other",
            &format!("reelmill/1/n/orin-3/cmd/Reboot/{ID}"),
            &format!("reelmill/1/g/l\u{e4}n/cmd/ping/{ID}"),
        ] {
            assert_eq!(bad.parse::<Topic>(), Err(NotATopic(bad.to_owned())));
        }
    }

    #[test]
    fn a_node_answers_only_on_its_own_response_topics() {
        let own = "orin-3".parse().expect("a node");
        let answers = |text: &str| Topic::response(text, &own).map(|t| t.to_string());
        assert_eq!(answers("reelmill/1/r/hub-1/orin-3").as_deref(), Some("reelmill/1/r/hub-1/orin-3"));
        for confused in [
            "reelmill/1/r/hub-1/orin-4",
            "reelmill/1/r/hub/1/orin-3",
            "reelmill/1/r/orin-3",
            "reelmill/1/n/orin-3/health",
            "reelmill/1/r/+/orin-3",
            "x/reelmill/1/r/hub-1/orin-3",
        ] {
            assert_eq!(answers(confused), None, "{confused}");
        }
    }

    #[test]
    fn filters_match_what_they_are_for() {
        let node = "orin-3".parse().expect("a node");
        assert_eq!(filter::commands(&node), "reelmill/1/n/orin-3/cmd/#");
        assert_eq!(filter::desired(&node), "reelmill/1/n/orin-3/des/+");
        assert_eq!(filter::group(&"lan".parse().expect("a tag")), "reelmill/1/g/lan/cmd/#");
        assert_eq!(filter::responses(&"hub-1".parse().expect("a name")), "reelmill/1/r/hub-1/+");
        assert_eq!(filter::states_of(&node), "reelmill/1/n/orin-3/st/+");
        assert_eq!(filter::shared(&filter::all_states()), "$share/hub/reelmill/1/n/+/st/+");
    }

    #[test]
    fn commands_and_states_are_kept_heartbeats_may_be_lost() {
        let delivery = |text: &str| text.parse::<Topic>().expect("a topic").delivery();
        let command = delivery(&format!("reelmill/1/n/orin-3/cmd/reboot/{ID}"));
        assert_eq!((command.confirmed, command.retained, command.limit), (true, true, 32 * 1024));
        let group = delivery(&format!("reelmill/1/g/lan/cmd/ping/{ID}"));
        assert_eq!((group.confirmed, group.retained), (true, false));
        let state = delivery(&format!("reelmill/1/n/orin-3/st/{ID}"));
        assert_eq!((state.retained, state.expires_after), (true, Some(Duration::from_secs(7 * 86_400))));
        let beat = delivery("reelmill/1/n/orin-3/m");
        assert_eq!((beat.confirmed, beat.retained, beat.expires_after), (false, false, Some(Duration::from_secs(60))));
    }
}
