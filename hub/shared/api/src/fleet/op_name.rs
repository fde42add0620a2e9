//! Names of operations, as they stand in topics and payloads.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::error::printable;

/// The name of an operation, known here or not: 2 to 32 lower-case letters, digits and hyphens, starting with a letter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OpName(String);

/// Text that cannot name an operation.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{}` cannot name an operation", printable(.0))]
pub struct BadOpName(String);

impl OpName {
    /// The name of an operation that is known here.
    pub(super) fn known(name: &'static str) -> Self {
        Self(name.to_owned())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OpName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for OpName {
    type Err = BadOpName;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let ok = (2..=32).contains(&s.len())
            && s.starts_with(|c: char| c.is_ascii_lowercase())
            && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if ok { Ok(Self(s.to_owned())) } else { Err(BadOpName(s.to_owned())) }
    }
}

impl TryFrom<String> for OpName {
    type Error = BadOpName;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<OpName> for String {
    fn from(n: OpName) -> Self {
        n.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_level_of_a_topic() {
        for bad in ["", "a", "Ping", "1ping", "a/b", "+", "#", "-a", &"a".repeat(33)] {
            assert!(bad.parse::<OpName>().is_err(), "{bad}");
        }
    }
}
