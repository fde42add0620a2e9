//! Pairing codes: what a node without a good token shows, and an operator compares and types in.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{error::printable, fleet::Sha256};

/// The digits, in order of their value; Crockford's, so that no two of them look alike.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// How many of them a code has: 50 bits. Whoever wants to be approved in another's place needs a key with the same code.
const LENGTH: usize = 10;
/// Hashed before the key, so that no digest of it made for something else is a code.
const CONTEXT: &[u8] = b"reelmill pairing code\0";

/// A short digest of a node's public key, as in `7K3QX-0MPWD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PairingCode([u8; LENGTH]);

/// Text that is no pairing code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no pairing code such as 7K3QX-0MPWD", printable(.0))]
pub struct BadPairingCode(String);

impl PairingCode {
    /// The code of a public key, given as X.509's SubjectPublicKeyInfo in DER.
    pub fn of(spki: &[u8]) -> Self {
        let digest = Sha256::of(&[CONTEXT, spki].concat());
        let bits = digest.bytes().iter().take(7).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        let digit = |place: usize| DIGITS[usize::try_from(bits >> (51 - 5 * place) & 31).unwrap_or(0)];
        Self(std::array::from_fn(digit))
    }
}

impl fmt::Display for PairingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, second) = self.0.split_at(LENGTH / 2);
        write!(f, "{}-{}", first.escape_ascii(), second.escape_ascii())
    }
}

impl FromStr for PairingCode {
    type Err = BadPairingCode;

    /// People type in small letters, leave the hyphen out, and take 0 for O and 1 for I or L.
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let bad = || BadPairingCode(s.to_owned());
        let digits = s.trim().bytes().filter(|b| *b != b'-').map(|b| match b.to_ascii_uppercase() {
            b'O' => b'0',
            b'I' | b'L' => b'1',
            digit => digit,
        });
        let digits: Vec<u8> = digits.collect();
        let known = digits.iter().all(|digit| DIGITS.contains(digit));
        digits.try_into().ok().filter(|_| known).map(Self).ok_or_else(bad)
    }
}

impl TryFrom<String> for PairingCode {
    type Error = BadPairingCode;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<PairingCode> for String {
    fn from(code: PairingCode) -> Self {
        code.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        let code = PairingCode::of(b"a key");
        assert_eq!(code.to_string(), "8D6YV-V1VHD");
        let zeros: PairingCode = "o0O0o-1iIlL".parse().expect("a code");
        assert_eq!(zeros.to_string(), "00000-11111");
        for bad in ["", "WDZKJ", "WDZKJ-CXC4", "WDZKJ-CXC4XX", "WDZKJ-CXC4U", "WDZKJ CXC4X", "é"] {
            assert!(bad.parse::<PairingCode>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn is_read_as_it_is_written(key: Vec<u8>) {
            let code = PairingCode::of(&key);
            prop_assert_eq!(code.to_string().parse(), Ok(code));
            prop_assert_eq!(code.to_string().to_lowercase().replace('-', "").parse(), Ok(code));
        }

        #[test]
        fn never_panics(text: String) {
            let _ = text.parse::<PairingCode>();
        }
    }
}
