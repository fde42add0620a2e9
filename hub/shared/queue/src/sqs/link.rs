//! The line to an SQS server: what is asked of it is asked again while that can help and does no harm, and no call takes
//! longer than a few seconds beyond what it waits for.

use std::{
    collections::HashMap,
    error::Error,
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use aws_sdk_sqs::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    types::{MessageSystemAttributeName, QueueAttributeName},
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use tokio::time::timeout;
use uuid::Uuid;

use super::{
    address::Address,
    claims::Moment,
    fault::{ANSWER, Fault, Kind},
    note::{Message, NOTE, Note},
};
use crate::QueueError;

/// How long a call may take with all its repetitions.
const CALL: Duration = Duration::from_secs(8);
/// The first wait before a call is repeated; it doubles up to the longest, and a random half is taken off.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long SQS keeps a message at most, in seconds: two weeks.
const KEPT_S: u32 = 14 * 24 * 3600;
/// The longest that one request waits for a message.
pub(super) const LONGEST_POLL_S: i32 = 20;
/// How many messages one request brings or takes at most.
pub(super) const BATCH: usize = 10;

/// Asks for something only until a lease is over: what is asked later may be of another's message.
pub(super) async fn before<T>(end: Moment, asked: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    timeout(end.left(), asked).await.unwrap_or_else(|_| Err(Fault::over()))
}

/// Whether a request that may have been done is asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Twice is as once.
    Freely,
    /// Twice is one too many.
    IfRefused,
}

/// The line to one server.
pub(super) struct Link {
    pub(super) address: Address,
    pub(super) client: Client,
    urls: Mutex<HashMap<String, String>>,
}

impl Link {
    pub(super) fn new(address: Address) -> Result<Self, QueueError> {
        Ok(Self { client: address.client()?, address, urls: Mutex::default() })
    }

    /// Makes a request that answers at once.
    pub(super) async fn ask<T, E, F>(&self, repeat: Repeat, request: impl Fn() -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let mut last = None;
        let tries = async {
            let mut pause = FIRST_PAUSE;
            loop {
                match within(ANSWER, request()).await {
                    Err(fault) if fault.kind == Kind::Final => return Err(fault),
                    Err(fault) if fault.kind == Kind::Unclear && repeat == Repeat::IfRefused => return Err(fault),
                    Err(fault) => last = Some(fault),
                    Ok(answer) => return Ok(answer),
                }
                tokio::time::sleep(jittered(pause)).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        };
        match timeout(CALL, tries).await {
            Ok(answer) => answer,
            Err(_) => Err(last.unwrap_or_else(Fault::silence)),
        }
    }

    /// Makes a request to a queue, which is created where it is missing.
    pub(super) async fn on<T, E, F>(
        &self,
        queue: &str,
        repeat: Repeat,
        request: impl Fn(String) -> F,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let url = self.url(queue).await?;
        match self.ask(repeat, || request(url.clone())).await {
            Err(fault) if fault.is_no_queue() => {
                self.forget(queue);
                let url = self.url(queue).await?;
                self.ask(repeat, || request(url.clone())).await
            }
            answer => answer,
        }
    }

    /// The queue's own address; the queue is created where it is missing.
    pub(super) async fn url(&self, queue: &str) -> Result<String, Fault> {
        match self.existing(queue).await? {
            Some(url) => Ok(url),
            None => self.create(queue).await,
        }
    }

    /// The queue's own address, if it is there.
    pub(super) async fn existing(&self, queue: &str) -> Result<Option<String>, Fault> {
        let known = self.urls.lock().unwrap_or_else(PoisonError::into_inner).get(queue).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let owner = self.address.account.clone();
        let get = || self.client.get_queue_url().queue_name(queue).set_queue_owner_aws_account_id(owner.clone()).send();
        match self.ask(Repeat::Freely, get).await {
            Ok(got) => Ok(got.queue_url.map(|url| self.learn(queue, url))),
            Err(fault) if fault.is_no_queue() => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Its messages stay as long as SQS keeps any. One that an operator made is taken as it is.
    async fn create(&self, queue: &str) -> Result<String, Fault> {
        let create = || {
            let create = self.client.create_queue().queue_name(queue);
            create.attributes(QueueAttributeName::MessageRetentionPeriod, KEPT_S.to_string()).send()
        };
        let created = self.ask(Repeat::Freely, create).await?;
        log::info!("created the queue {queue} at {self}");
        Ok(self.learn(queue, created.queue_url.unwrap_or_default()))
    }

    fn learn(&self, queue: &str, url: String) -> String {
        self.urls.lock().unwrap_or_else(PoisonError::into_inner).insert(queue.to_owned(), url.clone());
        url
    }

    /// Asks again where a queue is when it is next used.
    pub(super) fn forget(&self, queue: &str) {
        self.urls.lock().unwrap_or_else(PoisonError::into_inner).remove(queue);
    }

    /// Puts a message on a queue, hidden for `delay_s`.
    pub(super) async fn send(&self, queue: &str, text: &str, note: &Note, delay_s: i32) -> Result<(), Fault> {
        let send = |url| {
            let send = self.client.send_message().queue_url(url).message_body(text);
            send.message_attributes(NOTE, note.attribute()).delay_seconds(delay_s).send()
        };
        self.on(queue, Repeat::IfRefused, send).await.map(drop)
    }

    /// Receives up to `count` messages, waiting up to `wait_s` for the first, and hides them for `hidden_s`.
    pub(super) async fn receive(
        &self,
        queue: &str,
        count: usize,
        hidden_s: i32,
        wait_s: i32,
    ) -> Result<Vec<Message>, Fault> {
        let count = i32::try_from(count.clamp(1, BATCH)).unwrap_or(1);
        let receive = |url| {
            let receive = self.client.receive_message().queue_url(url).max_number_of_messages(count);
            let receive = receive.visibility_timeout(hidden_s).wait_time_seconds(wait_s).message_attribute_names(NOTE);
            receive
                .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
                .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
                .send()
        };
        let received = if wait_s == 0 {
            self.on(queue, Repeat::Freely, receive).await?
        } else {
            let patience = ANSWER + Duration::from_secs(wait_s.unsigned_abs().into());
            let url = self.url(queue).await?;
            let answer = within(patience, receive(url)).await;
            answer.inspect_err(|fault| {
                if fault.is_no_queue() {
                    self.forget(queue)
                }
            })?
        };
        Ok(received.messages.unwrap_or_default().into_iter().filter_map(Message::read).collect())
    }

    /// Hides a delivered message for so long from now.
    pub(super) async fn hide(&self, queue: &str, handle: &str, seconds: i32, repeat: Repeat) -> Result<(), Fault> {
        let hide = |url| {
            self.client
                .change_message_visibility()
                .queue_url(url)
                .receipt_handle(handle)
                .visibility_timeout(seconds)
                .send()
        };
        self.on(queue, repeat, hide).await.map(drop)
    }

    /// Removes a delivered message.
    pub(super) async fn delete(&self, queue: &str, handle: &str) -> Result<(), Fault> {
        let delete = |url| self.client.delete_message().queue_url(url).receipt_handle(handle).send();
        self.on(queue, Repeat::Freely, delete).await.map(drop)
    }

    /// Removes a queue with all that lies on it.
    pub(super) async fn delete_queue(&self, queue: &str) -> Result<(), Fault> {
        let Some(url) = self.existing(queue).await? else { return Ok(()) };
        self.forget(queue);
        match self.ask(Repeat::Freely, || self.client.delete_queue().queue_url(&url).send()).await {
            Err(fault) if !fault.is_no_queue() => Err(fault),
            _ => Ok(()),
        }
    }

    /// How many messages of a queue are ready, delayed and delivered; none where there is no queue.
    pub(super) async fn count(&self, queue: &str) -> Result<Counts, Fault> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::CreatedTimestamp,
        ];
        let Some(url) = self.existing(queue).await? else { return Ok(Counts::default()) };
        let get =
            || self.client.get_queue_attributes().queue_url(&url).set_attribute_names(Some(names.to_vec())).send();
        let got = match self.ask(Repeat::Freely, get).await {
            Err(fault) if fault.is_no_queue() => {
                self.forget(queue);
                return Ok(Counts::default());
            }
            got => got?,
        };
        let number = |name| -> u64 {
            let text: Option<&String> = got.attributes.as_ref().and_then(|all| all.get(name));
            // Some servers give seconds with a fraction.
            text.and_then(|text| text.split('.').next()?.parse().ok()).unwrap_or(0)
        };
        let [ready, delayed, delivered, created_s] = names.each_ref().map(number);
        Ok(Counts { ready, delayed, delivered, created_s })
    }

    /// A fault as callers of the queue see it.
    pub(super) fn failed(&self, doing: impl fmt::Display, fault: &Fault) -> QueueError {
        let cause = self.address.scrub(&fault.cause);
        QueueError::Failed { doing: doing.to_string(), at: self.to_string(), cause }
    }
}

/// What lies on a queue, as far as the server knows, and since when there is such a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) ready: u64,
    pub(super) delayed: u64,
    pub(super) delivered: u64,
    pub(super) created_s: u64,
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

async fn within<T, E>(
    limit: Duration,
    request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Result<T, Fault>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    match timeout(limit, request).await {
        Ok(answer) => answer.map_err(|e| Fault::of(&e)),
        Err(_) => Err(Fault::silence()),
    }
}

/// Waits a moment after a failed wait, so that a server in trouble is not run over.
pub(super) async fn pause() {
    tokio::time::sleep(jittered(LONGEST_PAUSE)).await;
}

/// Between a half and the whole of `pause`, so that a farm does not come back all at once.
fn jittered(pause: Duration) -> Duration {
    let part = f64::from(Uuid::new_v4().as_fields().0) / f64::from(u32::MAX);
    pause.mul_f64(0.5 + part / 2.0)
}
