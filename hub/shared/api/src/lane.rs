//! Names of queues: the farm's queue, and its lanes, each for one kind of task. The only file that spells a lane.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Needs, PresetName};

/// The name of the farm's queue (`QUEUE_NAME`): 1 to 64 letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct QueueName(String);

/// Text that cannot name a queue.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` cannot name a queue: use 1 to 64 letters, digits, `-` and `_`")]
pub struct BadQueueName(String);

/// Text that cannot name a lane.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` names no lane: use the queue's name, or that and a preset's, as in reelmill-hls-ladder")]
pub struct BadLane(String);

/// The longest name of a lane: a queue's, a hyphen, and what is done with the tasks or what they need.
const LONGEST_LANE: usize = 192;

/// One lane of a queue. Its name is safe as a Redis key part, an AMQP queue, a NATS subject token and an SQS queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Lane(String);

impl QueueName {
    /// The queue's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where strangers' programs put plain jobs: the queue's own name.
    pub fn intake(&self) -> Lane {
        Lane(self.0.clone())
    }

    /// The lane of tasks for one preset.
    pub fn tasks(&self, preset: &PresetName) -> Lane {
        Lane(format!("{}-{}", self.0, preset))
    }

    /// The lane of tasks for one preset that need more than a node must have to serve it. No preset's own lane is called
    /// so, for needs hold underscores.
    pub fn needing(&self, preset: &PresetName, needs: &Needs) -> Lane {
        Lane(format!("{}-needs-{preset}-{needs}", self.0))
    }
}

impl Default for QueueName {
    /// `reelmill`, so that two farms on one server are kept apart by naming one of them.
    fn default() -> Self {
        Self("reelmill".to_owned())
    }
}

impl FromStr for QueueName {
    type Err = BadQueueName;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let ok = (1..=64).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if ok { Ok(Self(s.to_owned())) } else { Err(BadQueueName(s.to_owned())) }
    }
}

impl TryFrom<String> for QueueName {
    type Error = BadQueueName;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<QueueName> for String {
    fn from(q: QueueName) -> Self {
        q.0
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Lane {
    /// The lane's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Lane {
    type Err = BadLane;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let ok = (1..=LONGEST_LANE).contains(&s.len())
            && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if ok { Ok(Self(s.to_owned())) } else { Err(BadLane(s.to_owned())) }
    }
}

impl TryFrom<String> for Lane {
    type Error = BadLane;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<Lane> for String {
    fn from(lane: Lane) -> Self {
        lane.0
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
