//! Why something failed, in kinds that decide what happens next and in words that a person understands.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};

use crate::Needs;

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
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::BadSource,
        Self::BadRequest,
        Self::NoCapability,
        Self::Busy,
        Self::Infrastructure,
        Self::Canceled,
        Self::Bug,
    ];

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

/// Text from outside, fit for a terminal, a log and a page: other control characters than line ends are shown, not obeyed.
pub fn printable(text: &str) -> Cow<'_, str> {
    let is_obeyed = |c: char| c.is_control() && c != '\n';
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if is_obeyed(c) { char::REPLACEMENT_CHARACTER } else { c }).collect())
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
    /// What a node must have for it, where that was found to be missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<Needs>,
}

impl Failure {
    /// A failure without a hint.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: printable(&message.into()).into_owned(), hint: None, missing: None }
    }

    /// The same failure with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(printable(&hint.into()).into_owned());
        self
    }

    /// The same failure with what is missing.
    #[must_use]
    pub fn missing(mut self, missing: Needs) -> Self {
        self.missing = Some(missing);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing_in_a_failure() {
        let failure = Failure::new(ErrorKind::BadSource, "a\u{1b}[2Jb\tc\nd \"\u{e9}\"").hint("e\u{7}");
        assert_eq!(failure.lines(), "a\u{fffd}[2Jb\u{fffd}c\nd \"\u{e9}\"\nhint: e\u{fffd}");
    }
}
