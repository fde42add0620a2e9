//! The exchange without any IO: clients are outboxes, and time is a number.

use proptest::prelude::*;
use rumqttc::v5::mqttbytes::v5::{ConnectProperties, LastWillProperties, PublishProperties};
use rumqttc::v5::mqttbytes::{
    QoS,
    v5::{Connect, Disconnect, DisconnectReasonCode, Filter, LastWill, Packet, Publish, RetainForwardRule, Subscribe},
};
use tokio::sync::mpsc;

use super::{
    access::Who,
    exchange::{Exchange, Place, may_leave},
    wire::Wire,
};
use jiff::Timestamp;

const COMMAND: &str = "reelmill/1/n/orin-3/cmd/reboot/01M81B5H80NENTQAXBNENTQAXB";
const HEALTH: &str = "reelmill/1/n/orin-3/health";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn node(name: &str) -> Who {
    Who::Node(name.parse().expect("a node"))
}

/// A client that is there.
struct Client {
    place: Place,
    outbox: mpsc::Receiver<Packet>,
}

/// How a client begins: whether anew, and for how long its session is kept.
struct Begin(bool, u32);

impl Client {
    fn connect(exchange: &mut Exchange, who: Who, begin: Begin, will: Option<LastWill>, now: i64) -> Self {
        let properties = ConnectProperties {
            session_expiry_interval: Some(begin.1),
            receive_maximum: Some(2),
            max_packet_size: None,
            topic_alias_max: None,
            request_response_info: None,
            request_problem_info: None,
            user_properties: Vec::new(),
            authentication_method: None,
            authentication_data: None,
        };
        let hello =
            Connect { keep_alive: 30, client_id: "any".to_owned(), clean_start: begin.0, properties: Some(properties) };
        let (line, outbox) = mpsc::channel(super::session::OUTBOX);
        let place = exchange.connect(who, &hello, will, line, at(now)).expect("there is room");
        exchange.resume(&place, at(now));
        Self { place, outbox }
    }

    fn say(&self, exchange: &mut Exchange, packet: Packet, now: i64) -> Result<(), DisconnectReasonCode> {
        exchange.hear(&self.place, packet, at(now))
    }

    fn subscribe(&self, exchange: &mut Exchange, filter: &str, now: i64) {
        let subscribe = Subscribe { pkid: 1, filters: vec![Filter::new(filter, QoS::AtLeastOnce)], properties: None };
        self.say(exchange, Packet::Subscribe(subscribe), now).expect("it is taken");
    }

    /// What has come for it, in short.
    fn heard(&mut self) -> Vec<String> {
        let mut heard = Vec::new();
        while let Ok(packet) = self.outbox.try_recv() {
            heard.push(match packet {
                Packet::Publish(p) => {
                    let flags = [(p.retain, " retained"), (p.dup, " again")];
                    let flags: String = flags.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect();
                    let left = p.properties.and_then(|p| p.message_expiry_interval);
                    let left = left.map(|s| format!(" for {s} s")).unwrap_or_default();
                    format!("{}{flags}{left}", String::from_utf8_lossy(&p.payload))
                }
                Packet::SubAck(ack) => format!("{:?}", ack.return_codes),
                Packet::PubAck(ack) => format!("{:?}", ack.reason),
                Packet::Disconnect(d) => format!("{:?}", d.reason_code),
                other => format!("{other:?}"),
            });
        }
        heard
    }
}

fn publish(topic: &str, payload: &str, retain: bool, expiry: Option<u32>) -> Packet {
    let properties = PublishProperties { message_expiry_interval: expiry, ..PublishProperties::default() };
    let mut publish = Publish::new(topic, QoS::AtLeastOnce, payload.to_owned(), Some(properties));
    (publish.retain, publish.pkid) = (retain, 7);
    Packet::Publish(publish)
}

fn will(delay: u32) -> LastWill {
    let properties = LastWillProperties {
        delay_interval: Some(delay),
        payload_format_indicator: None,
        message_expiry_interval: None,
        content_type: None,
        response_topic: None,
        correlation_data: None,
        user_properties: Vec::new(),
    };
    LastWill::new(HEALTH, "down", QoS::AtLeastOnce, true, Some(properties))
}

const KEPT: fn() -> Begin = || Begin(false, 600);
const ANEW: fn() -> Begin = || Begin(true, 0);

#[test]
fn what_is_retained_is_told_until_it_expires_or_is_cleared() {
    let mut exchange = Exchange::default();
    let mut hub = Client::connect(&mut exchange, Who::Operator, ANEW(), None, 0);
    hub.say(&mut exchange, publish(COMMAND, "reboot", true, Some(60)), 0).expect("it is taken");
    hub.say(&mut exchange, publish(HEALTH, "up", true, None), 0).expect("it is taken");
    assert_eq!(hub.heard(), ["Success", "Success"]);
    let mut node = Client::connect(&mut exchange, node("orin-3"), KEPT(), None, 20);
    node.subscribe(&mut exchange, "reelmill/1/n/orin-3/cmd/#", 20);
    assert_eq!(node.heard(), ["[Success(AtLeastOnce)]", "reboot retained for 40 s"]);
    let mut late = Client::connect(&mut exchange, Who::Operator, ANEW(), None, 60);
    late.subscribe(&mut exchange, "reelmill/1/#", 60);
    assert_eq!(late.heard()[1..], ["up retained"]);
    late.say(&mut exchange, publish(HEALTH, "", true, None), 61).expect("it is taken");
    late.heard();
    late.subscribe(&mut exchange, "reelmill/1/#", 62);
    assert_eq!(late.heard(), ["[Success(AtLeastOnce)]"]);
}

#[test]
fn all_that_is_retained_comes_as_the_client_takes_it() {
    let mut exchange = Exchange::default();
    let hub = Client::connect(&mut exchange, Who::Operator, ANEW(), None, 0);
    const ALL: usize = 1500;
    for i in 0..ALL {
        let topic = format!("reelmill/1/n/orin-{i}/health");
        hub.say(&mut exchange, publish(&topic, "up", true, None), 0).expect("it is taken");
    }
    let mut late = Client::connect(&mut exchange, Who::Operator, ANEW(), None, 0);
    late.subscribe(&mut exchange, "reelmill/1/n/+/health", 0);
    let mut heard = late.heard().len() - 1;
    for id in 1..=u16::try_from(ALL).expect("few") {
        let ack = rumqttc::v5::mqttbytes::v5::PubAck::new(id, None);
        late.say(&mut exchange, Packet::PubAck(ack), 0).expect("it is taken");
        heard += late.heard().len();
    }
    assert_eq!(heard, ALL);
    let mut again = Filter::new("reelmill/1/n/+/health", QoS::AtLeastOnce);
    again.retain_forward_rule = RetainForwardRule::Never;
    let again = Subscribe { pkid: 2, filters: vec![again], properties: None };
    late.say(&mut exchange, Packet::Subscribe(again), 0).expect("it is taken");
    assert_eq!(late.heard(), ["[Success(AtLeastOnce)]"], "only who asks for it");
    let mut loose = Client::connect(&mut exchange, Who::Operator, ANEW(), None, 0);
    let filters = vec![Filter::new("reelmill/1/n/+/health", QoS::AtMostOnce)];
    let subscribe = Packet::Subscribe(Subscribe { pkid: 1, filters, properties: None });
    loose.say(&mut exchange, subscribe, 0).expect("it is taken");
    let mut heard = 0;
    while let Some(more) = Some(loose.heard().len()).filter(|more| *more > 0) {
        heard += more;
        exchange.written(&loose.place, at(0));
    }
    assert_eq!(heard - 1, ALL, "also where nothing is confirmed");
}

#[test]
fn what_is_retained_outlasts_the_broker() {
    let mut exchange = Exchange::default();
    let hub = Client::connect(&mut exchange, Who::Operator, ANEW(), None, 0);
    hub.say(&mut exchange, publish(COMMAND, "reboot", true, Some(60)), 0).expect("it is taken");
    hub.say(&mut exchange, publish(HEALTH, "u\u{fc}", true, Some(10)), 0).expect("it is taken");
    let changes = exchange.take_changes();
    assert!(exchange.take_changes().is_empty());
    let stored = serde_json::to_string(&changes.store).expect("JSON");
    assert!(stored.contains(r#""payload":"reboot""#), "{stored}");
    let mut next = Exchange::new(serde_json::from_str(&stored).expect("JSON"), at(30));
    let mut hub = Client::connect(&mut next, Who::Operator, ANEW(), None, 30);
    hub.subscribe(&mut next, "reelmill/1/#", 30);
    assert_eq!(hub.heard()[1..], ["reboot retained for 30 s"]);
    assert_eq!(next.take_changes().remove, [HEALTH]);
}

#[test]
fn a_session_keeps_what_comes_while_its_client_is_away() {
    let mut exchange = Exchange::default();
    let hub = Client::connect(&mut exchange, Who::Operator, ANEW(), None, 0);
    let mut away = Client::connect(&mut exchange, node("orin-3"), KEPT(), None, 0);
    away.subscribe(&mut exchange, "reelmill/1/n/orin-3/cmd/#", 0);
    let send = |what: &str, exchange: &mut Exchange| {
        hub.say(exchange, publish(COMMAND, what, false, Some(100)), 0).expect("it is taken");
    };
    ["one", "two", "three"].iter().for_each(|what| send(what, &mut exchange));
    // Two may be on their way.
    assert_eq!(away.heard()[1..], ["one for 100 s", "two for 100 s"]);
    exchange.lost(&away.place, at(1));
    send("four", &mut exchange);
    let mut back = Client::connect(&mut exchange, node("orin-3"), KEPT(), None, 50);
    assert!(back.place.resumed);
    assert_eq!(back.heard(), ["one again for 50 s", "two again for 50 s"]);
    let ack = |id| Packet::PubAck(rumqttc::v5::mqttbytes::v5::PubAck::new(id, None));
    back.say(&mut exchange, ack(1), 50).expect("it is taken");
    back.say(&mut exchange, ack(2), 50).expect("it is taken");
    assert_eq!(back.heard(), ["three for 50 s", "four for 50 s"]);
    exchange.lost(&back.place, at(51));
    exchange.tick(at(51 + 600));
    let anew = Client::connect(&mut exchange, node("orin-3"), KEPT(), None, 700);
    assert!(!anew.place.resumed, "a session ends");
}

#[test]
fn a_will_waits_and_a_client_that_is_back_has_none() {
    let mut exchange = Exchange::default();
    let mut hub = Client::connect(&mut exchange, Who::Operator, ANEW(), None, 0);
    hub.subscribe(&mut exchange, "reelmill/1/n/+/health", 0);
    hub.heard();
    let first = Client::connect(&mut exchange, node("orin-3"), KEPT(), Some(will(20)), 0);
    exchange.lost(&first.place, at(10));
    exchange.tick(at(29));
    let back = Client::connect(&mut exchange, node("orin-3"), KEPT(), Some(will(20)), 29);
    exchange.tick(at(40));
    assert_eq!(hub.heard(), Vec::<String>::new(), "it was back in time");
    exchange.lost(&back.place, at(50));
    exchange.tick(at(69));
    assert_eq!(hub.heard(), Vec::<String>::new(), "not yet");
    exchange.tick(at(70));
    assert_eq!(hub.heard(), ["down"]);
    let polite = Client::connect(&mut exchange, node("orin-3"), KEPT(), Some(will(0)), 80);
    let goodbye = Disconnect::new(DisconnectReasonCode::NormalDisconnection);
    polite.say(&mut exchange, Packet::Disconnect(goodbye), 81).expect("it is taken");
    exchange.lost(&polite.place, at(81));
    exchange.tick(at(1000));
    assert_eq!(hub.heard(), Vec::<String>::new(), "it said goodbye");
}

#[test]
fn of_two_with_one_name_the_later_one_stays() {
    let mut exchange = Exchange::default();
    let mut first = Client::connect(&mut exchange, node("orin-3"), KEPT(), Some(will(20)), 0);
    let second = Client::connect(&mut exchange, node("orin-3"), KEPT(), None, 1);
    assert_eq!(first.heard(), ["SessionTakenOver"]);
    let health = publish(HEALTH, "up", true, None);
    assert_eq!(first.say(&mut exchange, health.clone(), 1), Err(DisconnectReasonCode::SessionTakenOver));
    exchange.lost(&first.place, at(2));
    assert_eq!(second.say(&mut exchange, health, 3), Ok(()), "the end of the first does it no harm");
}

#[test]
fn a_node_reaches_nothing_of_another() {
    let mut exchange = Exchange::default();
    let mut hub = Client::connect(&mut exchange, Who::Operator, ANEW(), None, 0);
    hub.subscribe(&mut exchange, "reelmill/1/#", 0);
    hub.heard();
    let mut thief = Client::connect(&mut exchange, node("orin-4"), KEPT(), None, 0);
    for filter in ["reelmill/1/n/orin-3/cmd/#", "#", "$share/a/reelmill/1/#", "a/#/b"] {
        thief.subscribe(&mut exchange, filter, 0);
    }
    let refused = ["NotAuthorized", "NotAuthorized", "SharedSubscriptionsNotSupported", "TopicFilterInvalid"];
    assert_eq!(thief.heard(), refused.map(|why| format!("[{why}]")));
    for topic in [HEALTH, COMMAND, "reelmill/1/r/anna/orin-3", "other", "reelmill/1/n/+/health"] {
        thief.say(&mut exchange, publish(topic, "x", true, None), 0).expect("it is only not taken");
    }
    let not = ["NotAuthorized", "NotAuthorized", "NotAuthorized", "TopicNameInvalid", "TopicNameInvalid"];
    assert_eq!((thief.heard(), hub.heard()), (not.map(str::to_owned).to_vec(), Vec::new()));
    assert!(exchange.take_changes().is_empty(), "nothing is retained");
    assert!(may_leave(&node("orin-3"), &will(0)) && !may_leave(&node("orin-4"), &will(0)));
}

#[test]
fn what_is_not_offered_ends_the_connection() {
    let mut exchange = Exchange::default();
    let node = Client::connect(&mut exchange, node("orin-3"), KEPT(), None, 0);
    let Packet::Publish(publish) = publish(HEALTH, "up", true, None) else { unreachable!("it is one") };
    let twice = Publish { qos: QoS::ExactlyOnce, ..publish.clone() };
    assert_eq!(node.say(&mut exchange, Packet::Publish(twice), 0), Err(DisconnectReasonCode::QoSNotSupported));
    let properties = PublishProperties { topic_alias: Some(1), ..PublishProperties::default() };
    let alias = Publish { properties: Some(properties), ..publish };
    assert_eq!(node.say(&mut exchange, Packet::Publish(alias), 0), Err(DisconnectReasonCode::TopicAliasInvalid));
}

#[test]
fn a_node_fills_neither_the_memory_nor_the_way_of_others() {
    let mut exchange = Exchange::default();
    let mut flood = Client::connect(&mut exchange, node("orin-3"), KEPT(), None, 0);
    let state = |i: usize| format!("reelmill/1/n/orin-3/st/01M81B5H80NENTQAXBNENT{i:04}");
    for i in 0..600 {
        flood.say(&mut exchange, publish(&state(i), "{}", true, None), 0).expect("it is only not taken");
        let want = if i < 512 { "Success" } else { "QuotaExceeded" };
        assert_eq!(flood.heard(), [want], "{i}");
    }
    flood.say(&mut exchange, publish(&state(0), &"x".repeat(20_000), true, None), 0).expect("it is only not taken");
    assert_eq!(flood.heard(), ["QuotaExceeded"], "larger than a state may be");
    let other = Client::connect(&mut exchange, node("orin-4"), KEPT(), None, 0);
    assert_eq!(other.say(&mut exchange, publish("reelmill/1/n/orin-4/health", "up", true, None), 0), Ok(()));
    assert_eq!(exchange.take_changes().store.len(), 513);
}

#[tokio::test]
async fn a_goodbye_without_a_word_is_one() {
    let connect = [0x10, 16, 0, 4, b'M', b'Q', b'T', b'T', 5, 2, 0, 30, 0, 0, 3, b'a', b'b', b'c'];
    let bytes: Vec<u8> = connect.into_iter().chain([0xc0, 0, 0xe0, 0]).collect();
    let (mut wire, hello) = Wire::hello(tokio_test_stream(bytes)).await.expect("a client");
    assert_eq!((hello.connect.client_id.as_str(), hello.connect.clean_start), ("abc", true));
    assert!(matches!(wire.read().await, Ok(Some(Packet::PingReq(_)))));
    let goodbye = Disconnect::new(DisconnectReasonCode::NormalDisconnection);
    assert_eq!(wire.read().await.expect("a packet"), Some(Packet::Disconnect(goodbye)));
    assert_eq!(wire.read().await.expect("the end"), None);
}

/// A stream that brings these bytes and then ends.
fn tokio_test_stream(bytes: Vec<u8>) -> tokio::io::Join<std::io::Cursor<Vec<u8>>, tokio::io::Sink> {
    tokio::io::join(std::io::Cursor::new(bytes), tokio::io::sink())
}

proptest! {
    /// A stranger's bytes end in an error or in packets, and the codec does not break on them.
    #[test]
    fn no_bytes_break_the_reader(mut bytes: Vec<u8>, first in prop::sample::select(vec![0x10_u8, 0x30, 0x32, 0x40, 0x82, 0xa2, 0xc0, 0xe0])) {
        bytes.truncate(120);
        let length = u8::try_from(bytes.len()).expect("short");
        let framed: Vec<u8> = [first, length].into_iter().chain(bytes).collect();
        let mut buffer = bytes::BytesMut::from(&framed[..]);
        let _ = Packet::read(&mut buffer, Some(1024));
    }
}
