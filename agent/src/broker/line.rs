//! Connections to the broker, one after the other: what is asked of it when one begins, and why one ended.

use std::{sync::Arc, time::Duration};

use reelmill_api::fleet::topic::Topic;
use rumqttc::{
    TlsConfiguration, Transport,
    v5::{
        AsyncClient, ConnectionError, Event, MqttOptions, StateError,
        mqttbytes::{
            QoS,
            v5::{ConnectReturnCode, DisconnectReasonCode, LastWill, LastWillProperties, Packet, Publish},
        },
    },
};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{Settings, retry::Retry, tls::IdentityError};

/// How many messages may wait for our acknowledgement, and for the broker's.
pub(super) const IN_FLIGHT: u16 = 16;
/// How long to wait for a connection.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the broker keeps a session whose node is away.
const SESSION_EXPIRY: Duration = Duration::from_secs(7 * 24 * 3600);
/// The broker sends nothing larger.
const LARGEST_PACKET: u32 = 256 * 1024;
/// How long the broker holds the last will back: a link that is back before then was never lost to anyone.
const WILL_DELAY: Duration = Duration::from_secs(20);
/// Requests that the connection takes before it has written them.
const REQUESTS: usize = 64;
/// No keep-alive is shorter; the client would not take it.
const SHORTEST_KEEP_ALIVE: Duration = Duration::from_secs(5);

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

/// Where is told what is heard; with the end of the line that a new connection brings.
pub(super) type Tell = mpsc::Sender<(Heard, Option<AsyncClient>)>;

/// Connects, listens, and after a loss waits and connects again; at once where that is asked for.
pub(super) async fn drive(settings: Settings, tell: Tell, anew: Arc<Notify>, stop: CancellationToken) {
    let mut retry = Retry::default();
    loop {
        // In a task of its own, so that a fault of the client's ends no more than the connection.
        let mut connection = JoinSet::new();
        connection.spawn(listen(settings.clone(), tell.clone()));
        let (stood, lost) = tokio::select! {
            ended = connection.join_next() => match ended {
                Some(Ok(ended)) => ended,
                _ => (false, Lost::Broken),
            },
            () = anew.notified() => {
                // Without a goodbye: if there is no other connection soon, the last will tells of it.
                connection.shutdown().await;
                anew.notify_one();
                (true, Lost::Left)
            }
        };
        if stood {
            retry.reset();
        }
        if stop.is_cancelled() || tell.send((Heard::Lost(lost.to_string()), None)).await.is_err() {
            return;
        }
        let level = if retry.failing() || matches!(lost, Lost::Left) { log::Level::Debug } else { log::Level::Warn };
        log::log!(level, "no connection to the broker at {}:{}: {lost}", settings.host, settings.port);
        if let (log::Level::Warn, Some(hint)) = (level, lost.hint()) {
            log::warn!("hint: {hint}");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = anew.notified() => {}
            () = tokio::time::sleep(retry.wait(random())) => {}
        }
    }
}

/// One connection, to its end; whether it stood, and why it stands no more.
async fn listen(settings: Settings, tell: Tell) -> (bool, Lost) {
    let conn = format!("{:016x}", random());
    let mut stood = false;
    let options = match options(&settings, &conn) {
        Ok(options) => options,
        Err(e) => return (stood, e.into()),
    };
    // All that must be said is said anew on each connection, so nothing of an old one is kept.
    let (client, mut events) = AsyncClient::new(options, REQUESTS);
    loop {
        let heard = match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                log::info!("connected to the broker at {}:{}", settings.host, settings.port);
                stood = true;
                (Heard::Up(conn.clone()), Some(client.clone()))
            }
            Ok(Event::Incoming(Packet::Publish(message))) => (Heard::Message(message), None),
            Ok(Event::Incoming(Packet::SubAck(_))) => (Heard::Subscribed, None),
            Ok(Event::Incoming(Packet::PubAck(_))) => (Heard::Room, None),
            Ok(Event::Outgoing(rumqttc::Outgoing::Disconnect)) => return (stood, Lost::Closed),
            Ok(_) => continue,
            Err(e) => return (stood, Lost::Connection(Box::new(e))),
        };
        // To wait here would stop the acknowledgements for which the conductor may wait.
        match tell.try_send(heard) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full((Heard::Room, _))) => {}
            Err(mpsc::error::TrySendError::Full((Heard::Message(message), _))) if message.qos == QoS::AtMostOnce => {}
            Err(mpsc::error::TrySendError::Full(_)) => return (stood, Lost::Flooded),
            Err(mpsc::error::TrySendError::Closed(_)) => return (stood, Lost::Closed),
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
        .set_keep_alive(settings.keep_alive.max(SHORTEST_KEEP_ALIVE))
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
    #[error("a fault of ours broke it")]
    Broken,
    #[error("a new one was asked for")]
    Left,
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

/// Whole seconds, as the protocol counts them.
pub(super) fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}
