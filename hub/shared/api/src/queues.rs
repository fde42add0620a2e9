//! The farm's lanes and their dead letters as the hub's API shows them.

use serde::{Deserialize, Serialize};

use crate::{AttemptNumber, JobId, Lane};

/// All lanes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LaneList {
    /// The lanes, by name.
    pub lanes: Vec<LaneState>,
}

/// How a lane stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LaneState {
    /// Its name.
    pub lane: Lane,
    /// Whether nothing is leased from it until somebody resumes it.
    pub paused: bool,
    /// The lane that is to be resumed instead: that of its preset, whose pause holds for the lanes of its needs; absent where
    /// it is open, or paused itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_with: Option<Lane>,
    /// Tasks that could be leased now.
    pub ready: u64,
    /// Tasks that wait for their time.
    pub delayed: u64,
    /// Tasks that workers have; absent where the queue's server does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leased: Option<u64>,
    /// Dead letters.
    pub dead: u64,
    /// How long the oldest task that could be leased has been there; absent if there is none, or the server does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_seconds: Option<f64>,
}

/// Dead letters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterList {
    /// The letters, lane by lane, the oldest first.
    pub dead_letters: Vec<Letter>,
}

/// A message that is not tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// The lane it was on.
    pub lane: Lane,
    /// The queue's name for it.
    pub message_id: String,
    /// The job it is of; absent where it is no job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// How often it was delivered.
    pub attempts: AttemptNumber,
    /// Why it is not tried again; further lines begin with `hint: `.
    pub reason: String,
    /// Bytes of its body.
    pub bytes: u64,
    /// The body; absent in lists.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub body: Option<LetterBody>,
}

/// What was published, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterBody {
    /// As text.
    pub body: String,
    /// What the text is.
    pub encoding: Encoding,
}

/// How bytes became text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encoding {
    /// The bytes are the text.
    #[serde(rename = "utf-8")]
    Utf8,
    /// The bytes are no text, and are written in base64 (RFC 4648, with padding).
    #[serde(rename = "base64")]
    Base64,
}
