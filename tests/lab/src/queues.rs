//! A queue of any kind that there is a driver for, for tests and benchmarks that hold for all of them.

use std::{fmt, str::FromStr};

use tempfile::TempDir;

use crate::{nats::Nats, rabbitmq::RabbitMq, redis::Redis, sqs::Sqs};

/// The kinds of queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    Sqlite,
    /// A Redis server.
    Redis,
    /// A RabbitMQ server.
    RabbitMq,
    /// A NATS server with JetStream.
    Nats,
    /// A server that speaks SQS.
    Sqs,
}

impl Kind {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Sqlite, Self::Redis, Self::RabbitMq, Self::Nats, Self::Sqs];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Redis => "redis",
            Self::RabbitMq => "rabbitmq",
            Self::Nats => "nats",
            Self::Sqs => "sqs",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let names: Vec<_> = Self::ALL.iter().map(|kind| kind.name()).collect();
        let found = Self::ALL.iter().find(|kind| kind.name() == name).copied();
        found.ok_or_else(|| format!("`{name}` is no kind of queue\nhint: {}, or all", names.join(", ")))
    }
}

/// A queue of one kind that keeps what it was given; its server, if it has one, ends when this is dropped.
pub enum QueueServer {
    /// A file.
    Sqlite(TempDir),
    /// A Redis server.
    Redis(Redis),
    /// A RabbitMQ server.
    RabbitMq(RabbitMq),
    /// A NATS server.
    Nats(Nats),
    /// moto.
    Sqs(Sqs),
}

impl QueueServer {
    /// Starts the server of that kind, so that it forgets nothing when it is killed, as far as it can.
    pub fn start(kind: Kind) -> Self {
        match kind {
            Kind::Sqlite => Self::Sqlite(TempDir::new().expect("a temporary folder")),
            Kind::Redis => Self::Redis(Redis::start_with(&["--appendonly", "yes", "--appendfsync", "always"])),
            Kind::RabbitMq => Self::RabbitMq(RabbitMq::start_with("", "")),
            Kind::Nats => Self::Nats(Nats::start()),
            Kind::Sqs => Self::Sqs(Sqs::start()),
        }
    }

    /// Its address.
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => format!("sqlite://{}", folder.path().join("queue.sqlite").display()),
            Self::Redis(redis) => redis.url(),
            Self::RabbitMq(rabbit) => rabbit.url(),
            Self::Nats(nats) => nats.url(),
            Self::Sqs(sqs) => sqs.url(),
        }
    }

    /// The port of its server, if it has one.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Sqlite(_) => None,
            Self::Redis(redis) => Some(redis.port),
            Self::RabbitMq(rabbit) => Some(rabbit.port),
            Self::Nats(nats) => Some(nats.port),
            Self::Sqs(sqs) => Some(sqs.port),
        }
    }

    /// Its address by way of a relay on that port.
    pub fn url_by_way_of(&self, relay: u16) -> String {
        let port = |port| format!(":{port}");
        self.port().map_or_else(|| self.url(), |own| self.url().replacen(&port(own), &port(relay), 1))
    }

    /// Whether its server can be killed without losing what it was given.
    pub fn survives(&self) -> bool {
        match self {
            Self::Redis(_) | Self::RabbitMq(_) | Self::Nats(_) => true,
            // moto keeps all in memory.
            Self::Sqlite(_) | Self::Sqs(_) => false,
        }
    }

    /// Kills the server as a power cut would.
    pub fn kill(&mut self) {
        match self {
            Self::Sqlite(_) => unreachable!("a file has no server"),
            Self::Redis(redis) => redis.kill(),
            Self::RabbitMq(rabbit) => rabbit.kill(),
            Self::Nats(nats) => nats.kill(),
            Self::Sqs(sqs) => sqs.kill(),
        }
    }

    /// Starts it again on the same port and files.
    pub fn start_again(&mut self) {
        match self {
            Self::Sqlite(_) => unreachable!("a file has no server"),
            Self::Redis(redis) => redis.start_again(),
            Self::RabbitMq(rabbit) => drop(rabbit.start_again()),
            Self::Nats(nats) => nats.start_again(),
            Self::Sqs(sqs) => sqs.start_again(),
        }
    }
}
