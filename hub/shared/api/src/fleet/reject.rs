//! Why a command was not begun: a stable code for programs, and words for people.

use serde::{Deserialize, Serialize};

use super::Text;
use crate::error::printable;

/// Why a command was not begun. The names on the wire never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// Larger than a command may be.
    TooLarge,
    /// Not JSON, a field missing or out of its bounds, or not what its topic says.
    Malformed,
    /// Of a version of the protocol that this node does not speak.
    UnsupportedVersion,
    /// The operation is not known here.
    UnknownOp,
    /// A field that must be understood is not.
    UnknownCrit,
    /// Meant for another node.
    WrongNode,
    /// Not signed, or no signature is by a key that this node trusts.
    BadSignature,
    /// Signed, but not by as many keys, or by keys with the roles, that the operation needs.
    Unauthorized,
    /// Another command has this id.
    IdConflict,
    /// Too late to start.
    Expired,
    /// Issued at a time that has not come.
    IssuedInFuture,
    /// Issued before this node can remember what it did.
    BeforeEnrolment,
    /// It is not what its rollout says, or the rollout is not for this node.
    WrongRollout,
    /// What it expects of the node is not so.
    Precondition,
    /// Too many commands are open on the node.
    TooManyOpen,
    /// The trust document is not newer than the one in force, or not signed by enough of its keys.
    BadTrust,
    /// The operation is known, but this node cannot do it.
    NotSupported,
}

impl Code {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::TooLarge,
        Self::Malformed,
        Self::UnsupportedVersion,
        Self::UnknownOp,
        Self::UnknownCrit,
        Self::WrongNode,
        Self::BadSignature,
        Self::Unauthorized,
        Self::IdConflict,
        Self::Expired,
        Self::IssuedInFuture,
        Self::BeforeEnrolment,
        Self::WrongRollout,
        Self::Precondition,
        Self::TooManyOpen,
        Self::BadTrust,
        Self::NotSupported,
    ];

    /// The name used on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::UnsupportedVersion => "unsupported_version",
            Self::UnknownOp => "unknown_op",
            Self::UnknownCrit => "unknown_crit",
            Self::WrongNode => "wrong_node",
            Self::BadSignature => "bad_signature",
            Self::Unauthorized => "unauthorized",
            Self::IdConflict => "id_conflict",
            Self::Expired => "expired",
            Self::IssuedInFuture => "issued_in_future",
            Self::BeforeEnrolment => "before_enrolment",
            Self::WrongRollout => "wrong_rollout",
            Self::Precondition => "precondition",
            Self::TooManyOpen => "too_many_open",
            Self::BadTrust => "bad_trust",
            Self::NotSupported => "not_supported",
        }
    }
}

/// A command that was not begun.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", .code.as_str())]
pub struct Rejection {
    /// For programs.
    pub code: Code,
    /// For people: lower case, no full stop.
    pub reason: Text<512>,
}

impl Rejection {
    /// A rejection; a reason that is too long is cut.
    pub fn new(code: Code, reason: impl AsRef<str>) -> Self {
        Self { code, reason: Text::cut(&printable(reason.as_ref())) }
    }

    /// A message of more bytes than its limit.
    pub(super) fn too_large(bytes: usize, limit: usize) -> Self {
        Self::new(Code::TooLarge, format!("{bytes} bytes are more than the {limit} that it may have"))
    }

    /// A message that cannot be read.
    pub(super) fn malformed(why: impl std::fmt::Display) -> Self {
        Self::new(Code::Malformed, why.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_written_as_they_are_named() {
        for code in Code::ALL {
            assert_eq!(serde_json::to_string(&code).ok(), Some(format!("\"{}\"", code.as_str())));
        }
    }
}
