//! The connections to a Redis server: one that all calls share, and further ones for calls that block. A lost one is
//! replaced, a call that may be repeated is, and none takes longer than a few seconds.
//!
//! The client library's own connection manager is not used because it never tries again once the server refused a
//! login, so that a worker would have to be restarted after the server's users were repaired.

use std::{
    fmt,
    sync::{Mutex as StdMutex, PoisonError},
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, ScriptInvocation,
    ServerErrorKind, aio::MultiplexedConnection,
};
use tokio::{sync::Mutex, time::timeout};
use uuid::Uuid;

use super::address::Address;
use crate::QueueError;

/// How long a call may take with all its repetitions.
const CALL: Duration = Duration::from_secs(3);
/// How long the server may take to let us in.
const DIAL: Duration = Duration::from_secs(1);
/// How long the server may take for one answer before the connection is given up.
const ANSWER: Duration = Duration::from_secs(2);
/// How much longer than it was told to the server may block.
const GRACE: Duration = Duration::from_secs(2);
/// The first wait before a call is repeated; it doubles up to the longest, and a random half is taken off.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// Connections kept for the next blocking call.
const KEPT_IDLE: usize = 16;

/// Something to ask of the server.
pub(super) enum Call {
    Script(ScriptInvocation<'static>),
    Command(Cmd),
}

/// The connections to one server.
pub(super) struct Link {
    address: Address,
    client: Client,
    shared: Mutex<Shared>,
    idle: StdMutex<Vec<MultiplexedConnection>>,
}

/// The connection that calls share, and how many there were before it.
#[derive(Default)]
struct Shared {
    generation: u64,
    connection: Option<MultiplexedConnection>,
}

impl Link {
    pub(super) fn new(address: Address) -> Result<Self, QueueError> {
        let client = address.client()?;
        Ok(Self { address, client, shared: Mutex::default(), idle: StdMutex::default() })
    }

    /// Makes the call, and makes it again while the server cannot be reached or is loading its data. `make` is asked
    /// for each try, so that a call can draw what must be new each time.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        doing: impl FnOnce() -> String,
        make: impl Fn() -> Call,
    ) -> Result<T, QueueError> {
        let mut last = None;
        let tries = async {
            let mut pause = FIRST_PAUSE;
            loop {
                match self.once(&make()).await {
                    Err(e) if may_pass(&e) => last = Some(e),
                    settled => return settled,
                }
                tokio::time::sleep(jittered(pause)).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        };
        let cause = match timeout(CALL, tries).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(e)) => self.cause(&e),
            Err(_) => last.map_or_else(|| format!("no answer within {} s", CALL.as_secs()), |e| self.cause(&e)),
        };
        Err(QueueError::Failed { doing: doing(), at: self.address.to_string(), cause })
    }

    async fn once<T: FromRedisValue>(&self, call: &Call) -> RedisResult<T> {
        let (generation, mut connection) = self.connection().await?;
        let answer = match call {
            Call::Script(script) => script.invoke_async(&mut connection).await,
            Call::Command(command) => command.query_async(&mut connection).await,
        };
        if answer.as_ref().is_err_and(|e: &RedisError| e.is_io_error() || e.is_unrecoverable_error()) {
            self.discard(generation).await;
        }
        answer
    }

    async fn connection(&self) -> RedisResult<(u64, MultiplexedConnection)> {
        let mut shared = self.shared.lock().await;
        if let Some(connection) = &shared.connection {
            return Ok((shared.generation, connection.clone()));
        }
        let connection = self.dial(Some(ANSWER)).await?;
        shared.connection = Some(connection.clone());
        Ok((shared.generation, connection))
    }

    /// Drops the shared connection unless another call has replaced it already.
    async fn discard(&self, generation: u64) {
        let mut shared = self.shared.lock().await;
        if shared.generation == generation {
            *shared = Shared { generation: generation + 1, connection: None };
        }
    }

    async fn dial(&self, answer_within: Option<Duration>) -> RedisResult<MultiplexedConnection> {
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(DIAL)).set_response_timeout(answer_within);
        let dialled = timeout(DIAL, self.client.get_multiplexed_async_connection_with_config(&config)).await;
        dialled.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
    }

    /// Sends a command that blocks for up to `block`, on a connection of its own.
    pub(super) async fn block<T: FromRedisValue>(&self, command: &Cmd, block: Duration) -> RedisResult<T> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.dial(None).await?,
        };
        let answer = timeout(block + GRACE, command.query_async(&mut connection)).await;
        let answer = answer.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT_IDLE {
            idle.push(connection);
        }
        Ok(answer)
    }

    /// Waits a moment after a failed wait, so that a server that cannot take another connection is not run over.
    pub(super) async fn pause(&self) {
        tokio::time::sleep(jittered(LONGEST_PAUSE)).await;
    }

    fn cause(&self, e: &RedisError) -> String {
        let text = match e.kind() {
            ErrorKind::AuthenticationFailed => format!("the server refused the user or the password ({e})"),
            _ if e.code() == Some("NOAUTH") => "the server wants a password".to_owned(),
            _ if is_full(e) => "the server takes nothing new, because its memory is full (maxmemory)".to_owned(),
            ErrorKind::Server(ServerErrorKind::ReadOnly) => {
                format!("the server is a replica, which takes no writes; it was to be the primary ({e})")
            }
            _ => e.to_string(),
        };
        self.address.scrub(&text)
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

/// Whether the same call may succeed a moment later.
fn may_pass(e: &RedisError) -> bool {
    let server = |kind| e.kind() == ErrorKind::Server(kind);
    e.is_io_error() || server(ServerErrorKind::BusyLoading) || server(ServerErrorKind::TryAgain)
}

/// Whether the server has reached its `maxmemory`. Before 7.0 the error of a script has a code of its own.
fn is_full(e: &RedisError) -> bool {
    e.code() == Some("OOM") || e.detail().is_some_and(|detail| detail.contains("OOM command not allowed"))
}

/// Between a half and the whole of `pause`, so that a farm does not come back all at once.
fn jittered(pause: Duration) -> Duration {
    let part = f64::from(Uuid::new_v4().as_fields().0) / f64::from(u32::MAX);
    pause.mul_f64(0.5 + part / 2.0)
}
