//! What the broker remembers: the last retained message of each topic, until it expires or is cleared.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rumqttc::v5::mqttbytes::{QoS, matches, v5::PublishProperties};
use serde::{Deserialize, Serialize};

use super::message::{Message, Refused};

/// How much is kept below one node's topics: messages, and bytes.
const PER_NODE: (usize, usize) = (512, 2 * 1024 * 1024);
/// How much is kept in all, bytes.
const IN_ALL: usize = 64 * 1024 * 1024;

/// The retained messages.
#[derive(Debug, Default)]
pub(super) struct Retained {
    messages: BTreeMap<String, Message>,
    bytes: usize,
    changed: BTreeSet<String>,
}

/// A retained message as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// Its topic.
    pub topic: String,
    /// Its content.
    #[serde(with = "text")]
    pub payload: Vec<u8>,
    /// What it is delivered with: 0 or 1.
    confirmed: bool,
    expires: Option<Timestamp>,
    #[serde(default)]
    response_topic: Option<String>,
    #[serde(default)]
    correlation: Option<Vec<u8>>,
    #[serde(default)]
    content_type: Option<String>,
    #[serde(default)]
    user: Vec<(String, String)>,
}

/// What the database has to be told.
#[derive(Debug, Default, PartialEq)]
pub struct Changes {
    /// New and other messages.
    pub store: Vec<Kept>,
    /// Topics that have none any more.
    pub remove: Vec<String>,
}

/// Most content is text; what is not is kept as a list of numbers.
mod text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Content<'a> {
        Text(std::borrow::Cow<'a, str>),
        Bytes(Vec<u8>),
    }

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        let text = std::str::from_utf8(bytes).map(|text| Content::Text(text.into()));
        text.unwrap_or_else(|_| Content::Bytes(bytes.to_vec())).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        Ok(match Content::deserialize(from)? {
            Content::Text(text) => text.into_owned().into_bytes(),
            Content::Bytes(bytes) => bytes,
        })
    }
}

impl Changes {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.store.is_empty() && self.remove.is_empty()
    }
}

impl Retained {
    /// What was stored, but what has expired since.
    pub(super) fn new(kept: Vec<Kept>, now: Timestamp) -> Self {
        let mut retained = Self::default();
        for message in kept.into_iter().map(Message::from) {
            retained.bytes += message.weight();
            retained.messages.insert(message.topic.clone(), message);
        }
        retained.sweep(now);
        retained
    }

    /// Remembers a message instead of the one before it; an empty one clears its topic.
    pub(super) fn keep(&mut self, message: &Message) -> Result<(), Refused> {
        if message.payload.is_empty() {
            self.remove(&message.topic);
            return Ok(());
        }
        let before = self.messages.get(&message.topic).map_or(0, Message::weight);
        if self.bytes - before + message.weight() > IN_ALL || !self.has_room_for(message) {
            return Err(Refused::TooMuch);
        }
        self.remove(&message.topic);
        self.bytes += message.weight();
        self.changed.insert(message.topic.clone());
        self.messages.insert(message.topic.clone(), message.clone());
        Ok(())
    }

    /// Whether the node that the topic is of may have one more.
    fn has_room_for(&self, message: &Message) -> bool {
        // reelmill/1/n/<node>/...
        let node: String = message.topic.split_inclusive('/').take(4).collect();
        let of_node = self.messages.range(node.clone()..).take_while(|(topic, _)| topic.starts_with(&node));
        let others = of_node.filter(|(topic, _)| **topic != message.topic);
        let (count, bytes) = others.fold((1, message.weight()), |(n, b), (_, m)| (n + 1, b + m.weight()));
        count <= PER_NODE.0 && bytes <= PER_NODE.1
    }

    fn remove(&mut self, topic: &str) {
        if let Some(gone) = self.messages.remove(topic) {
            self.bytes -= gone.weight();
            self.changed.insert(topic.to_owned());
        }
    }

    /// Forgets what has expired.
    pub(super) fn sweep(&mut self, now: Timestamp) {
        let expired = self.messages.values().filter(|message| message.is_expired(now));
        let expired: Vec<String> = expired.map(|message| message.topic.clone()).collect();
        expired.iter().for_each(|topic| self.remove(topic));
    }

    /// All that a filter lets through.
    pub(super) fn matching(&self, filter: &str, now: Timestamp) -> Vec<Message> {
        let fitting = |message: &&Message| !message.is_expired(now) && matches(&message.topic, filter);
        self.messages.values().filter(fitting).cloned().collect()
    }

    /// What the database does not know yet; it is taken to be told.
    pub(super) fn take_changes(&mut self) -> Changes {
        let mut changes = Changes::default();
        for topic in std::mem::take(&mut self.changed) {
            match self.messages.get(&topic) {
                Some(message) => changes.store.push(message.into()),
                None => changes.remove.push(topic),
            }
        }
        changes
    }

    /// Changes that could not be stored.
    pub(super) fn put_back(&mut self, changes: Changes) {
        self.changed.extend(changes.store.into_iter().map(|kept| kept.topic).chain(changes.remove));
    }
}

impl From<&Message> for Kept {
    fn from(message: &Message) -> Self {
        let PublishProperties { response_topic, correlation_data, user_properties, content_type, .. } =
            message.properties.clone();
        Self {
            topic: message.topic.clone(),
            payload: message.payload.to_vec(),
            confirmed: message.qos != QoS::AtMostOnce,
            expires: message.expires,
            response_topic,
            correlation: correlation_data.map(|data| data.to_vec()),
            content_type,
            user: user_properties,
        }
    }
}

impl From<Kept> for Message {
    fn from(kept: Kept) -> Self {
        Self {
            topic: kept.topic,
            payload: kept.payload.into(),
            qos: if kept.confirmed { QoS::AtLeastOnce } else { QoS::AtMostOnce },
            retain: true,
            expires: kept.expires,
            properties: PublishProperties {
                response_topic: kept.response_topic,
                correlation_data: kept.correlation.map(Into::into),
                content_type: kept.content_type,
                user_properties: kept.user,
                ..PublishProperties::default()
            },
            from: String::new(),
        }
    }
}
