//! How a node asks a hub to take it in, and what it is answered: over HTTPS, before it has a place at the broker.

mod code;
pub mod given;
mod join_file;

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    NodeId,
    fleet::{Text, Trust},
    preset::Tag,
};
pub use code::{BadPairingCode, PairingCode};
pub use join_file::{HubUrl, JoinFile, MAX_JOIN_FILE, Network, Subnet};

/// Where a node asks to be taken in. `POST` a [`JoinRequest`], hear a [`JoinAnswer`].
pub const JOIN_PATH: &str = "/v1/enrol";
/// Where a node that was taken in asks for a new certificate, showing the old one. `POST` a [`RenewRequest`], hear a
/// [`JoinAnswer`].
pub const RENEW_PATH: &str = "/v1/renew";
/// The longest request and the longest answer, in bytes.
pub const MAX_BODY: usize = 128 * 1024;
/// The most tags that a node may have from its enrolment.
pub const MAX_TAGS: usize = 32;

/// A node that wants to be taken in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// The name that it would like.
    pub node: NodeId,
    /// Its certificate request, PEM: it proves that the node has the key. No name in it counts.
    pub csr: String,
    /// The word by which an operator lets it in; without it an operator must approve the node's pairing code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<JoinToken>,
    /// The tags that it would like.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// What it is, for whoever approves it. It is only what the node says.
    #[serde(default)]
    pub machine: Machine,
}

/// What a node says of its machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Its serial number, where its firmware tells one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<Text<128>>,
    /// Its board, as in `NVIDIA Jetson Orin NX`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub board: Option<Text<128>>,
}

/// A node that was taken in and wants a new certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewRequest {
    /// Its certificate request, PEM, by its old key or a new one.
    pub csr: String,
}

/// What a node is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum JoinAnswer {
    /// It is taken in.
    Enrolled(Box<Membership>),
    /// An operator has to approve it. It asks again.
    Pending {
        /// What the node must show, and the operator types in.
        code: PairingCode,
        /// Why its token does not suffice; absent where it had none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<Refusal>,
    },
    /// It is not taken in. It may ask again, later.
    Refused {
        /// Why, for programs.
        why: Refusal,
        /// Why, in a sentence for people.
        message: Text<256>,
    },
}

/// A node's place in a farm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// Its name from now on.
    pub node: NodeId,
    /// Its certificate, PEM.
    pub cert: String,
    /// Until when that is good. The node renews it when a third of its time is left.
    pub not_after: Timestamp,
    /// The authorities of the farm, PEM.
    pub ca: String,
    /// The broker's host; absent where it is the hub's, as the node reached it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broker_host: Option<String>,
    /// The broker's port for nodes.
    pub broker_port: u16,
    /// Whose commands it obeys; absent where the hub knows none yet. A node takes this once: later ones come by command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<Trust>,
    /// Its tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// When it was taken in, by the hub's clock.
    pub enrolled_at: Timestamp,
}

/// Why a node is not taken in, or not yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// No such token was given out, or it is for another node.
    BadToken,
    /// The token's time is over.
    ExpiredToken,
    /// Another node has used the token.
    UsedToken,
    /// Another node has the name.
    NameTaken,
    /// An operator has said no.
    NotApproved,
    /// The node was put out of the farm.
    Revoked,
    /// The request cannot be read, or its key is of a kind that is not used.
    BadRequest,
    /// The hub knows no such certificate.
    UnknownCertificate,
    /// Too many ask.
    Busy,
    /// A reason that this program does not know yet.
    #[serde(other)]
    Other,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadToken => "the hub does not know the token",
            Self::ExpiredToken => "the token has expired",
            Self::UsedToken => "the token was used by another node",
            Self::NameTaken => "another node has this name",
            Self::NotApproved => "an operator has refused this node",
            Self::Revoked => "this node was put out of the farm",
            Self::BadRequest => "the hub cannot read the request",
            Self::UnknownCertificate => "the hub does not know this node's certificate",
            Self::Busy => "too many nodes ask the hub at once",
            Self::Other => "the hub has refused this node",
        })
    }
}

/// The word by which an operator lets one node in. It shows itself nowhere but on the wire.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JoinToken(String);

/// Text that is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a join token is `rmj_` and 32 digits and letters from a to f, as `reelmill-hub token join` prints it")]
pub struct BadToken;

impl JoinToken {
    /// The token of 16 bytes that the caller drew at random.
    pub fn new(random: [u8; 16]) -> Self {
        Self(format!("rmj_{:032x}", u128::from_be_bytes(random)))
    }

    /// The text, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for JoinToken {
    type Err = BadToken;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let digits = s.strip_prefix("rmj_").filter(|digits| digits.len() == 32);
        let fits = digits.is_some_and(|d| d.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
        if fits { Ok(Self(s.to_owned())) } else { Err(BadToken) }
    }
}

impl TryFrom<String> for JoinToken {
    type Error = BadToken;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<JoinToken> for String {
    fn from(token: JoinToken) -> Self {
        token.0
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_is_written_and_never_shown() {
        let token = JoinToken::new([0xab; 16]);
        assert_eq!(token.expose(), "rmj_abababababababababababababababab");
        assert_eq!(token.expose().parse(), Ok(token.clone()));
        assert_eq!(format!("{token:?}"), "[secret]");
        assert_eq!(JoinToken::new([0; 16]).expose().len(), 36);
        for bad in ["", "rmj_", "rmj_ABABABABABABABABABABABABABABABAB", "abababababababababababababababab", "rmj_a\n"] {
            assert_eq!(bad.parse::<JoinToken>(), Err(BadToken), "{bad}");
        }
    }
}
