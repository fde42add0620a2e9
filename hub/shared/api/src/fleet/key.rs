//! Keys that sign commands, and how they are written: a line of `reelmill-key-1`, the kind, base 64, and a comment.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use super::digest::{hex, unhex};

/// What a line with a key begins with.
const PREFIX: &str = "reelmill-key-1";
/// The second word of a line with a public key.
const PUBLIC: &str = "public";
/// The second word of a line with a private key.
const PRIVATE: &str = "private";

/// The name of a key: half of the SHA-256 of its public part, 32 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId([u8; 16]);

/// A key that tells whether its private part signed something. In JSON, its 32 bytes in base 64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(VerifyingKey);

/// A key that signs. It shows itself as `[secret]`, and its memory is cleared.
pub struct PrivateKey(SigningKey);

/// Why a text is no key. It repeats nothing of the text.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadKey {
    /// Not a line of a key.
    #[error("this is not a line `{PREFIX} {0} BASE64`")]
    Form(&'static str),
    /// A private key where a public one belongs.
    #[error("this is a private key, and a public one is needed")]
    Private,
    /// A public key where a private one belongs.
    #[error("this is a public key, and a private one is needed")]
    Public,
    /// Not a key's bytes.
    #[error("these are not the bytes of an Ed25519 key in base 64")]
    Bytes,
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl FromStr for KeyId {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        unhex(s).map(Self).ok_or_else(|| "the name of a key is 32 lower-case hex digits".to_owned())
    }
}

impl TryFrom<String> for KeyId {
    type Error = String;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.to_string()
    }
}

impl PublicKey {
    /// The key's name.
    pub fn id(&self) -> KeyId {
        let digest: [u8; 32] = sha2::Sha256::digest(self.0.as_bytes()).into();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        KeyId(id)
    }

    /// Whether the private part of this key made `signature` over `message`.
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        // Strict: no second form of a signature, no key that fits every message.
        self.0.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }

    /// The line of a key file, without its end.
    pub fn to_line(&self, comment: &str) -> String {
        line(PUBLIC, self.0.as_bytes(), comment)
    }
}

impl PrivateKey {
    /// A key from 32 bytes that the caller drew from a generator fit for secrets.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The part that everybody may know.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs a message.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }

    /// The line of a key file, without its end. It is the secret itself.
    pub fn to_secret_line(&self, comment: &str) -> String {
        line(PRIVATE, self.0.as_bytes(), comment)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

fn line(kind: &str, bytes: &[u8; 32], comment: &str) -> String {
    let comment: String = comment.chars().filter(|c| !c.is_control()).collect();
    format!("{PREFIX} {kind} {} {comment}", STANDARD.encode(bytes)).trim_end().to_owned()
}

/// The bytes of the first line that is neither empty nor begins with `#`.
fn read(text: &str, wanted: &'static str) -> Result<[u8; 32], BadKey> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#')).unwrap_or("");
    let mut words = line.split_whitespace();
    match (words.next(), words.next()) {
        (Some(PREFIX), Some(kind)) if kind == wanted => bytes(words.next().unwrap_or("")),
        (Some(PREFIX), Some(PRIVATE)) => Err(BadKey::Private),
        (Some(PREFIX), Some(PUBLIC)) => Err(BadKey::Public),
        _ => Err(BadKey::Form(wanted)),
    }
}

fn bytes(text: &str) -> Result<[u8; 32], BadKey> {
    STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(BadKey::Bytes)
}

fn public(bytes: &[u8; 32]) -> Result<PublicKey, BadKey> {
    VerifyingKey::from_bytes(bytes).ok().filter(|key| !key.is_weak()).map(PublicKey).ok_or(BadKey::Bytes)
}

impl FromStr for PublicKey {
    type Err = BadKey;

    /// Reads the line of a key file.
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        public(&read(s, PUBLIC)?)
    }
}

impl FromStr for PrivateKey {
    type Err = BadKey;

    /// Reads the line of a key file.
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Ok(Self::from_seed(&read(s, PRIVATE)?))
    }
}

impl TryFrom<String> for PublicKey {
    type Error = BadKey;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        public(&bytes(&s)?)
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        STANDARD.encode(key.0.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_from_its_line() {
        let key = PrivateKey::from_seed(&[7; 32]);
        let secret = key.to_secret_line("anna@desk");
        assert_eq!(secret, "reelmill-key-1 private BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc= anna@desk");
        let line = key.public().to_line("anna\n@desk");
        assert_eq!(line, "reelmill-key-1 public 6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw= anna@desk");
        assert_eq!(line.parse(), Ok(key.public()));
        let file = format!("# of anna\n\n{secret}\n");
        assert_eq!(file.parse::<PrivateKey>().map(|read| read.public()), Ok(key.public()));
        assert_eq!(format!("{key:?}"), "[secret]");
    }

    #[test]
    fn says_which_kind_of_key_is_needed() {
        let key = PrivateKey::from_seed(&[7; 32]);
        assert_eq!(key.to_secret_line("").parse::<PublicKey>(), Err(BadKey::Private));
        assert_eq!(key.public().to_line("").parse::<PrivateKey>().err(), Some(BadKey::Public));
        for (text, want) in [
            ("", BadKey::Form(PUBLIC)),
            ("ssh-ed25519 AAAA", BadKey::Form(PUBLIC)),
            ("reelmill-key-1 public", BadKey::Bytes),
            ("reelmill-key-1 public BwcH", BadKey::Bytes),
            // The neutral point: it would fit signatures that nobody made.
            ("reelmill-key-1 public AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", BadKey::Bytes),
        ] {
            assert_eq!(text.parse::<PublicKey>(), Err(want), "{text}");
        }
    }

    #[test]
    fn signs_as_the_standard_says() {
        // RFC 8032, section 7.1, test 2.
        let seed = unhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb").expect("hex");
        let want: [u8; 64] = unhex(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        )
        .expect("hex");
        let key = PrivateKey::from_seed(&seed);
        assert_eq!(key.sign(&[0x72]), want);
        assert!(key.public().verifies(&[0x72], &want) && !key.public().verifies(&[0x73], &want));
    }
}
