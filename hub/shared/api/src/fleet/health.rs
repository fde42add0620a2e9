//! What a node tells of itself: whether it is there, what it can do, and how it is.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Op, PROTOCOL, topic};
use crate::preset::Tag;

/// Whether a node is there. A node leaves one with the broker as its last will when it connects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The version of this payload.
    pub v: u32,
    /// Whether it is there.
    pub state: Presence,
    /// A random name of the connection. The last will of an old connection says nothing about a newer one.
    pub conn: String,
    /// When this was so; absent in a last will, which was written before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub t: Option<Timestamp>,
    /// What is not as it should be, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

/// Whether a node is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// It is there and well.
    Up,
    /// It is there, and something is wrong.
    Degraded,
    /// It is not there.
    Down,
}

impl Health {
    /// A node that has just connected; with reasons, it is degraded.
    pub fn there(conn: &str, t: Timestamp, reasons: Vec<String>) -> Self {
        let state = if reasons.is_empty() { Presence::Up } else { Presence::Degraded };
        Self { v: PROTOCOL, state, conn: conn.to_owned(), t: Some(t), reasons }
    }

    /// The last will of a connection.
    pub fn will(conn: &str) -> Self {
        Self { v: PROTOCOL, state: Presence::Down, conn: conn.to_owned(), t: None, reasons: Vec::new() }
    }

    /// Whether this message, which came later, says more than `known`: all do, but the end of a connection that a newer one
    /// has taken the place of.
    pub fn supersedes(&self, known: &Self) -> bool {
        self.state != Presence::Down || self.conn == known.conn
    }
}

/// What a node can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// The version of this payload.
    pub v: u32,
    /// The oldest and the newest version of the protocol that it speaks.
    pub proto: [u32; 2],
    /// The agent's version.
    pub agent: String,
    /// The operations that it knows, and their versions.
    pub ops: BTreeMap<String, u32>,
    /// What the owner says of it.
    pub tags: Vec<Tag>,
    /// What it takes.
    pub limits: MessageLimits,
}

/// What a node takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageLimits {
    /// Largest command, bytes.
    pub cmd_bytes: usize,
    /// Largest desired document, bytes.
    pub des_bytes: usize,
    /// How many commands may be open.
    pub open: usize,
}

impl Capabilities {
    /// Those of an agent that does all but some operations.
    pub fn of(agent: &str, tags: Vec<Tag>, without: &[&str]) -> Self {
        let ops = Op::NAMES.iter().filter(|name| !without.contains(name));
        Self {
            v: PROTOCOL,
            proto: [PROTOCOL, PROTOCOL],
            agent: agent.to_owned(),
            ops: ops.map(|name| ((*name).to_owned(), 1)).collect(),
            tags,
            limits: MessageLimits {
                cmd_bytes: topic::MAX_COMMAND,
                des_bytes: topic::MAX_DOCUMENT,
                open: super::MAX_OPEN,
            },
        }
    }
}

/// A node's heartbeat. What could not be measured is absent, never zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The version of this payload.
    pub v: u32,
    /// When it was measured.
    pub t: Timestamp,
    /// Seconds since the boot.
    pub up_s: u64,
    /// Processor time in use, percent of all cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_pct: Option<f64>,
    /// Memory in use, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mem_pct: Option<f64>,
    /// The fullest file system that Reelmill uses, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_pct: Option<f64>,
    /// The hottest sensor, degrees Celsius.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temp_c: Option<f64>,
    /// What the board or the GPUs draw, watts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_w: Option<f64>,
    /// The busiest GPU, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_pct: Option<f64>,
    /// The busiest encoder, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enc_pct: Option<f64>,
    /// The busiest decoder, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dec_pct: Option<f64>,
    /// Tasks that the worker has in work; absent where the worker does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_old_connection_says_nothing() {
        let now = Timestamp::UNIX_EPOCH;
        let (first, second) = (Health::there("a", now, vec![]), Health::there("b", now, vec!["hot".to_owned()]));
        assert_eq!((first.state, second.state), (Presence::Up, Presence::Degraded));
        for (later, known, want) in [
            (&Health::will("a"), &first, true),
            (&Health::will("a"), &second, false),
            (&Health::will("b"), &second, true),
            (&second, &first, true),
            (&second, &Health::will("a"), true),
        ] {
            assert_eq!(later.supersedes(known), want, "{later:?} after {known:?}");
        }
    }

    #[test]
    fn names_the_operations_that_it_does() {
        let cap = Capabilities::of("0.1.0", vec![], &["firmware"]);
        assert_eq!(cap.ops.len(), Op::NAMES.len() - 1);
        assert!(!cap.ops.contains_key("firmware") && cap.ops.get("switch") == Some(&1));
    }
}
