//! Digests and how they are written: lower-case hex.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A SHA-256, 64 lower-case hex digits on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// The digest of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// Its 32 bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl TryFrom<String> for Sha256 {
    type Error = String;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        unhex(&s).map(Self).ok_or_else(|| "a SHA-256 is 64 lower-case hex digits".to_owned())
    }
}

impl From<Sha256> for String {
    fn from(s: Sha256) -> Self {
        s.to_string()
    }
}

/// Writes bytes as lower-case hex.
pub(super) fn hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|b| write!(f, "{b:02x}"))
}

/// Reads exactly `N` bytes of lower-case hex.
pub(super) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    let mut bytes = [0; N];
    if digits.len() != 2 * N || digits.iter().any(|b| !b.is_ascii_digit() && !(b'a'..=b'f').contains(b)) {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_it_is_written() {
        let empty = Sha256::of(b"");
        assert_eq!(empty.to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(Sha256::try_from(empty.to_string()), Ok(empty));
        for bad in ["", "e3", &empty.to_string().to_uppercase()] {
            assert!(Sha256::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
