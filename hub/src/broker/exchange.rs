//! The exchange: what each client says goes to those who hear it. No IO and no clock; all it does is to put packets into the
//! clients' outboxes.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use rumqttc::v5::mqttbytes::{
    QoS,
    v5::{
        Connect, Disconnect, DisconnectReasonCode, Filter, LastWill, Packet, PubAck, PubAckReason, Publish,
        RetainForwardRule, SubAck, Subscribe, SubscribeReasonCode, UnsubAck, UnsubAckReason, Unsubscribe,
    },
    valid_filter,
};
use tokio::sync::mpsc;

use super::{
    access::Who,
    message::{Message, Refused},
    retained::{Changes, Kept, Retained},
    session::Session,
};

/// The longest that a session outlives its connection.
const LONGEST_SESSION: u32 = 30 * 24 * 3600;
/// Sessions at once. Nodes have one each; operators have as many as they like.
const MOST_SESSIONS: usize = 2000;

/// All clients and all that is retained.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    clients: BTreeMap<String, Client>,
    retained: Retained,
    last: u64,
}

/// A client that is there, or whose session is kept.
#[derive(Debug)]
struct Client {
    who: Who,
    session: Session,
    /// The number of its connection: what an older one says is not heard.
    connection: u64,
    keep_s: u32,
    will: Option<LastWill>,
    /// When its will is published, and when its session ends; only while it is away.
    will_at: Option<Timestamp>,
    ends_at: Option<Timestamp>,
}

/// A connection's place at the exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The session's name.
    pub(super) key: String,
    number: u64,
    /// Whether the session was there before.
    pub(super) resumed: bool,
}

impl Exchange {
    /// An exchange that remembers this.
    pub(super) fn new(kept: Vec<Kept>, now: Timestamp) -> Self {
        Self { retained: Retained::new(kept, now), ..Self::default() }
    }

    /// Takes in a client whose outbox is `line`. A node's session is named after it, whatever it calls itself. One of the same
    /// name makes room. `None` if there is no room.
    pub(super) fn connect(
        &mut self,
        who: Who,
        hello: &Connect,
        will: Option<LastWill>,
        line: mpsc::Sender<Packet>,
        now: Timestamp,
    ) -> Option<Place> {
        let key = match &who {
            Who::Node(node) => node.to_string(),
            Who::Operator => format!("operator/{}", hello.client_id),
        };
        self.take_over(&key, hello.clean_start, now);
        let resumed = self.clients.contains_key(&key);
        if !resumed && self.clients.len() >= MOST_SESSIONS {
            return None;
        }
        self.last += 1;
        let properties = hello.properties.as_ref();
        let session = self.clients.remove(&key).map(|client| client.session).unwrap_or_default();
        let keep_s = properties.and_then(|p| p.session_expiry_interval).unwrap_or(0).min(LONGEST_SESSION);
        let window = properties.and_then(|p| p.receive_maximum).unwrap_or(u16::MAX);
        let mut client = Client { who, session, connection: self.last, keep_s, will, will_at: None, ends_at: None };
        client.session.connect(line, window);
        self.clients.insert(key.clone(), client);
        Some(Place { key, number: self.last, resumed })
    }

    /// Goes on with what a client was owed, once it was told that it is connected.
    pub(super) fn resume(&mut self, place: &Place, now: Timestamp) {
        if let Some(client) = self.client(place) {
            client.session.resume(now);
        }
    }

    /// A client has taken what was written to it, and there is room for more.
    pub(super) fn written(&mut self, place: &Place, now: Timestamp) {
        if let Some(client) = self.client(place) {
            client.session.flush(now);
        }
    }

    fn take_over(&mut self, key: &str, clean: bool, now: Timestamp) {
        let Some(client) = self.clients.get_mut(key) else { return };
        if client.session.is_connected() {
            let reason = DisconnectReasonCode::SessionTakenOver;
            client.session.say(Packet::Disconnect(Disconnect::new(reason)));
            Self::leave(client, now);
        }
        let clean = clean || client.ends_at.is_some_and(|at| at <= now);
        // A session that goes on has lost nothing: unless its will was not to wait, it says nothing.
        let due = client.will_at.is_some_and(|at| clean || at <= now);
        let will = client.will.take().filter(|_| due);
        if clean {
            self.clients.remove(key);
        }
        if let Some(will) = will {
            self.say_will(key, will, now);
        }
    }

    /// Takes in what a client says. An error is why it is to be cut off.
    pub(super) fn hear(&mut self, place: &Place, packet: Packet, now: Timestamp) -> Result<(), DisconnectReasonCode> {
        if self.client(place).is_none() {
            return Err(DisconnectReasonCode::SessionTakenOver);
        }
        match packet {
            Packet::Publish(publish) => self.publish(place, publish, now)?,
            Packet::Subscribe(subscribe) => self.subscribe(place, &subscribe, now),
            Packet::Unsubscribe(unsubscribe) => self.unsubscribe(place, &unsubscribe),
            Packet::PubAck(ack) => {
                if let Some(client) = self.client(place) {
                    client.session.acknowledged(ack.pkid, now);
                }
            }
            Packet::PingReq(_) => self.say(place, Packet::PingResp(rumqttc::v5::mqttbytes::v5::PingResp)),
            Packet::Disconnect(disconnect) => self.goodbye(place, &disconnect),
            _ => return Err(DisconnectReasonCode::ProtocolError),
        }
        Ok(())
    }

    fn client(&mut self, place: &Place) -> Option<&mut Client> {
        self.clients.get_mut(&place.key).filter(|client| client.connection == place.number)
    }

    fn say(&mut self, place: &Place, packet: Packet) {
        if let Some(client) = self.client(place) {
            client.session.say(packet);
        }
    }

    fn publish(&mut self, place: &Place, publish: Publish, now: Timestamp) -> Result<(), DisconnectReasonCode> {
        if publish.qos == QoS::ExactlyOnce {
            return Err(DisconnectReasonCode::QoSNotSupported);
        }
        // We have offered none.
        if publish.properties.as_ref().is_some_and(|p| p.topic_alias.is_some()) {
            return Err(DisconnectReasonCode::TopicAliasInvalid);
        }
        let (qos, pkid) = (publish.qos, publish.pkid);
        let taken = self.take(&place.key, publish, now);
        if let Err(why) = taken {
            log::debug!("the broker refused a message of {}: {why:?}", place.key);
        }
        if qos == QoS::AtLeastOnce {
            let reason = match taken {
                Ok(()) => PubAckReason::Success,
                Err(Refused::Topic) => PubAckReason::TopicNameInvalid,
                Err(Refused::NotAllowed) => PubAckReason::NotAuthorized,
                Err(Refused::TooMuch) => PubAckReason::QuotaExceeded,
            };
            self.say(place, Packet::PubAck(PubAck { pkid, reason, properties: None }));
        }
        Ok(())
    }

    /// Takes a message in and passes it on.
    fn take(&mut self, key: &str, publish: Publish, now: Timestamp) -> Result<(), Refused> {
        let (message, topic) = Message::published(publish, key, now)?;
        let who = self.clients.get(key).map(|client| &client.who);
        if !who.is_some_and(|who| who.may_say(&topic)) {
            return Err(Refused::NotAllowed);
        }
        self.pass_on(&message, now)
    }

    fn pass_on(&mut self, message: &Message, now: Timestamp) -> Result<(), Refused> {
        if message.retain {
            self.retained.keep(message)?;
        }
        for (key, client) in &mut self.clients {
            if let Some((qos, as_published)) = client.session.hears(key, message) {
                client.session.deliver(message, qos, as_published && message.retain, now);
            }
        }
        Ok(())
    }

    fn subscribe(&mut self, place: &Place, subscribe: &Subscribe, now: Timestamp) {
        let mut told = Vec::new();
        let mut return_codes = Vec::new();
        for filter in &subscribe.filters {
            let code = match self.take_filter(place, filter) {
                Ok(new) => {
                    let is_wanted = match filter.retain_forward_rule {
                        RetainForwardRule::OnEverySubscribe => true,
                        RetainForwardRule::OnNewSubscribe => new,
                        RetainForwardRule::Never => false,
                    };
                    if is_wanted {
                        told.extend(self.retained.matching(&filter.path, now).into_iter().map(|m| (m, filter.qos)));
                    }
                    SubscribeReasonCode::Success(if filter.qos == QoS::AtMostOnce {
                        filter.qos
                    } else {
                        QoS::AtLeastOnce
                    })
                }
                Err(why) => why,
            };
            return_codes.push(code);
        }
        let Some(client) = self.client(place) else { return };
        client.session.say(Packet::SubAck(SubAck { pkid: subscribe.pkid, return_codes, properties: None }));
        for (message, qos) in told {
            client.session.remind(message, qos, now);
        }
    }

    fn take_filter(&mut self, place: &Place, filter: &Filter) -> Result<bool, SubscribeReasonCode> {
        let Some(client) = self.client(place) else { return Err(SubscribeReasonCode::Unspecified) };
        if filter.path.starts_with("$share/") {
            return Err(SubscribeReasonCode::SharedSubscriptionsNotSupported);
        }
        if !valid_filter(&filter.path) {
            return Err(SubscribeReasonCode::TopicFilterInvalid);
        }
        if !client.who.may_hear(&filter.path) {
            return Err(SubscribeReasonCode::NotAuthorized);
        }
        client.session.subscribe(filter).ok_or(SubscribeReasonCode::QuotaExceeded)
    }

    fn unsubscribe(&mut self, place: &Place, unsubscribe: &Unsubscribe) {
        let Some(client) = self.client(place) else { return };
        let reasons = unsubscribe.filters.iter().map(|path| match client.session.unsubscribe(path) {
            true => UnsubAckReason::Success,
            false => UnsubAckReason::NoSubscriptionExisted,
        });
        let reasons = reasons.collect();
        client.session.say(Packet::UnsubAck(UnsubAck { pkid: unsubscribe.pkid, reasons, properties: None }));
    }

    /// A client says goodbye; unless it says otherwise, there is no last will.
    fn goodbye(&mut self, place: &Place, disconnect: &Disconnect) {
        let Some(client) = self.client(place) else { return };
        if disconnect.reason_code != DisconnectReasonCode::DisconnectWithWillMessage {
            client.will = None;
        }
        if let Some(seconds) = disconnect.properties.as_ref().and_then(|p| p.session_expiry_interval) {
            client.keep_s = seconds.min(LONGEST_SESSION).min(if client.keep_s == 0 { 0 } else { LONGEST_SESSION });
        }
    }

    /// A connection is gone.
    pub(super) fn lost(&mut self, place: &Place, now: Timestamp) {
        if let Some(client) = self.client(place) {
            Self::leave(client, now);
        }
        self.tick(now);
    }

    fn leave(client: &mut Client, now: Timestamp) {
        client.session.disconnect();
        let after =
            |seconds: u32| now.saturating_add(SignedDuration::from_secs(seconds.into())).unwrap_or(Timestamp::MAX);
        let delay = client.will.as_ref().and_then(|will| will.properties.as_ref()?.delay_interval).unwrap_or(0);
        client.will_at = client.will.as_ref().map(|_| after(delay.min(client.keep_s)));
        client.ends_at = Some(after(client.keep_s));
    }

    /// Time has passed: wills are published, sessions end, messages expire.
    pub(super) fn tick(&mut self, now: Timestamp) {
        let due = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        let mut wills = Vec::new();
        for (key, client) in self.clients.iter_mut().filter(|(_, client)| due(client.will_at)) {
            client.will_at = None;
            wills.extend(client.will.take().map(|will| (key.clone(), will)));
        }
        for (key, will) in wills {
            self.say_will(&key, will, now);
        }
        self.clients.retain(|_, client| !due(client.ends_at));
        self.retained.sweep(now);
    }

    /// A will was looked at when it was left.
    fn say_will(&mut self, key: &str, will: LastWill, now: Timestamp) {
        if let Ok((message, _)) = Message::published(Message::will(will), key, now) {
            let _ = self.pass_on(&message, now);
        }
    }

    /// Tells all clients that this is the end.
    pub(super) fn close(&mut self) {
        for client in self.clients.values_mut() {
            let reason = DisconnectReasonCode::ServerShuttingDown;
            client.session.say(Packet::Disconnect(Disconnect::new(reason)));
            client.session.disconnect();
        }
    }

    /// What the database does not know yet; it is taken to be told.
    pub(super) fn take_changes(&mut self) -> Changes {
        self.retained.take_changes()
    }

    /// Changes that could not be stored.
    pub(super) fn put_back(&mut self, changes: Changes) {
        self.retained.put_back(changes);
    }
}

/// Whether somebody may leave this will.
pub(super) fn may_leave(who: &Who, will: &LastWill) -> bool {
    let told = Message::published(Message::will(will.clone()), "", Timestamp::UNIX_EPOCH);
    told.is_ok_and(|(_, topic)| who.may_say(&topic)) && will.qos != QoS::ExactlyOnce
}
