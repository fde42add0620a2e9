//! A message as it travels: what Reelmill adds to the body, and how a stranger's plain message is read.

use lapin::{
    BasicProperties,
    message::Delivery,
    types::{AMQPValue, FieldTable, ShortString},
};
use reelmill_api::{AttemptNumber, Lane, Priority};

use super::names;

/// How often the message was delivered before it was put where it lies.
const DELIVERED: &str = "x-reelmill-delivered";
/// A dead letter's reason.
const REASON: &str = "x-reelmill-reason";
/// A dead letter's priority, which its queue does not tell.
const PRIORITY: &str = "x-reelmill-priority";
/// Tells a renewed lease from the others of its process.
const RENEWAL: &str = "x-reelmill-renewal";
/// What a quorum queue counts by itself: returns, or in newer servers deliveries.
const COUNTS: [&str; 2] = ["x-delivery-count", "x-acquired-count"];
/// The longest reason: the headers of a message must fit in one frame of 128 KiB.
const LONGEST_REASON: usize = 32 * 1024;
/// Written on the disk.
const PERSISTENT: u8 = 2;

/// A message, and its count.
#[derive(Clone, Debug)]
pub(super) struct Parcel {
    pub(super) lane: Lane,
    pub(super) priority: Priority,
    /// Empty while a stranger's message has none.
    pub(super) id: String,
    /// How often it was delivered.
    pub(super) delivered: AttemptNumber,
    pub(super) body: Vec<u8>,
    pub(super) content_type: Option<ShortString>,
}

impl Parcel {
    /// A new one.
    pub(super) fn new(lane: &Lane, priority: Priority, id: String, body: &[u8]) -> Self {
        Self { lane: lane.clone(), priority, id, delivered: 0, body: body.to_vec(), content_type: None }
    }

    /// One that was just delivered, which is counted.
    pub(super) fn read(lane: &Lane, priority: Priority, delivery: &mut Delivery) -> Self {
        let before = number(delivery, &[DELIVERED]);
        // A classic queue does not count, but tells that this is not the first time.
        let here = number(delivery, &COUNTS).max(i64::from(delivery.redelivered));
        let delivered = before.max(0).saturating_add(here.max(0)).saturating_add(1);
        Self {
            lane: lane.clone(),
            priority,
            id: delivery.properties.message_id().as_ref().map(ToString::to_string).unwrap_or_default(),
            delivered: AttemptNumber::try_from(delivered).unwrap_or(AttemptNumber::MAX),
            body: std::mem::take(&mut delivery.data),
            content_type: delivery.properties.content_type().clone(),
        }
    }

    /// The queue where it waits to be leased.
    pub(super) fn home(&self) -> String {
        names::ready(&self.lane, self.priority)
    }

    /// What it is published with. Nothing of what the server wrote on it before is repeated: it takes a message that it
    /// has dead-lettered to the same queue before for one that goes in circles, and drops it.
    pub(super) fn properties(&self) -> BasicProperties {
        self.with(&[])
    }

    /// The same for a renewed lease.
    pub(super) fn renewal(&self, nonce: &str) -> BasicProperties {
        self.with(&[(RENEWAL, text(nonce))])
    }

    /// The same for a dead letter.
    pub(super) fn dead(&self, reason: &str) -> BasicProperties {
        let reason = &reason[..reason.floor_char_boundary(LONGEST_REASON)];
        self.with(&[(REASON, text(reason)), (PRIORITY, text(priority_name(self.priority)))])
    }

    fn with(&self, more: &[(&str, AMQPValue)]) -> BasicProperties {
        let mut headers = FieldTable::default();
        headers.insert(DELIVERED.into(), AMQPValue::LongLongInt(i64::from(self.delivered)));
        for (name, value) in more {
            headers.insert((*name).into(), value.clone());
        }
        let properties = BasicProperties::default().with_delivery_mode(PERSISTENT).with_headers(headers);
        let properties = match &self.content_type {
            Some(content_type) => properties.with_content_type(content_type.clone()),
            None => properties,
        };
        // One that is longer than the protocol allows cannot have come by it.
        match ShortString::try_new(self.id.as_str()) {
            Ok(id) => properties.with_message_id(id),
            Err(_) => properties,
        }
    }
}

/// What is written on a dead letter: how often it was delivered, why it is dead, and how urgent it was.
pub(super) fn epitaph(delivery: &Delivery) -> (AttemptNumber, String, Priority) {
    let delivered = AttemptNumber::try_from(number(delivery, &[DELIVERED])).unwrap_or_default();
    let priority = match string(delivery, PRIORITY).as_deref() {
        Some("high") => Priority::High,
        Some("low") => Priority::Low,
        _ => Priority::Normal,
    };
    (delivered, string(delivery, REASON).unwrap_or_default(), priority)
}

/// Whether this is the renewed lease with this nonce.
pub(super) fn is_renewal(delivery: &Delivery, nonce: &str) -> bool {
    string(delivery, RENEWAL).as_deref() == Some(nonce)
}

fn priority_name(priority: Priority) -> &'static str {
    match priority {
        Priority::High => "high",
        Priority::Normal => "normal",
        Priority::Low => "low",
    }
}

fn header<'a>(delivery: &'a Delivery, name: &str) -> Option<&'a AMQPValue> {
    delivery.properties.headers().as_ref()?.inner().get(name)
}

fn string(delivery: &Delivery, name: &str) -> Option<String> {
    match header(delivery, name)? {
        AMQPValue::LongString(value) => Some(value.to_string()),
        AMQPValue::ShortString(value) => Some(value.to_string()),
        _ => None,
    }
}

/// The largest of these headers.
fn number(delivery: &Delivery, names: &[&str]) -> i64 {
    let value = |name: &&str| match header(delivery, name)? {
        AMQPValue::LongLongInt(n) => Some(*n),
        AMQPValue::LongInt(n) => Some(i64::from(*n)),
        AMQPValue::LongUInt(n) => Some(i64::from(*n)),
        AMQPValue::ShortInt(n) => Some(i64::from(*n)),
        AMQPValue::ShortUInt(n) => Some(i64::from(*n)),
        AMQPValue::ShortShortInt(n) => Some(i64::from(*n)),
        AMQPValue::ShortShortUInt(n) => Some(i64::from(*n)),
        _ => None,
    };
    names.iter().filter_map(value).max().unwrap_or(0)
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivered(properties: BasicProperties, redelivered: bool) -> Delivery {
        let mut delivery = Delivery::mock(1, "".into(), "q".into(), redelivered, b"body".to_vec());
        delivery.properties = properties;
        delivery
    }

    fn lane() -> Lane {
        "q".parse().expect("a lane")
    }

    fn counted(name: &str, value: i64) -> BasicProperties {
        let mut headers = FieldTable::default();
        headers.insert(name.into(), AMQPValue::LongLongInt(value));
        BasicProperties::default().with_headers(headers)
    }

    #[test]
    fn counts_what_the_queue_and_we_have_counted() {
        let mut parcel = Parcel::new(&lane(), Priority::Low, "id".to_owned(), b"body");
        parcel.delivered = 3;
        for (properties, redelivered, attempt) in [
            (BasicProperties::default(), false, 1),
            (BasicProperties::default(), true, 2),
            (counted("x-delivery-count", 4), true, 5),
            (counted("x-acquired-count", 2), false, 3),
            (counted("x-delivery-count", -4), false, 1),
            (counted("x-delivery-count", i64::MAX), true, AttemptNumber::MAX),
            (parcel.properties(), false, 4),
        ] {
            let shown = format!("{properties:?}");
            let read = Parcel::read(&lane(), Priority::Low, &mut delivered(properties, redelivered));
            assert_eq!((read.delivered, &read.body[..]), (attempt, &b"body"[..]), "{shown}");
        }
    }

    #[test]
    fn a_dead_letter_says_why_and_how_urgent_it_was() {
        let mut parcel = Parcel::new(&lane(), Priority::High, "id".to_owned(), b"body");
        parcel.delivered = 2;
        let long = "ä".repeat(LONGEST_REASON);
        for (reason, kept) in [("", 0), ("no \"picture\"\n", 13), (long.as_str(), LONGEST_REASON)] {
            let (attempts, told, priority) = epitaph(&delivered(parcel.dead(reason), false));
            assert_eq!((attempts, priority, told.len()), (2, Priority::High, kept));
            assert!(reason.starts_with(&told));
        }
    }

    #[test]
    fn a_renewal_is_known_by_its_nonce() {
        let parcel = Parcel::new(&lane(), Priority::Normal, "id".to_owned(), b"");
        let delivery = delivered(parcel.renewal("abc"), false);
        assert!(is_renewal(&delivery, "abc") && !is_renewal(&delivery, "abd"));
        assert!(!is_renewal(&delivered(parcel.properties(), false), "abc"));
    }
}
