//! NATS: a message to a stream of work, stored when it is answered; a pull of one, and an acknowledgement that the server
//! confirms.

use std::time::Duration;

use async_nats::jetstream::{
    self, AckKind,
    consumer::{AckPolicy, PullConsumer, pull},
    stream::{Config, RetentionPolicy},
};
use futures::StreamExt as _;

use super::NAME;
use crate::queues::notes::Noting;

const WAIT: Duration = Duration::from_secs(2);

pub(in super::super) struct Stream {
    js: jetstream::Context,
    consumer: PullConsumer,
}

impl Stream {
    pub(super) async fn open(url: &str) -> Self {
        let js = jetstream::new(async_nats::connect(url).await.expect("it answers"));
        let (name, subjects) = (NAME.to_owned(), vec![NAME.to_owned()]);
        let config = Config { name, subjects, retention: RetentionPolicy::WorkQueue, ..Config::default() };
        let stream = js.get_or_create_stream(config).await.expect("a stream");
        let durable_name = Some(NAME.to_owned());
        let config = pull::Config { durable_name, ack_policy: AckPolicy::Explicit, ..pull::Config::default() };
        let consumer = stream.get_or_create_consumer(NAME, config).await.expect("a consumer");
        Self { js, consumer }
    }

    pub(super) async fn publish(&self, body: &str) {
        let sent = self.js.publish(NAME, body.to_owned().into()).await.expect("sent");
        sent.await.expect("stored");
    }

    pub(super) async fn consume(self, noting: &Noting) {
        loop {
            let mut pulled = self.consumer.batch().max_messages(1).expires(WAIT).messages().await.expect("an answer");
            while let Some(message) = pulled.next().await {
                let message = message.expect("a message");
                noting.note(&message.payload);
                message.double_ack_with(AckKind::Ack).await.expect("it was ours");
            }
        }
    }
}
