//! What a message carries beside its body: one attribute of ours, in JSON. And a body as SQS takes it, which is text.

use std::time::Duration;

use aws_sdk_sqs::types::{Message as SdkMessage, MessageAttributeValue, MessageSystemAttributeName};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use reelmill_api::{AttemptNumber, Lane, Priority};
use serde::{Deserialize, Serialize};

/// The attribute's name.
pub(super) const NOTE: &str = "reelmill";
/// The largest message that every SQS takes, attributes and all.
const LARGEST_MESSAGE: usize = 256 * 1024;
/// What is left for the note.
const ROOM: usize = 8 * 1024;
/// The longest text of a body.
pub(super) const LARGEST_TEXT: usize = LARGEST_MESSAGE - ROOM;
/// The largest body, whatever bytes it has.
pub(super) const LARGEST_BODY: usize = LARGEST_TEXT / 4 * 3 - 3;
/// Stands for a body of no bytes, since SQS takes none.
const NOTHING: &str = "=";

/// What we write on a message. A stranger's message has none, and one that cannot be read is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Note {
    /// The message's name for all its copies; the server gives each another.
    pub(super) id: String,
    /// How many attempts there were before this copy was made.
    #[serde(skip_serializing_if = "is_none")]
    pub(super) attempts: AttemptNumber,
    /// Whether the body's text is its bytes in base64.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) base64: bool,
    /// Where a copy came from that lies on no queue of its lane.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) priority: Option<Priority>,
    /// The lane of a long job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lane: Option<String>,
    /// Why it is a dead letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_none(attempts: &AttemptNumber) -> bool {
    *attempts == 0
}

impl Note {
    /// The attribute. A reason that is too long is cut.
    pub(super) fn attribute(&self) -> MessageAttributeValue {
        let mut note = self.clone();
        let mut text = note.text();
        while let Some(reason) = note.reason.as_mut().filter(|_| text.len() > ROOM - 256) {
            reason.truncate(reason.floor_char_boundary(reason.len() / 2));
            text = note.text();
        }
        let value = MessageAttributeValue::builder().data_type("String").string_value(text).build();
        value.expect("the one field that must be there is")
    }

    fn text(&self) -> String {
        let text = serde_json::to_string(self).expect("a note holds only strings and numbers");
        // JSON leaves these two as they are, SQS refuses them.
        text.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
    }

    /// The lane that a copy belongs on.
    pub(super) fn lane(&self) -> Option<Lane> {
        self.lane.as_deref()?.parse().ok()
    }
}

/// A message that was received.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// What we wrote on it, with an id in any case.
    pub(super) note: Note,
    /// The body as it lies there.
    pub(super) text: String,
    /// What the server knows this delivery by.
    pub(super) handle: String,
    /// How often this copy was delivered.
    pub(super) deliveries: u32,
    /// When this copy was sent, by the server's clock.
    pub(super) sent: Duration,
}

impl Message {
    /// Reads what the server gave; `None` if it is no message.
    pub(super) fn read(message: SdkMessage) -> Option<Self> {
        let number = |name| message.attributes.as_ref()?.get(&name)?.parse::<u64>().ok();
        let deliveries = number(MessageSystemAttributeName::ApproximateReceiveCount).unwrap_or(1);
        let sent = Duration::from_millis(number(MessageSystemAttributeName::SentTimestamp).unwrap_or(0));
        let note = message.message_attributes.as_ref().and_then(|all| all.get(NOTE)?.string_value());
        let mut note: Note = note.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        if note.id.is_empty() {
            note.id = message.message_id?;
        }
        Some(Self {
            note,
            text: message.body.unwrap_or_default(),
            handle: message.receipt_handle?,
            deliveries: u32::try_from(deliveries).unwrap_or(u32::MAX).max(1),
            sent,
        })
    }

    /// Which attempt this delivery is.
    pub(super) fn attempt(&self) -> AttemptNumber {
        self.note.attempts.saturating_add(self.deliveries)
    }

    /// The body.
    pub(super) fn body(&self) -> Vec<u8> {
        let plain = || self.text.clone().into_bytes();
        if !self.note.base64 {
            return plain();
        }
        STANDARD_NO_PAD.decode(self.text.trim_end_matches('=')).unwrap_or_else(|_| plain())
    }
}

/// A body as text, and whether that is base64: plain JSON stays readable.
pub(super) fn text_of(body: &[u8]) -> (String, bool) {
    match std::str::from_utf8(body) {
        Ok(text) if !text.is_empty() && text.chars().all(is_taken) => (text.to_owned(), false),
        _ if body.is_empty() => (NOTHING.to_owned(), true),
        _ => (STANDARD_NO_PAD.encode(body), true),
    }
}

/// Whether SQS takes the character: those that XML 1.0 has.
fn is_taken(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn through(body: &[u8], note: &Note) -> Message {
        let (text, base64) = text_of(body);
        assert!(!text.is_empty() && text.chars().all(is_taken), "{text:?}");
        let attribute = Note { base64, ..note.clone() }.attribute();
        assert!(attribute.string_value().is_some_and(|text| text.chars().all(is_taken) && text.len() < ROOM));
        let message = SdkMessage::builder().body(text).receipt_handle("h").message_id("server's");
        Message::read(message.message_attributes(NOTE, attribute).build()).expect("a message")
    }

    #[test]
    fn leaves_plain_json_as_it_is() {
        assert_eq!(text_of("{\"input\":\"s3://ä\"}\r\n".as_bytes()), ("{\"input\":\"s3://ä\"}\r\n".to_owned(), false));
        assert_eq!(text_of(&vec![0; LARGEST_BODY]).0.len(), LARGEST_TEXT - 4);
    }

    #[test]
    fn reads_a_strangers_message_and_a_forged_note() {
        for attribute in ["", "no json", "[]", "{\"attempts\":-1}"] {
            let value = MessageAttributeValue::builder().data_type("String").string_value(attribute).build();
            let message = SdkMessage::builder().body("{}").receipt_handle("h").message_id("m");
            let message = message.message_attributes(NOTE, value.expect("an attribute")).build();
            let read = Message::read(message).expect("a message");
            assert_eq!((read.note.id.as_str(), read.attempt(), read.body()), ("m", 1, b"{}".to_vec()), "{attribute}");
        }
        let read = Message {
            note: Note { base64: true, ..Note::default() },
            text: "no base64".to_owned(),
            ..through(b"x", &Note::default())
        };
        assert_eq!(read.body(), b"no base64");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_and_any_reason_come_back(body: Vec<u8>, text: String, reason: String) {
            let note = Note { id: "i".to_owned(), attempts: 2, reason: Some(reason), ..Note::default() };
            for body in [body.as_slice(), text.as_bytes()] {
                let read = through(body, &note);
                prop_assert_eq!(read.body(), body);
                prop_assert_eq!(&read.note.reason, &note.reason);
                prop_assert_eq!(read.attempt(), 3);
            }
        }

        #[test]
        fn a_long_reason_is_cut(reason in "[\u{0}-\u{ff}]{3000,6000}") {
            let read = through(b"x", &Note { reason: Some(reason.clone()), ..Note::default() });
            prop_assert!(reason.starts_with(&read.note.reason.expect("a reason")));
        }
    }
}
