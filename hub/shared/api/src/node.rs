//! A node's name, which its certificate carries and its topics begin with.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::error::printable;
pub use crate::preset::Tag;

/// A node's name: 1 to 63 lower-case letters, digits and hyphens. It is the common name of the node's certificate, its
/// MQTT user and client id, and a level of its topics; no character of it means anything to a broker.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeId(String);

/// Text that cannot name a node.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{}` cannot name a node: use 1 to 63 lower-case letters, digits and hyphens", printable(.0))]
pub struct BadNodeId(String);

impl NodeId {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for NodeId {
    type Err = BadNodeId;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let ok =
            (1..=63).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if ok { Ok(Self(s.to_owned())) } else { Err(BadNodeId(s.to_owned())) }
    }
}

impl TryFrom<String> for NodeId {
    type Error = BadNodeId;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<NodeId> for String {
    fn from(n: NodeId) -> Self {
        n.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_no_broker_gives_a_meaning() {
        let longest = "n".repeat(63);
        for good in ["orin-3", "7", "-", longest.as_str()] {
            assert_eq!(good.parse::<NodeId>().map(String::from).as_deref(), Ok(good));
        }
        let too_long = "n".repeat(64);
        for bad in ["", "Orin", "a.b", "a/b", "+", "#", "$SYS", "a b", "orin\u{e9}", too_long.as_str()] {
            assert!(bad.parse::<NodeId>().is_err(), "{bad}");
        }
    }
}
