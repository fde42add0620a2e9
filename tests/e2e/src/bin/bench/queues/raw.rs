//! The servers' own commands by their raw clients, with nothing in between: what a queue on them costs at least.

mod nats;
mod rabbitmq;
mod redis;
mod sqlite;
mod sqs;

use reelmill_lab::queues::Kind;

use super::notes::Noting;

/// The queue, stream or table on each.
const NAME: &str = "raw";

/// A raw client of one kind of queue.
pub(super) enum Raw {
    /// A stream with a group.
    Redis(redis::Stream),
    /// A table of messages.
    Sqlite(sqlite::Table),
    /// A quorum queue.
    RabbitMq(Box<rabbitmq::Queue>),
    /// A stream with a pull consumer.
    Nats(Box<nats::Stream>),
    /// A queue.
    Sqs(sqs::Queue),
}

impl Raw {
    /// Connects.
    pub(super) async fn open(kind: Kind, url: &str) -> Self {
        match kind {
            Kind::Redis => Self::Redis(redis::Stream::open(url).await),
            Kind::Sqlite => Self::Sqlite(sqlite::Table::open(url).await),
            Kind::RabbitMq => Self::RabbitMq(Box::new(rabbitmq::Queue::open(url).await)),
            Kind::Nats => Self::Nats(Box::new(nats::Stream::open(url).await)),
            Kind::Sqs => Self::Sqs(sqs::Queue::open(url).await),
        }
    }

    /// Publishes one message; returns when the server has it.
    pub(super) async fn publish(&self, body: &str) {
        match self {
            Self::Redis(stream) => stream.publish(body).await,
            Self::Sqlite(table) => table.publish(body).await,
            Self::RabbitMq(queue) => queue.publish(body).await,
            Self::Nats(stream) => stream.publish(body).await,
            Self::Sqs(queue) => queue.publish(body).await,
        }
    }

    /// Takes messages one by one and removes them, for ever.
    pub(super) async fn consume(self, number: usize, noting: &Noting) {
        match self {
            Self::Redis(stream) => stream.consume(number, noting).await,
            Self::Sqlite(table) => table.consume(noting).await,
            Self::RabbitMq(queue) => queue.consume(noting).await,
            Self::Nats(stream) => stream.consume(noting).await,
            Self::Sqs(queue) => queue.consume(noting).await,
        }
    }
}
