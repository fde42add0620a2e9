//! The connection to a NATS server: calls that are repeated while the server is away, for some seconds, and what went
//! wrong in words. The client library connects again by itself; what it buffers meanwhile is kept small by not calling it
//! without a connection.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_nats::{
    Client, Event,
    connection::State,
    jetstream::{
        self, Context, ErrorCode,
        context::PublishError,
        message::{PublishMessage, StreamMessage},
        publish::PublishAck,
        response::Response,
        stream::RawMessageErrorKind,
    },
};
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use uuid::Uuid;

use super::{
    address::Address,
    trouble::{Trouble, Wrote, in_words, trouble, unanswered, wrote},
};
use crate::QueueError;

/// How long a call may take with all its repetitions.
pub(super) const CALL: Duration = Duration::from_secs(3);
/// How long the server may take to let us in.
const DIAL: Duration = Duration::from_secs(2);
/// How long the server may take for one answer.
const ANSWER: Duration = Duration::from_secs(2);
/// How often the connection is tried when nothing else goes over it.
const PING: Duration = Duration::from_secs(5);
/// How long may be spent on finding out why there is no connection.
const ASIDE: Duration = Duration::from_millis(500);
/// The first wait before something is tried again; it doubles up to the longest, and a random half is taken off.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_RECONNECT_PAUSE: Duration = Duration::from_secs(2);

/// The connection to one server, or one cluster.
pub(super) struct Link {
    address: Address,
    client: Client,
    js: Context,
    /// What the server or the network said last, and when.
    said: Arc<Mutex<Option<(Instant, String)>>>,
    /// Counts the times that the connection was lost.
    losses: watch::Receiver<u64>,
}

impl Link {
    /// Connects, trying for a moment if nobody listens yet.
    pub(super) async fn open(address: Address) -> Result<Self, QueueError> {
        let said = Arc::new(Mutex::new(None));
        let (count, losses) = watch::channel(0);
        let begun = Instant::now();
        let client = loop {
            let options = watched(address.options()?, said.clone(), count.clone());
            let tried = timeout(DIAL, options.connect(address.to_string())).await;
            let cause = match tried {
                Ok(Ok(client)) => break client,
                Ok(Err(e)) => e.to_string(),
                Err(_) => format!("no answer within {} s", DIAL.as_secs()),
            };
            let refused = cause.contains("authorization") || cause.contains("certificate");
            if refused || begun.elapsed() >= CALL {
                let cause = address.scrub(&in_words(&cause));
                return Err(QueueError::Failed {
                    doing: "connect to the queue".to_owned(),
                    at: address.to_string(),
                    cause,
                });
            }
            tokio::time::sleep(jittered(LONGEST_PAUSE)).await;
        };
        fits(&address, &client)?;
        let js = jetstream::ContextBuilder::new().timeout(ANSWER).ack_timeout(ANSWER).build(client.clone());
        Ok(Self { address, client, js, said, losses })
    }

    /// The library's view of JetStream, for what needs it.
    pub(super) fn jetstream(&self) -> &Context {
        &self.js
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn replicas(&self) -> usize {
        self.address.replicas
    }

    /// `e`, or what it means where the server says that it has no JetStream. Another one of its cluster may have it.
    pub(super) fn explained(&self, e: QueueError) -> QueueError {
        match self.client.server_info().jetstream {
            true => e,
            false => unfit(
                &self.address,
                "JetStream is off",
                "start it with -js, or write `jetstream {}` into its configuration",
            ),
        }
    }

    /// Changes when the connection is lost.
    pub(super) fn losses(&self) -> watch::Receiver<u64> {
        self.losses.clone()
    }

    /// Tries until something other than a passing trouble comes of it, or the time is over. `attempt` is told whether
    /// it was tried before.
    pub(super) async fn run<T, F>(
        &self,
        doing: impl FnOnce() -> String,
        attempt: impl Fn(bool) -> F,
    ) -> Result<T, QueueError>
    where
        F: Future<Output = Result<T, Trouble>>,
    {
        let begun = Instant::now();
        let (mut pause, mut tried_before, mut cause) = (FIRST_PAUSE, false, None);
        while begun.elapsed() < CALL {
            if self.client.connection_state() == State::Connected {
                let left = CALL.saturating_sub(begun.elapsed());
                let mut lost = self.losses();
                lost.mark_unchanged();
                let tried = tokio::select! {
                    tried = timeout(left, attempt(tried_before)) => tried,
                    // Then its answer never comes.
                    _ = lost.changed() => Ok(Err(Trouble::Passing("the connection was lost".to_owned()))),
                };
                match tried {
                    Ok(Ok(answer)) => return Ok(answer),
                    Ok(Err(Trouble::Lasting(why))) => return Err(self.failed(doing(), &why)),
                    Ok(Err(Trouble::Passing(why))) => cause = Some(why),
                    Err(_) => {}
                }
                tried_before = true;
            }
            tokio::time::sleep(jittered(pause)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        let said = self.said_since(begun).await.or(cause);
        Err(self.failed(doing(), &said.unwrap_or_else(|| format!("timed out after {} s", CALL.as_secs()))))
    }

    /// What is wrong with the connection, or what the server said of its own accord since then.
    async fn said_since(&self, begun: Instant) -> Option<String> {
        // The client library tells what kind of error it met while it dials, but not which.
        if self.client.connection_state() != State::Connected
            && let Err(why) = self.address.reach(ASIDE).await
        {
            return Some(why);
        }
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner).clone();
        said.filter(|(when, _)| *when >= begun).map(|(_, said)| said)
    }

    pub(super) fn failed(&self, doing: String, cause: &str) -> QueueError {
        QueueError::Failed { doing, at: self.address.to_string(), cause: self.address.scrub(&in_words(cause)) }
    }

    /// Stores a message. Where it has an id or a condition, repetitions are told apart from others' deeds.
    pub(super) async fn store(
        &self,
        doing: impl FnOnce() -> String,
        subject: &str,
        message: PublishMessage,
    ) -> Result<Wrote, QueueError> {
        let attempt = |tried_before| {
            let (subject, message) = (subject.to_owned(), message.clone());
            async move { wrote(self.publish(subject, message).await, tried_before) }
        };
        self.run(doing, attempt).await
    }

    async fn publish(&self, subject: String, message: PublishMessage) -> Result<PublishAck, PublishError> {
        self.js.send_publish(subject, message).await?.await
    }

    /// Stores `payload` under the condition that the last message on `subject` has the number `after`.
    pub(super) async fn replace(
        &self,
        doing: impl FnOnce() -> String,
        subject: &str,
        after: u64,
        payload: impl Into<Bytes>,
    ) -> Result<Wrote, QueueError> {
        let message = PublishMessage::build().payload(payload.into()).expected_last_subject_sequence(after);
        self.store(doing, subject, message).await
    }

    /// Reads one message; `None` where there is no such one. It is always the leader of a cluster that answers.
    pub(super) async fn read(
        &self,
        doing: impl FnOnce() -> String,
        stream: &str,
        which: &Which,
    ) -> Result<Option<StreamMessage>, QueueError> {
        self.run(doing, |_| self.read_once(stream, which)).await
    }

    async fn read_once(&self, stream: &str, which: &Which) -> Result<Option<StreamMessage>, Trouble> {
        let stream = self.js.get_stream_no_info(stream).await.map_err(|e| Trouble::Lasting(e.to_string()))?;
        let ask = stream.raw_message_builder();
        let ask = match which {
            Which::Number(number) => ask.sequence(*number),
            Which::LastOn(subject) => ask.last_by_subject(subject),
            Which::NextFrom(number) => ask.sequence(*number).next_by_subject(">"),
        };
        match ask.send().await {
            Ok(message) => Ok(Some(message)),
            Err(e) => match e.kind() {
                RawMessageErrorKind::NoMessageFound => Ok(None),
                RawMessageErrorKind::JetStream(inner) => Err(trouble(inner.error_code(), e.to_string())),
                _ => Err(Trouble::Passing(e.to_string())),
            },
        }
    }

    /// Removes a message for good; nothing happens where it is gone already.
    pub(super) async fn remove(
        &self,
        doing: impl FnOnce() -> String + Clone,
        stream: &str,
        number: u64,
    ) -> Result<(), QueueError> {
        let (path, question) = (format!("STREAM.MSG.DELETE.{stream}"), serde_json::json!({ "seq": number }));
        let answer = self.ask::<_, serde_json::Value>(doing.clone(), &path, &question).await?;
        let Err((code, why)) = answer else { return Ok(()) };
        if [ErrorCode::NO_MESSAGE_FOUND, ErrorCode::SEQUENCE_NOT_FOUND].contains(&code) {
            return Ok(());
        }
        // A store that does not find it calls that a failure.
        match self.read(doing.clone(), stream, &Which::Number(number)).await? {
            None => Ok(()),
            Some(_) => Err(self.failed(doing(), &why)),
        }
    }

    /// Asks JetStream's API; the inner error is its answer.
    pub(super) async fn ask<Q: Serialize + Sync, A: DeserializeOwned>(
        &self,
        doing: impl FnOnce() -> String,
        path: &str,
        question: &Q,
    ) -> Result<Result<A, (ErrorCode, String)>, QueueError> {
        let attempt = |_| async move {
            match self.js.request::<_, Q, Response<A>>(path.to_owned(), question).await {
                Ok(Response::Ok(answer)) => Ok(Ok(answer)),
                Ok(Response::Err { error }) => match trouble(error.error_code(), error.to_string()) {
                    passing @ Trouble::Passing(_) => Err(passing),
                    Trouble::Lasting(why) => Ok(Err((error.error_code(), why))),
                },
                Err(e) => Err(unanswered(&e)),
            }
        };
        self.run(doing, attempt).await
    }
}

/// Which message to read.
pub(super) enum Which {
    Number(u64),
    LastOn(String),
    /// The first with this number or a higher one.
    NextFrom(u64),
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

/// Whether the server can do what is needed of it.
fn fits(address: &Address, client: &Client) -> Result<(), QueueError> {
    if !client.is_server_compatible(2, 9, 0) {
        return Err(unfit(address, "it is older than 2.9", "install nats-server 2.9 or newer"));
    }
    // Older ones check a condition before they know of what is under way to the other servers of the cluster.
    if address.replicas > 1 && !client.is_server_compatible(2, 11, 0) {
        let hint = "install nats-server 2.11, or leave out `replicas`";
        return Err(unfit(address, "it keeps no conditions over several servers", hint));
    }
    Ok(())
}

fn unfit(address: &Address, what: &str, hint: &str) -> QueueError {
    let message = format!("the NATS server at {address} cannot be used: {what}");
    QueueError::BadAddress { message, hint: hint.to_owned() }
}

fn watched(
    options: async_nats::ConnectOptions,
    said: Arc<Mutex<Option<(Instant, String)>>>,
    losses: watch::Sender<u64>,
) -> async_nats::ConnectOptions {
    let on_event = move |event| {
        let words = match &event {
            Event::ServerError(e) => Some(e.to_string()),
            Event::ClientError(e) => Some(e.to_string()),
            _ => None,
        };
        if let Some(words) = words {
            log::debug!("the connection to the queue: {words}");
            *said.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), words));
        }
        if matches!(event, Event::Disconnected | Event::SlowConsumer(_)) {
            losses.send_modify(|count| *count += 1);
        }
        std::future::ready(())
    };
    let pause = |attempts: usize| match u32::try_from(attempts) {
        Ok(0 | 1) => jittered(FIRST_PAUSE),
        Ok(n) => jittered(FIRST_PAUSE.saturating_mul(1 << n.min(10)).min(LONGEST_RECONNECT_PAUSE)),
        Err(_) => LONGEST_RECONNECT_PAUSE,
    };
    options.connection_timeout(DIAL).ping_interval(PING).reconnect_delay_callback(pause).event_callback(on_event)
}

/// Between a half and the whole of `pause`, so that a farm does not come back all at once.
pub(super) fn jittered(pause: Duration) -> Duration {
    let part = f64::from(Uuid::new_v4().as_fields().0) / f64::from(u32::MAX);
    pause.mul_f64(0.5 + part / 2.0)
}
