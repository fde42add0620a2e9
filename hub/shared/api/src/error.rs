//! Why something failed, in kinds that decide what happens next and in words that a person understands.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of thing went wrong; it decides how a lease settles ([`crate::settle`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The source itself cannot be used; trying again changes nothing.
    BadSource,
    /// The request cannot be met as written: an unknown preset, a missing object, a forbidden place.
    BadRequest,
    /// This node cannot do it, another may.
    NoCapability,
    /// A limited resource is taken for now.
    Busy,
    /// The store, the queue, the network or the machine failed; it may pass.
    Infrastructure,
    /// The lease was lost to another worker, or the run was called off.
    Canceled,
    /// Reelmill did something it should not.
    Bug,
}

impl ErrorKind {
    /// The name used on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadSource => "bad_source",
            Self::BadRequest => "bad_request",
            Self::NoCapability => "no_capability",
            Self::Busy => "busy",
            Self::Infrastructure => "infrastructure",
            Self::Canceled => "canceled",
            Self::Bug => "bug",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failure as it is told to people and programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What kind it is.
    pub kind: ErrorKind,
    /// What was being done, to which thing, and why it failed; lower case, no full stop.
    pub message: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without a hint.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    /// The same failure with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The failure as a terminal shows it: one line, then a `hint:` line.
    pub fn lines(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}\nhint: {hint}", self.message),
            None => self.message.clone(),
        }
    }
}
