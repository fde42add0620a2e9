//! Connections to the broker, one after the other: what is asked of it when one begins, and why one ended.

use std::{sync::Arc, time::Duration};

use rumqttc::{
    TlsConfiguration, Transport,
    v5::{
        AsyncClient, ConnectionError, Event, MqttOptions, StateError,
        mqttbytes::{
            self, QoS,
            v5::{
                ConnectReturnCode, DisconnectReasonCode, LastWill, LastWillProperties, Packet, PubAck, PubAckReason,
                Publish,
            },
        },
    },
};
use rustls::AlertDescription;
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{Settings, Will, retry::Retry, tls::IdentityError};

/// How many messages may wait for our acknowledgement, and for the broker's.
pub(crate) const IN_FLIGHT: u16 = 16;
/// How long to wait for a connection.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The broker sends nothing larger.
const LARGEST_PACKET: u32 = 256 * 1024;
/// Requests that the connection takes before it has written them.
const REQUESTS: usize = 64;
/// No keep-alive is shorter; the client would not take it.
const SHORTEST_KEEP_ALIVE: Duration = Duration::from_secs(5);

/// What happens on the line.
#[derive(Debug)]
pub enum Heard {
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

/// What is heard, and what comes with it.
pub(crate) struct Told {
    pub(crate) heard: Heard,
    /// The end of the line that a new connection brings.
    pub(crate) client: Option<AsyncClient>,
    /// What can be done about a loss; why the broker refused what it was told.
    pub(crate) remark: Option<String>,
}

impl From<Heard> for Told {
    fn from(heard: Heard) -> Self {
        Self { heard, client: None, remark: None }
    }
}

/// Where is told what is heard.
pub(crate) type Tell = mpsc::Sender<Told>;

/// Connects, listens, and after a loss waits and connects again; at once where that is asked for.
pub(crate) async fn drive(settings: Settings, tell: Tell, anew: Arc<Notify>, stop: CancellationToken) {
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
        let remark = lost.hint().map(str::to_owned);
        let told = Told { remark, ..Heard::Lost(lost.to_string()).into() };
        if stop.is_cancelled() || tell.send(told).await.is_err() {
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
        let told: Told = match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                log::info!("connected to the broker at {}:{}", settings.host, settings.port);
                stood = true;
                Told { client: Some(client.clone()), ..Heard::Up(conn.clone()).into() }
            }
            Ok(Event::Incoming(Packet::Publish(message))) => Heard::Message(message).into(),
            Ok(Event::Incoming(Packet::SubAck(_))) => Heard::Subscribed.into(),
            Ok(Event::Incoming(Packet::PubAck(answer))) => Told { remark: refusal(&answer), ..Heard::Room.into() },
            Ok(Event::Outgoing(rumqttc::Outgoing::Disconnect)) => return (stood, Lost::Closed),
            Ok(_) => continue,
            Err(e) => return (stood, e.into()),
        };
        // Who does not listen makes the broker wait. It cannot be held to what it may send at once: Mosquitto 2.0.11 sends as
        // many again after each acknowledgement.
        if tell.send(told).await.is_err() {
            return (stood, Lost::Closed);
        }
    }
}

/// Why the broker did not take a message; `None` where it took it, be it for nobody as yet.
fn refusal(answer: &PubAck) -> Option<String> {
    let taken = matches!(answer.reason, PubAckReason::Success | PubAckReason::NoMatchingSubscribers);
    (!taken).then(|| match answer.reason {
        PubAckReason::NotAuthorized => "its access list does not let us".to_owned(),
        reason => format!("{reason:?}"),
    })
}

fn options(settings: &Settings, conn: &str) -> Result<MqttOptions, IdentityError> {
    let tls = TlsConfiguration::Rustls(settings.identity.load()?);
    let mut options = MqttOptions::new(&settings.client, &settings.host, settings.port);
    options
        .set_transport(Transport::tls_with_config(tls))
        .set_clean_start(settings.session.is_none())
        .set_session_expiry_interval(settings.session.map(seconds))
        .set_receive_maximum(Some(IN_FLIGHT))
        .set_max_packet_size(Some(LARGEST_PACKET))
        .set_keep_alive(settings.keep_alive.max(SHORTEST_KEEP_ALIVE))
        .set_connection_timeout(CONNECT_TIMEOUT.as_secs())
        // Without it the client reserves room for 65535 messages, 20 MB of it.
        .set_outgoing_inflight_upper_limit(IN_FLIGHT)
        // A message is the broker's until we have done with it what we must.
        .set_manual_acks(true);
    if let Some(will) = &settings.will {
        options.set_last_will(last_will(will, conn));
    }
    Ok(options)
}

fn last_will(will: &Will, conn: &str) -> LastWill {
    let properties = LastWillProperties {
        delay_interval: Some(seconds(will.delay)),
        payload_format_indicator: None,
        message_expiry_interval: None,
        content_type: Some("application/json".to_owned()),
        response_topic: None,
        correlation_data: None,
        user_properties: vec![("reelmill-v".to_owned(), "1".to_owned())],
    };
    LastWill::new(will.topic.to_string(), (will.payload)(conn), QoS::AtLeastOnce, true, Some(properties))
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
    #[error("a fault of ours broke it")]
    Broken,
    #[error("a new one was asked for")]
    Left,
    /// The broker says so only after the handshake, when the first bytes are read.
    #[error("the broker refuses our certificate ({0:?})")]
    Refused(AlertDescription),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Connection(Box<ConnectionError>),
}

impl From<ConnectionError> for Lost {
    fn from(error: ConnectionError) -> Self {
        let io = match &error {
            ConnectionError::Io(io)
            | ConnectionError::MqttState(StateError::Io(io) | StateError::Deserialization(mqttbytes::Error::Io(io))) => {
                io.get_ref()
            }
            _ => None,
        };
        match io.and_then(|e| e.downcast_ref()) {
            Some(rustls::Error::AlertReceived(alert)) => Self::Refused(*alert),
            _ => Self::Connection(Box::new(error)),
        }
    }
}

impl Lost {
    fn hint(&self) -> Option<&'static str> {
        let error = match self {
            Self::Connection(error) => error,
            Self::Refused(_) => {
                return Some("is it of an authority that the broker trusts, and has it not expired or been revoked?");
            }
            _ => return None,
        };
        match &**error {
            ConnectionError::MqttState(StateError::ServerDisconnect {
                reason_code: DisconnectReasonCode::SessionTakenOver,
                ..
            }) => Some("somebody else shows the same certificate; if this repeats itself, revoke it"),
            ConnectionError::ConnectionRefused(ConnectReturnCode::NotAuthorized) => {
                Some("the broker knows the certificate, but not its name; is it enrolled there?")
            }
            ConnectionError::Tls(_) => Some("do the broker and this machine trust each other's authorities?"),
            ConnectionError::Io(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => {
                Some("is the broker running? it usually listens for nodes on port 8883, for hubs and operators on 8884")
            }
            _ => None,
        }
    }
}

/// Whole seconds, as the protocol counts them.
pub(crate) fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}
