//! The connection to the broker, lost and found again. It knows topics and deliveries, and nothing of commands.

use std::{collections::VecDeque, time::Duration};

use reelmill_api::{
    NodeId,
    fleet::topic::{Topic, filter},
    preset::Tag,
};
use rumqttc::{
    TlsConfiguration, Transport,
    v5::{
        AsyncClient, ConnectionError, Event, MqttOptions, StateError,
        mqttbytes::{
            QoS,
            v5::{
                ConnectReturnCode, DisconnectReasonCode, Filter, LastWill, LastWillProperties, Packet, Publish,
                PublishProperties, RetainForwardRule,
            },
        },
    },
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Settings,
    retry::Retry,
    tls::IdentityError,
};

/// How long the broker keeps a session whose node is away.
const SESSION_EXPIRY: Duration = Duration::from_secs(7 * 24 * 3600);
/// How many messages may wait for our acknowledgement, and for the broker's.
const IN_FLIGHT: u16 = 16;
/// The broker sends nothing larger.
const LARGEST_PACKET: u32 = 256 * 1024;
/// How long the broker holds the last will back: a link that is back before then was never lost to anyone.
const WILL_DELAY: Duration = Duration::from_secs(20);
/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Requests that the connection takes before it has written them.
const REQUESTS: usize = 64;
/// Messages that wait for the conductor: those that wait for an acknowledgement, and those that nobody acknowledges.
const INBOX: usize = 4 * IN_FLIGHT as usize;

/// What happens on the line.
#[derive(Debug)]
pub(super) enum Heard {
    /// A connection stands, with this nonce; nothing is subscribed yet.
    Up(String),
    /// A message; it is the broker's until it is acknowledged.
    Message(Publish),
    /// The broker has taken a subscription.
    Subscribed,
    /// The broker has room for more.
    Room,
    /// The connection is gone, or did not come about; why.
    Lost(String),
}

/// Our end of the line. Nothing that is said while there is no connection is kept: whoever says it says it again.
pub(super) struct Link {
    heard: mpsc::Receiver<(Heard, Option<AsyncClient>)>,
    client: Option<AsyncClient>,
    waiting: VecDeque<Word>,
    stop: CancellationToken,
    driver: tokio::task::JoinHandle<()>,
}

/// Something to be said.
enum Word {
    Ack(Publish),
    Subscribe(Vec<Filter>),
    Publish { topic: String, qos: QoS, retain: bool, payload: Vec<u8>, properties: PublishProperties },
    Goodbye,
}

impl Link {
    /// Begins to connect, and goes on until it is closed.
    pub(super) fn open(settings: &Settings) -> Self {
        let (tell, heard) = mpsc::channel(INBOX);
        let stop = CancellationToken::new();
        let driver = tokio::spawn(drive(settings.clone(), tell, stop.clone()));
        Self { heard, client: None, waiting: VecDeque::new(), stop, driver }
    }

    /// What happens next. Can be dropped while it waits.
    pub(super) async fn hear(&mut self) -> Heard {
        let (heard, client) = self.heard.recv().await.unwrap_or((Heard::Lost(String::new()), None));
        match &heard {
            Heard::Up(_) => self.client = client,
            Heard::Lost(_) => self.forget(),
            _ => {}
        }
        heard
    }

    fn forget(&mut self) {
        self.client = None;
        self.waiting.clear();
    }

    /// Takes a message off the broker's hands.
    pub(super) fn acknowledge(&mut self, message: Publish) {
        self.say(Word::Ack(message));
    }

    /// Subscribes to all that concerns the node, and asks for what is retained there.
    pub(super) fn subscribe(&mut self, node: &NodeId, tags: &[Tag]) {
        let mut filters = vec![filter::commands(node), filter::desired(node)];
        filters.extend(tags.iter().map(filter::group));
        let filters = filters.into_iter().map(|path| Filter::new(path, QoS::AtLeastOnce)).collect();
        self.say(Word::Subscribe(filters));
    }

    /// Asks for an answer that the broker gives after all that it has to send now: it takes requests in their order, so
    /// a second subscription to the same, without what is retained, is a question without any effect.
    pub(super) fn ask_for_the_end(&mut self, node: &NodeId) {
        let mut again = Filter::new(filter::desired(node), QoS::AtLeastOnce);
        again.retain_forward_rule = RetainForwardRule::Never;
        self.say(Word::Subscribe(vec![again]));
    }

    /// Publishes as the topic demands; `correlation` answers a request.
    pub(super) fn publish(&mut self, topic: &Topic, payload: Vec<u8>, correlation: Option<Vec<u8>>) {
        let delivery = topic.delivery();
        if payload.len() > delivery.limit {
            log::error!("a message of {} bytes on {topic} is larger than {}; not sent", payload.len(), delivery.limit);
            return;
        }
        let properties = PublishProperties {
            message_expiry_interval: delivery.expires_after.map(seconds).filter(|_| !payload.is_empty()),
            correlation_data: correlation.map(Into::into),
            content_type: Some("application/json".to_owned()),
            user_properties: vec![("reelmill-v".to_owned(), "1".to_owned())],
            ..PublishProperties::default()
        };
        let qos = if delivery.confirmed { QoS::AtLeastOnce } else { QoS::AtMostOnce };
        self.say(Word::Publish { topic: topic.to_string(), qos, retain: delivery.retained, payload, properties });
    }

    fn say(&mut self, word: Word) {
        if self.client.is_some() {
            self.waiting.push_back(word);
            self.flush();
        }
    }

    /// Hands over as much as the connection takes now. A broker that takes nothing is lost after two keep-alives, and
    /// what waits goes with it.
    pub(super) fn flush(&mut self) {
        let Some(client) = &self.client else { return };
        while let Some(word) = self.waiting.front() {
            let taken = match word {
                Word::Ack(message) => client.try_ack(message),
                Word::Subscribe(filters) => client.try_subscribe_many(filters.clone()),
                Word::Publish { topic, qos, retain, payload, properties } => client.try_publish_with_properties(
                    topic.clone(),
                    *qos,
                    *retain,
                    payload.clone(),
                    properties.clone(),
                ),
                Word::Goodbye => client.try_disconnect(),
            };
            if taken.is_err() {
                return;
            }
            self.waiting.pop_front();
        }
    }

    /// Says goodbye, so that there is no last will, and ends.
    pub(super) async fn close(mut self) {
        self.say(Word::Goodbye);
        self.stop.cancel();
        while self.client.is_some() && !self.waiting.is_empty() {
            self.hear().await;
            self.flush();
        }
        if self.client.is_none() {
            self.driver.abort();
        }
        if tokio::time::timeout(CONNECT_TIMEOUT, &mut self.driver).await.is_err() {
            self.driver.abort();
        }
    }
}

fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

/// Connects, listens, and after a loss waits and connects again.
async fn drive(settings: Settings, tell: mpsc::Sender<(Heard, Option<AsyncClient>)>, stop: CancellationToken) {
    let mut retry = Retry::default();
    loop {
        let lost = listen(&settings, &tell, &mut retry).await;
        if stop.is_cancelled() || tell.send((Heard::Lost(lost.to_string()), None)).await.is_err() {
            return;
        }
        let level = if retry.failing() { log::Level::Debug } else { log::Level::Warn };
        log::log!(level, "no connection to the broker at {}:{}: {lost}", settings.host, settings.port);
        if let (log::Level::Warn, Some(hint)) = (level, lost.hint()) {
            log::warn!("hint: {hint}");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(retry.wait(random())) => {}
        }
    }
}

/// One connection, to its end.
async fn listen(
    settings: &Settings,
    tell: &mpsc::Sender<(Heard, Option<AsyncClient>)>,
    retry: &mut Retry,
) -> Lost {
    let conn = format!("{:016x}", random());
    let options = match options(settings, &conn) {
        Ok(options) => options,
        Err(e) => return e.into(),
    };
    // All that must be said is said anew on each connection, so nothing of an old one is kept.
    let (client, mut events) = AsyncClient::new(options, REQUESTS);
    loop {
        let heard = match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                log::info!("connected to the broker at {}:{}", settings.host, settings.port);
                retry.reset();
                (Heard::Up(conn.clone()), Some(client.clone()))
            }
            Ok(Event::Incoming(Packet::Publish(message))) => (Heard::Message(message), None),
            Ok(Event::Incoming(Packet::SubAck(_))) => (Heard::Subscribed, None),
            Ok(Event::Incoming(Packet::PubAck(_))) => (Heard::Room, None),
            Ok(Event::Outgoing(rumqttc::Outgoing::Disconnect)) => return Lost::Closed,
            Ok(_) => continue,
            Err(e) => return Lost::Connection(Box::new(e)),
        };
        // To wait here would stop the acknowledgements for which the conductor may wait.
        match tell.try_send(heard) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full((Heard::Room, _))) => {}
            Err(mpsc::error::TrySendError::Full((Heard::Message(message), _))) if message.qos == QoS::AtMostOnce => {}
            Err(mpsc::error::TrySendError::Full(_)) => return Lost::Flooded,
            Err(mpsc::error::TrySendError::Closed(_)) => return Lost::Closed,
        }
    }
}

fn options(settings: &Settings, conn: &str) -> Result<MqttOptions, IdentityError> {
    let tls = TlsConfiguration::Rustls(settings.identity.load()?);
    let mut options = MqttOptions::new(settings.node.as_str(), &settings.host, settings.port);
    options
        .set_transport(Transport::tls_with_config(tls))
        .set_clean_start(false)
        .set_session_expiry_interval(Some(seconds(SESSION_EXPIRY)))
        .set_receive_maximum(Some(IN_FLIGHT))
        .set_max_packet_size(Some(LARGEST_PACKET))
        .set_keep_alive(settings.keep_alive)
        .set_connection_timeout(CONNECT_TIMEOUT.as_secs())
        // Without it the client reserves room for 65535 messages, 20 MB of it.
        .set_outgoing_inflight_upper_limit(IN_FLIGHT)
        // A message is the broker's until it is in the ledger.
        .set_manual_acks(true)
        .set_last_will(will(settings, conn));
    Ok(options)
}

fn will(settings: &Settings, conn: &str) -> LastWill {
    let properties = LastWillProperties {
        delay_interval: Some(seconds(WILL_DELAY)),
        payload_format_indicator: None,
        message_expiry_interval: None,
        content_type: Some("application/json".to_owned()),
        response_topic: None,
        correlation_data: None,
        user_properties: vec![("reelmill-v".to_owned(), "1".to_owned())],
    };
    let topic = Topic::Health(settings.node.clone());
    LastWill::new(topic.to_string(), settings.last_will(conn), QoS::AtLeastOnce, true, Some(properties))
}

/// A random number, as good as the kernel's.
fn random() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().1
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("it was closed")]
    Closed,
    #[error("the broker sent more than it may")]
    Flooded,
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Connection(#[from] Box<ConnectionError>),
}

impl Lost {
    fn hint(&self) -> Option<&'static str> {
        let Self::Connection(error) = self else { return None };
        match &**error {
            ConnectionError::MqttState(StateError::ServerDisconnect {
                reason_code: DisconnectReasonCode::SessionTakenOver,
                ..
            }) => Some("somebody else shows this node's certificate; if this repeats itself, revoke it"),
            ConnectionError::ConnectionRefused(ConnectReturnCode::NotAuthorized) => {
                Some("the broker knows the certificate, but not this node; is it enrolled there?")
            }
            ConnectionError::Tls(_) => Some("do broker and node trust each other's authorities?"),
            ConnectionError::Io(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => {
                Some("is the broker running? it listens for nodes on a port of its own, usually 8883")
            }
            _ => None,
        }
    }
}
