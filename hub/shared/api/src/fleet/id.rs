//! Names of commands and rollouts: ULIDs, 26 characters of Crockford's base 32, 48 bits of time before 80 random ones.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::printable;

/// The digits, in order of their value.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// How many digits a ULID has.
const LENGTH: usize = 26;
/// How many bits of a ULID are not its time.
const RANDOM_BITS: u32 = 80;

/// Text that is no ULID.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{}` is not a ULID such as 01M81B5H80NENTQAXBNENTQAXB", printable(.0))]
pub struct NotAUlid(String);

/// A ULID that names one kind of thing.
macro_rules! ulid {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(u128);

        impl $name {
            /// An id of a time, in whole milliseconds, and ten bytes that the caller drew at random.
            pub fn new(at: Timestamp, random: [u8; 10]) -> Self {
                Self(compose(at, random))
            }

            /// Its 16 bytes, most significant first: the correlation data of a request.
            pub fn to_bytes(self) -> [u8; 16] {
                self.0.to_be_bytes()
            }

            /// The id of 16 bytes.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(u128::from_be_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write(self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = NotAUlid;

            fn from_str(s: &str) -> Result<Self, Self::Err> {
                read(s).map(Self).ok_or_else(|| NotAUlid(s.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NotAUlid;

            fn try_from(s: String) -> Result<Self, Self::Error> {
                s.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

ulid! {
    /// A command's name, by which a node knows that it has seen it.
    CommandId
}
ulid! {
    /// A rollout's name.
    RolloutId
}

fn compose(at: Timestamp, random: [u8; 10]) -> u128 {
    // Times before 1970 count as 1970; those after the year 10889 do not exist in a timestamp.
    let ms = u64::try_from(at.as_millisecond()).unwrap_or(0);
    let low = random.iter().fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte));
    u128::from(ms & ((1 << 48) - 1)) << RANDOM_BITS | low
}

fn write(id: u128, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for place in (0..LENGTH).rev() {
        let digit = (id >> (5 * place)) & 31;
        write!(f, "{}", char::from(DIGITS[usize::try_from(digit).unwrap_or(0)]))?;
    }
    Ok(())
}

fn read(text: &str) -> Option<u128> {
    // 26 digits hold 130 bits: a first digit above 7 would be another name of a smaller id.
    if text.len() != LENGTH || text.as_bytes().first().is_none_or(|first| *first > b'7') {
        return None;
    }
    text.bytes().try_fold(0_u128, |sum, byte| {
        let digit = DIGITS.iter().position(|d| *d == byte)?;
        Some(sum << 5 | u128::try_from(digit).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_by_time_and_is_read_as_it_is_written() {
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        let id = CommandId::new(at("2026-11-22T10:00:00Z"), [0xab; 10]);
        assert_eq!(id.to_string(), "01M81B5H80NENTQAXBNENTQAXB");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(CommandId::from_bytes(id.to_bytes()), id);
        assert!(CommandId::new(at("2026-11-22T10:00:00.001Z"), [0; 10]) > id);
        let largest = CommandId::from_bytes([0xff; 16]);
        assert_eq!(largest.to_string(), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
    }

    #[test]
    fn refuses_other_names_of_the_same_id() {
        let lower = "01m81b5h80nentqaxbnentqaxb";
        for bad in ["", "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "01M81B5H80NENTQAXBNENTQAXI", "01M81B5H80NENTQAXBNENTQAX", lower]
        {
            assert!(bad.parse::<RolloutId>().is_err(), "{bad}");
        }
    }
}
