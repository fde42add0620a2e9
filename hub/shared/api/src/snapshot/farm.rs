//! How a node stands to its farm, and what went wrong on it, in its own words.

use serde::{Deserialize, Serialize};

/// How a node stands to its farm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Farm {
    /// Whether the farm has taken it in; absent where it stands alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enrolment: Option<Enrolment>,
    /// Its line to the broker; absent before enrolment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broker: Option<Broker>,
    /// The last command it took up, or refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_command: Option<LastCommand>,
}

/// Whether a farm has taken a node in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Enrolment {
    /// It has a certificate.
    Enrolled,
    /// It asks for one.
    Waiting {
        /// What an operator compares and types in to let it join.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pairing_code: Option<String>,
        /// How the last try ended, in a sentence for people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
}

/// A node's line to its broker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Broker {
    /// Where it is, as `HOST:PORT`.
    pub address: String,
    /// Whether the line is up.
    pub connected: bool,
    /// Since when, RFC 3339 in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Why it is not, in a sentence for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// The last command of a node, in the fleet protocol's words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LastCommand {
    /// Its id.
    pub id: String,
    /// What it asked for, as in `switch`.
    pub op: String,
    /// How it stands, as in `running` or `rolled_back`.
    pub state: String,
    /// The part of it that runs, as in `fetch`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// How far it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// Who gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why it stands so, in a sentence for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// When it came to stand so, RFC 3339 in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

impl LastCommand {
    /// Whether nothing more will become of it.
    pub fn is_over(&self) -> bool {
        !matches!(self.state.as_str(), "accepted" | "queued" | "running" | "rebooting" | "verifying")
    }
}

/// An error that a unit of the farm wrote into the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JournalError {
    /// When, RFC 3339 in UTC.
    pub time: String,
    /// The unit, as in `reelmill-worker.service`.
    pub unit: String,
    /// What it wrote.
    pub message: String,
}
