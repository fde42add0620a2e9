//! One try at a task: its number, and the name under which it alone writes.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Which try at a task this is, from 1.
pub type AttemptNumber = u32;

/// The name of one attempt: its number and eight random hex digits, as in `a2-7f3c9d2b`. Two attempts never share one,
/// so a worker that lost its lease and does not know it cannot touch what another one wrote.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AttemptId {
    number: AttemptNumber,
    nonce: u32,
}

/// Text that names no attempt.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not the name of an attempt such as a1-7f3c9d2b")]
pub struct NotAnAttempt(String);

impl AttemptId {
    /// The attempt `number` with a nonce that the caller drew at random.
    pub fn new(number: AttemptNumber, nonce: u32) -> Self {
        Self { number, nonce }
    }

    /// Which try it is, from 1.
    pub fn number(&self) -> AttemptNumber {
        self.number
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a{}-{:08x}", self.number, self.nonce)
    }
}

impl FromStr for AttemptId {
    type Err = NotAnAttempt;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (number, nonce) = s.strip_prefix('a')?.split_once('-')?;
            let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            (nonce.len() == 8 && nonce.bytes().all(lower_hex) && number.bytes().all(|b| b.is_ascii_digit()))
                .then_some(())?;
            Some(Self { number: number.parse().ok()?, nonce: u32::from_str_radix(nonce, 16).ok()? })
        };
        // `a01` is no other name of `a1`: whoever deletes by the one would keep the other.
        parse().filter(|id: &Self| id.to_string() == s).ok_or_else(|| NotAnAttempt(s.to_owned()))
    }
}

impl TryFrom<String> for AttemptId {
    type Error = NotAnAttempt;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<AttemptId> for String {
    fn from(a: AttemptId) -> Self {
        a.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_refuses_look_alikes() {
        let id = AttemptId::new(12, 0x00ab_cdef);
        assert_eq!(id.to_string(), "a12-00abcdef");
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in [
            "a1",
            "a1-",
            "a-00abcdef",
            "a1-00ABCDEF",
            "1080p",
            "a1-00abcdef0",
            "a+1-00abcdef",
            "b1-00abcdef",
            "a01-00abcdef",
        ] {
            assert!(bad.parse::<AttemptId>().is_err(), "{bad}");
        }
    }
}
