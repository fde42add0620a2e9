//! The connections to a RabbitMQ server: one for what is leased, one for what is published, since a server that is full
//! reads nothing more from a connection that publishes. A lost one is replaced, a call that may be repeated is, and none
//! takes longer than a few seconds.

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, Mutex as StdMutex, PoisonError},
    time::Duration,
};

use lapin::{
    AsyncTcpStream, BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Error, ErrorKind,
    options::{BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions},
    protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError},
};
use tokio::{sync::Mutex, time::timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use super::{
    address::Address,
    socket::{Dialer, Kit},
};
use crate::QueueError;

/// How long a call may take with all its repetitions.
const CALL: Duration = Duration::from_secs(5);
/// How long the server may take to let us in.
const DIAL: Duration = Duration::from_secs(2);
/// How long the server may take for one answer.
const ANSWER: Duration = Duration::from_secs(3);
/// The first wait before a call is repeated; it doubles up to the longest, and any part of it is left out by chance.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Channels kept open for the next call.
const KEPT_IDLE: usize = 32;

/// Why a try came to nothing.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The client library's or the server's word.
    Said(Error),
    /// No answer in time to this.
    Silent(&'static str),
    /// The server takes no messages.
    Full,
    /// The server did not keep a message.
    Refused,
    /// There is no queue behind the name.
    Unroutable(String),
    /// The lease is no longer ours.
    Lost,
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Said(error)
    }
}

impl Trouble {
    fn soft(&self) -> Option<&AMQPSoftError> {
        match self {
            Self::Said(error) => match error.kind() {
                ErrorKind::ProtocolError(e) => match e.kind() {
                    AMQPErrorKind::Soft(soft) => Some(soft),
                    AMQPErrorKind::Hard(_) => None,
                },
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether a queue of this name exists with other arguments.
    pub(super) fn is_mismatch(&self) -> bool {
        matches!(self.soft(), Some(AMQPSoftError::PRECONDITIONFAILED))
    }

    /// Whether another connection has exclusive use of what was asked for.
    pub(super) fn is_locked(&self) -> bool {
        matches!(self.soft(), Some(AMQPSoftError::RESOURCELOCKED))
    }

    /// Whether something is not there that was declared before.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Unroutable(_)) || matches!(self.soft(), Some(AMQPSoftError::NOTFOUND))
    }

    /// Whether the same call may succeed a moment later.
    fn may_pass(&self) -> bool {
        match self {
            Self::Silent(_) | Self::Refused | Self::Unroutable(_) => true,
            Self::Full | Self::Lost => false,
            Self::Said(error) => match error.kind() {
                ErrorKind::ProtocolError(e) => match e.kind() {
                    AMQPErrorKind::Soft(soft) => *soft == AMQPSoftError::NOTFOUND,
                    AMQPErrorKind::Hard(hard) => {
                        matches!(hard, AMQPHardError::CONNECTIONFORCED | AMQPHardError::INTERNALERROR)
                    }
                },
                // A certificate that is not trusted will not be so in a second.
                ErrorKind::IOError(e) => e.kind() != std::io::ErrorKind::InvalidData,
                _ => true,
            },
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said(error) => match error.kind() {
                ErrorKind::ProtocolError(e) if e.get_id() == 403 => {
                    write!(f, "the server refused the user, the password or the permission ({})", e.get_message())
                }
                ErrorKind::ProtocolError(e) => write!(f, "{}", e.get_message()),
                ErrorKind::IOError(e) => write!(f, "{e}"),
                _ => write!(f, "{error}"),
            },
            Self::Silent(what) => write!(f, "no answer to {what} in time"),
            Self::Full => {
                write!(f, "the server takes no messages now, because its memory or disk is full (connection.blocked)")
            }
            Self::Refused => write!(f, "the server did not keep the message"),
            Self::Unroutable(queue) => write!(f, "there is no queue {queue}"),
            Self::Lost => write!(f, "the lease was lost"),
        }
    }
}

/// Waits for an answer, but not for ever.
pub(super) async fn answer<T>(what: &'static str, asked: impl Future<Output = Result<T, Error>>) -> Result<T, Trouble> {
    Ok(timeout(ANSWER, asked).await.map_err(|_| Trouble::Silent(what))??)
}

/// One connection as long as it lives.
pub(super) struct Wire {
    connection: Connection,
    idle: StdMutex<Vec<Channel>>,
    cut: CancellationToken,
    _cut_when_dropped: DropGuard,
}

impl Wire {
    pub(super) fn is_up(&self) -> bool {
        self.connection.status().connected() && !self.cut.is_cancelled()
    }

    /// Gives the connection up: the server returns what is leased on it.
    pub(super) fn cut(&self) {
        self.cut.cancel();
    }
}

/// A channel in use by one call or lease. Dropped, it is closed, and what was leased on it returned.
pub(super) struct Desk {
    wire: Arc<Wire>,
    channel: Channel,
}

impl Deref for Desk {
    type Target = Channel;

    fn deref(&self) -> &Channel {
        &self.channel
    }
}

impl Desk {
    pub(super) fn is_open(&self) -> bool {
        self.wire.is_up() && self.channel.status().connected()
    }

    /// Waits until the server has heard what was said on this channel, and learns whether it closed it.
    pub(super) async fn settle(&self) -> Result<(), Trouble> {
        answer("a settlement", self.basic_qos(1, BasicQosOptions::default())).await
    }

    /// Keeps the channel for the next call; only where nothing is leased on it.
    pub(super) fn put_back(self) {
        let mut idle = self.wire.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_open() && idle.len() < KEPT_IDLE {
            idle.push(self.channel.clone());
        }
    }
}

/// A connection that is made when it is needed, and made again when it was lost.
pub(super) struct Line {
    address: Address,
    dialer: Dialer,
    /// Whether publishing on it is confirmed.
    confirms: bool,
    wire: Mutex<Option<Arc<Wire>>>,
}

impl Line {
    pub(super) fn new(address: &Address, dialer: &Dialer, confirms: bool) -> Self {
        Self { address: address.clone(), dialer: dialer.clone(), confirms, wire: Mutex::default() }
    }

    /// The connection.
    pub(super) async fn wire(&self) -> Result<Arc<Wire>, Trouble> {
        let mut held = self.wire.lock().await;
        match &*held {
            Some(wire) if wire.is_up() => Ok(wire.clone()),
            _ => {
                *held = None;
                let wire = Arc::new(self.dial().await?);
                *held = Some(wire.clone());
                Ok(wire)
            }
        }
    }

    async fn dial(&self) -> Result<Wire, Trouble> {
        let (cut, dialer) = (CancellationToken::new(), self.dialer.clone());
        // A handshake that is given up must not leave its socket and thread behind.
        let guard = cut.clone().drop_guard();
        let connect = {
            let cut = cut.clone();
            async move |_uri, _runtime| {
                let socket = dialer.dial(cut.clone()).await.map_err(Error::from)?;
                Ok(AsyncTcpStream::Plain(socket))
            }
        };
        let name = format!("reelmill {} ({})", std::process::id(), if self.confirms { "publishes" } else { "leases" });
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let dialing = Connection::connector(self.address.to_uri(), Kit::current(), connect, properties);
        let connection = timeout(DIAL, dialing).await.map_err(|_| Trouble::Silent("a connection"))??;
        Ok(Wire { connection, idle: StdMutex::default(), cut, _cut_when_dropped: guard })
    }

    /// A channel for one call.
    pub(super) async fn desk(&self) -> Result<Desk, Trouble> {
        let wire = self.wire().await?;
        while let Some(channel) = { wire.idle.lock().unwrap_or_else(PoisonError::into_inner).pop() } {
            if channel.status().connected() {
                return Ok(Desk { wire, channel });
            }
        }
        let channel = answer("a channel", wire.connection.create_channel()).await?;
        if self.confirms {
            answer("a channel", channel.confirm_select(ConfirmSelectOptions::default())).await?;
        }
        Ok(Desk { wire, channel })
    }

    /// Whether the server takes messages on this connection, as far as it has told.
    pub(super) async fn check_room(&self) -> Result<(), Trouble> {
        if self.wire().await?.connection.status().blocked() { Err(Trouble::Full) } else { Ok(()) }
    }

    /// Publishes a message and waits until it is kept: in a quorum queue, written to the disks of most.
    pub(super) async fn send(
        &self,
        exchange: &str,
        key: &str,
        properties: BasicProperties,
        body: &[u8],
    ) -> Result<(), Trouble> {
        self.check_room().await?;
        let desk = self.desk().await?;
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let publishing =
            async { desk.basic_publish(exchange.into(), key.into(), options, body, properties).await?.await };
        match answer("a message", publishing).await {
            Ok(Confirmation::Ack(None)) => {
                desk.put_back();
                Ok(())
            }
            Ok(Confirmation::Ack(Some(_)) | Confirmation::NotRequested) => Err(Trouble::Unroutable(key.to_owned())),
            Ok(Confirmation::Nack(_)) => Err(Trouble::Refused),
            Err(Trouble::Silent(_)) if desk.wire.connection.status().blocked() => Err(Trouble::Full),
            Err(Trouble::Silent(what)) => {
                // A hung server may keep it later all the same; on a new connection it is asked anew.
                desk.wire.cut();
                Err(Trouble::Silent(what))
            }
            Err(other) => Err(other),
        }
    }

    /// Tries until it succeeds, or until it is clear that it will not.
    pub(super) async fn patiently<T, F: Future<Output = Result<T, Trouble>>>(
        &self,
        doing: impl FnOnce() -> String,
        once: impl Fn() -> F,
    ) -> Result<T, QueueError> {
        self.wait_patiently(doing, Duration::ZERO, once).await
    }

    /// The same for a call that may have to wait for so long besides.
    pub(super) async fn wait_patiently<T, F: Future<Output = Result<T, Trouble>>>(
        &self,
        doing: impl FnOnce() -> String,
        wait: Duration,
        once: impl Fn() -> F,
    ) -> Result<T, QueueError> {
        let mut last = None;
        let tries = async {
            let mut pause = FIRST_PAUSE;
            loop {
                match once().await {
                    Err(trouble) if trouble.may_pass() => last = Some(trouble),
                    settled => return settled,
                }
                tokio::time::sleep(jittered(pause)).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        };
        let trouble = match timeout(CALL.saturating_add(wait), tries).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(trouble)) => trouble,
            Err(_) => last.unwrap_or(Trouble::Silent("anything")),
        };
        Err(self.failed(doing(), &trouble))
    }

    /// The error that a caller gets to see.
    pub(super) fn failed(&self, doing: String, trouble: &Trouble) -> QueueError {
        let cause = self.address.scrub(&trouble.to_string());
        QueueError::Failed { doing, at: self.address.to_string(), cause }
    }
}

/// Any part of `pause`, so that a farm does not come back all at once.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(f64::from(Uuid::new_v4().as_fields().0) / f64::from(u32::MAX))
}
