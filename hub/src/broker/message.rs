//! A message on its way, and when it is of no use any more.

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use reelmill_api::fleet::topic::Topic;
use rumqttc::v5::mqttbytes::{
    QoS,
    v5::{LastWill, Publish, PublishProperties},
};

/// Properties that a message may carry, bytes.
const MOST_PROPERTIES: usize = 1024;

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: Bytes,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) expires: Option<Timestamp>,
    pub(super) properties: PublishProperties,
    /// The session that said it.
    pub(super) from: String,
}

/// Why a message is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is on no topic of the fleet.
    Topic,
    /// Who said it may not say it.
    NotAllowed,
    /// It is larger than its topic allows, or there is too much of it.
    TooMuch,
}

impl Message {
    /// The message as somebody published it, and its topic.
    pub(super) fn published(publish: Publish, from: &str, now: Timestamp) -> Result<(Self, Topic), Refused> {
        let properties = publish.properties.unwrap_or_default();
        let topic = std::str::from_utf8(&publish.topic).ok().and_then(|text| text.parse::<Topic>().ok());
        let topic = topic.ok_or(Refused::Topic)?;
        let delivery = topic.delivery();
        if publish.payload.len() > delivery.limit || size(&properties) > MOST_PROPERTIES {
            return Err(Refused::TooMuch);
        }
        let message = Self {
            topic: topic.to_string(),
            payload: publish.payload,
            qos: publish.qos,
            retain: publish.retain && delivery.retained,
            expires: expiry(properties.message_expiry_interval, now),
            properties: PublishProperties { topic_alias: None, subscription_identifiers: Vec::new(), ..properties },
            from: from.to_owned(),
        };
        Ok((message, topic))
    }

    /// A last will as if it were published.
    pub(super) fn will(will: LastWill) -> Publish {
        let told = will.properties;
        let properties = told.map(|told| PublishProperties {
            payload_format_indicator: told.payload_format_indicator,
            message_expiry_interval: told.message_expiry_interval,
            response_topic: told.response_topic,
            correlation_data: told.correlation_data,
            user_properties: told.user_properties,
            content_type: told.content_type,
            ..PublishProperties::default()
        });
        Publish {
            topic: will.topic,
            payload: will.message,
            qos: will.qos,
            retain: will.retain,
            properties,
            ..Publish::default()
        }
    }

    /// Whether it came too late for anybody.
    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }

    /// What it takes of memory, bytes.
    pub(super) fn weight(&self) -> usize {
        self.topic.len() + self.payload.len() + size(&self.properties)
    }

    /// The packet for one who hears it.
    pub(super) fn packet(&self, qos: QoS, retain: bool, pkid: u16, now: Timestamp) -> Publish {
        let mut properties = self.properties.clone();
        properties.message_expiry_interval = self.expires.map(|at| left(at, now));
        Publish {
            qos,
            retain,
            pkid,
            topic: Bytes::copy_from_slice(self.topic.as_bytes()),
            payload: self.payload.clone(),
            properties: Some(properties),
            dup: false,
        }
    }
}

fn expiry(seconds: Option<u32>, now: Timestamp) -> Option<Timestamp> {
    seconds.map(|s| now.checked_add(SignedDuration::from_secs(s.into())).unwrap_or(Timestamp::MAX))
}

/// Whole seconds until then, at least one.
fn left(at: Timestamp, now: Timestamp) -> u32 {
    u32::try_from(at.duration_since(now).as_secs().max(1)).unwrap_or(u32::MAX)
}

fn size(properties: &PublishProperties) -> usize {
    let PublishProperties { response_topic, correlation_data, user_properties, content_type, .. } = properties;
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let pairs: usize = user_properties.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    text(response_topic) + text(content_type) + correlation_data.as_ref().map_or(0, Bytes::len) + pairs
}
