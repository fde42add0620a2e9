//! A queue of any kind that there is a driver for, for tests and benchmarks that hold for all of them.

use std::{fmt, str::FromStr};

use tempfile::TempDir;

use crate::redis::Redis;

/// The kinds of queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    Sqlite,
    /// A Redis server.
    Redis,
}

impl Kind {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Sqlite, Self::Redis];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Redis => "redis",
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
}

impl QueueServer {
    /// Starts the server of that kind, so that it forgets nothing when it is killed, as far as it can.
    pub fn start(kind: Kind) -> Self {
        match kind {
            Kind::Sqlite => Self::Sqlite(TempDir::new().expect("a temporary folder")),
            Kind::Redis => Self::Redis(Redis::start_with(&["--appendonly", "yes", "--appendfsync", "always"])),
        }
    }

    /// Its address.
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => format!("sqlite://{}", folder.path().join("queue.sqlite").display()),
            Self::Redis(redis) => redis.url(),
        }
    }

    /// The port of its server, if it has one.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Sqlite(_) => None,
            Self::Redis(redis) => Some(redis.port),
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
            Self::Sqlite(_) => false,
            Self::Redis(_) => true,
        }
    }

    /// Kills the server as a power cut would.
    pub fn kill(&mut self) {
        match self {
            Self::Sqlite(_) => unreachable!("a file has no server"),
            Self::Redis(redis) => redis.kill(),
        }
    }

    /// Starts it again on the same port and files.
    pub fn start_again(&mut self) {
        match self {
            Self::Sqlite(_) => unreachable!("a file has no server"),
            Self::Redis(redis) => redis.start_again(),
        }
    }
}
