//! What one client is owed: its subscriptions, and the messages that wait for it, also while it is away.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use rumqttc::v5::mqttbytes::{
    QoS, matches,
    v5::{Filter, Packet, Publish},
};
use tokio::sync::mpsc;

use super::message::Message;

/// New messages that wait for a client; of more, the oldest go. What is retained is not among them: there is one of each topic.
const MOST_WAITING: usize = 1000;
/// The same in bytes.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// Messages on their way to a client, even if it takes more.
const MOST_IN_FLIGHT: u16 = 32;
/// Subscriptions of a client.
const MOST_FILTERS: usize = 128;
/// Of the places in a client's outbox, those that unconfirmed messages leave free.
const RESERVE: usize = 64;
/// Packets that wait to be written to a client.
pub(super) const OUTBOX: usize = 2 * RESERVE;

/// A client's session.
#[derive(Debug, Default)]
pub(super) struct Session {
    filters: BTreeMap<String, Filter>,
    waiting: VecDeque<Waiting>,
    /// How many of these are new, and their bytes.
    new: (usize, usize),
    /// By packet identifier; in the order in which they were sent.
    in_flight: Vec<(u16, Waiting)>,
    last_id: u16,
    window: u16,
    line: Option<mpsc::Sender<Packet>>,
}

#[derive(Debug)]
struct Waiting {
    message: Message,
    qos: QoS,
    retain: bool,
    /// It was retained when the client subscribed.
    reminds: bool,
}

impl Session {
    /// The client is there: what it had not acknowledged goes out once more.
    pub(super) fn connect(&mut self, line: mpsc::Sender<Packet>, window: u16) {
        self.window = window.clamp(1, MOST_IN_FLIGHT);
        self.line = Some(line);
    }

    /// Sends what was on its way when the line broke.
    pub(super) fn resume(&mut self, now: Timestamp) {
        let again: Vec<Publish> = self
            .in_flight
            .iter()
            .map(|(id, w)| Publish { dup: true, ..w.message.packet(QoS::AtLeastOnce, w.retain, *id, now) })
            .collect();
        again.into_iter().for_each(|publish| self.say(Packet::Publish(publish)));
        self.flush(now);
    }

    /// The client is away.
    pub(super) fn disconnect(&mut self) {
        self.line = None;
    }

    /// The client is there.
    pub(super) fn is_connected(&self) -> bool {
        self.line.is_some()
    }

    /// Says something to the client, unless it is away. One that takes nothing is cut off.
    pub(super) fn say(&mut self, packet: Packet) {
        if self.line.as_ref().is_some_and(|line| line.try_send(packet).is_err()) {
            self.line = None;
        }
    }

    /// Subscribes; whether it is a new subscription, or `None` if there are too many.
    pub(super) fn subscribe(&mut self, filter: &Filter) -> Option<bool> {
        if self.filters.len() >= MOST_FILTERS && !self.filters.contains_key(&filter.path) {
            return None;
        }
        Some(self.filters.insert(filter.path.clone(), filter.clone()).is_none())
    }

    /// Subscribes no more; whether it was.
    pub(super) fn unsubscribe(&mut self, path: &str) -> bool {
        self.filters.remove(path).is_some()
    }

    /// How a message on a topic, said by that session, is to be delivered here; `None` if it is not.
    pub(super) fn hears(&self, own: &str, message: &Message) -> Option<(QoS, bool)> {
        let fitting = self.filters.values().filter(|filter| matches(&message.topic, &filter.path));
        let fitting = fitting.filter(|filter| !(filter.nolocal && message.from == own));
        fitting.fold(None, |best: Option<(QoS, bool)>, filter| {
            let confirmed = filter.qos != QoS::AtMostOnce || best.is_some_and(|(qos, _)| qos != QoS::AtMostOnce);
            let qos = if confirmed { QoS::AtLeastOnce } else { QoS::AtMostOnce };
            Some((qos, filter.preserve_retain || best.is_some_and(|(_, keep)| keep)))
        })
    }

    /// Delivers a new message, or lets it wait. One that need not be confirmed goes now or never.
    pub(super) fn deliver(&mut self, message: &Message, qos: QoS, retain: bool, now: Timestamp) {
        let qos = if message.qos == QoS::AtMostOnce { message.qos } else { qos };
        if qos == QoS::AtMostOnce {
            if self.has_room() {
                self.say(Packet::Publish(message.packet(qos, retain, 0, now)));
            }
            return;
        }
        self.waiting.push_back(Waiting { message: message.clone(), qos, retain, reminds: false });
        self.count(message, true);
        while self.new.0 > MOST_WAITING || self.new.1 > MOST_BYTES {
            let Some(oldest) = self.waiting.iter().position(|waiting| !waiting.reminds) else { break };
            if let Some(gone) = self.waiting.remove(oldest) {
                self.count(&gone.message, false);
            }
        }
        self.flush(now);
    }

    /// Delivers what is retained to who has just subscribed, all of it; of what waits already, the newest.
    pub(super) fn remind(&mut self, message: Message, qos: QoS, now: Timestamp) {
        let qos = if message.qos == QoS::AtMostOnce { message.qos } else { qos };
        let same = self.waiting.iter_mut().find(|waiting| waiting.reminds && waiting.message.topic == message.topic);
        match same {
            Some(same) => same.message = message,
            None => self.waiting.push_back(Waiting { message, qos, retain: true, reminds: true }),
        }
        self.flush(now);
    }

    /// The client has taken a message.
    pub(super) fn acknowledged(&mut self, id: u16, now: Timestamp) {
        self.in_flight.retain(|(known, _)| *known != id);
        self.flush(now);
    }

    /// Sends as much as the client takes now.
    pub(super) fn flush(&mut self, now: Timestamp) {
        while self.line.is_some() && self.waiting.front().is_some_and(|next| self.takes(next)) {
            let Some(next) = self.waiting.pop_front() else { return };
            if !next.reminds {
                self.count(&next.message, false);
            }
            if next.message.is_expired(now) {
                continue;
            }
            let confirmed = next.qos != QoS::AtMostOnce;
            let id = if confirmed { self.next_id() } else { 0 };
            self.say(Packet::Publish(next.message.packet(next.qos, next.retain, id, now)));
            if confirmed {
                self.in_flight.push((id, next));
            }
        }
    }

    /// Whether the client takes this now.
    fn takes(&self, next: &Waiting) -> bool {
        if next.qos == QoS::AtMostOnce { self.has_room() } else { self.in_flight.len() < self.window.into() }
    }

    /// Whether the client's outbox has room for what need not be confirmed.
    fn has_room(&self) -> bool {
        self.line.as_ref().is_some_and(|line| line.capacity() > RESERVE)
    }

    fn count(&mut self, message: &Message, more: bool) {
        let (number, bytes) = &mut self.new;
        let weight = message.weight();
        (*number, *bytes) = if more { (*number + 1, *bytes + weight) } else { (*number - 1, *bytes - weight) };
    }

    /// An identifier that no message on its way has; there are far more of them than messages.
    fn next_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if self.in_flight.iter().all(|(id, _)| *id != self.last_id) {
                return self.last_id;
            }
        }
    }
}
