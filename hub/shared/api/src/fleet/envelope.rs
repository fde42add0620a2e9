//! Signed payloads: DSSE envelopes. What is signed are the payload's bytes as they were sent, and their type; the JSON in
//! them needs no canonical form. See <https://github.com/secure-systems-lab/dsse>.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use super::{KeyId, PrivateKey, PublicKey, Sha256, reject::Rejection, topic::MAX_COMMAND};

/// The type of a command.
pub const COMMAND: &str = "application/vnd.reelmill.cmd.v1+json";
/// The type of a rollout.
pub const ROLLOUT: &str = "application/vnd.reelmill.rollout.v1+json";
/// The type of a trust document.
pub const TRUST: &str = "application/vnd.reelmill.trust.v1+json";
/// The most signatures that are looked at; more is somebody keeping a node busy.
const MAX_SIGNATURES: usize = 16;

/// A payload, its type, and who signed them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct Envelope {
    kind: String,
    payload: Vec<u8>,
    signatures: Vec<Signature>,
}

/// A signature, and by which key it says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Signature {
    key: KeyId,
    bytes: [u8; 64],
}

/// The key has signed this already.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("the key {0} has signed this already")]
pub struct AlreadySigned(KeyId);

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    payload_type: String,
    payload: String,
    signatures: Vec<WireSignature>,
}

#[derive(Clone, Serialize, Deserialize)]
struct WireSignature {
    keyid: String,
    sig: String,
}

impl Envelope {
    /// An envelope of `kind` that nobody has signed.
    pub fn unsigned(kind: &str, payload: Vec<u8>) -> Self {
        Self { kind: kind.to_owned(), payload, signatures: Vec::new() }
    }

    /// Adds a signature.
    ///
    /// # Errors
    /// If the key has signed it already: a second signature by it counts for nothing.
    pub fn sign(&mut self, key: &PrivateKey) -> Result<(), AlreadySigned> {
        let id = key.public().id();
        if self.signatures.iter().any(|signature| signature.key == id) {
            return Err(AlreadySigned(id));
        }
        self.signatures.push(Signature { key: id, bytes: key.sign(&self.signed_bytes()) });
        Ok(())
    }

    /// Whether one of the signatures is by this key, and true.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        let (id, message) = (key.id(), self.signed_bytes());
        self.signatures.iter().any(|signature| signature.key == id && key.verifies(&message, &signature.bytes))
    }

    /// The keys that the signatures say they are by, true or not.
    pub fn claimed_keys(&self) -> impl Iterator<Item = KeyId> + '_ {
        self.signatures.iter().map(|signature| signature.key)
    }

    /// What the payload is. Anybody may have written it until the signatures were looked at.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The payload. Anybody may have written it until the signatures were looked at.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Reads a message that is an envelope.
    ///
    /// # Errors
    /// `too_large` or `malformed`.
    pub fn parse(message: &[u8]) -> Result<Self, Rejection> {
        if message.len() > MAX_COMMAND {
            return Err(Rejection::too_large(message.len(), MAX_COMMAND));
        }
        serde_json::from_slice(message).map_err(|e| Rejection::malformed(format!("the envelope: {e}")))
    }

    /// The message.
    pub fn to_message(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an envelope holds only texts")
    }

    /// The digest of the payload, by which the same command is known whoever has signed it.
    pub fn payload_sha256(&self) -> Sha256 {
        Sha256::of(&self.payload)
    }

    /// Refuses a payload of another type.
    pub(super) fn must_be(&self, kind: &str) -> Result<(), Rejection> {
        if self.kind == kind {
            return Ok(());
        }
        Err(Rejection::malformed(format!("the envelope holds `{}`, not `{kind}`", self.kind)))
    }

    fn signed_bytes(&self) -> Vec<u8> {
        pre_authentication_encoding(&self.kind, &self.payload)
    }
}

/// What is signed: no two pairs of type and payload have the same.
pub fn pre_authentication_encoding(kind: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

impl TryFrom<Wire> for Envelope {
    type Error = String;

    fn try_from(wire: Wire) -> Result<Self, Self::Error> {
        if wire.signatures.len() > MAX_SIGNATURES {
            return Err(format!("it has more than {MAX_SIGNATURES} signatures"));
        }
        let payload = STANDARD.decode(wire.payload).map_err(|_| "its payload is not base 64")?;
        // A signature of another scheme or by another naming of keys is none of ours, and counts for nothing.
        let ours = wire.signatures.into_iter().filter_map(|WireSignature { keyid, sig }| {
            Some(Signature { key: keyid.parse().ok()?, bytes: STANDARD.decode(sig).ok()?.try_into().ok()? })
        });
        Ok(Self { kind: wire.payload_type, payload, signatures: ours.collect() })
    }
}

impl From<Envelope> for Wire {
    fn from(envelope: Envelope) -> Self {
        let signatures = envelope.signatures.iter();
        Self {
            payload_type: envelope.kind,
            payload: STANDARD.encode(envelope.payload),
            signatures: signatures
                .map(|s| WireSignature { keyid: s.key.to_string(), sig: STANDARD.encode(s.bytes) })
                .collect(),
        }
    }
}

/// A message on a command's topic: an envelope, or a bare payload where no signature is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sealed {
    /// In an envelope.
    Signed(Envelope),
    /// As it is.
    Bare(Vec<u8>),
}

impl Sealed {
    /// Tells one from the other by `payloadType`, which only an envelope has.
    ///
    /// # Errors
    /// `too_large` or `malformed`.
    pub fn parse(message: &[u8]) -> Result<Self, Rejection> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Peek {
            payload_type: Option<serde::de::IgnoredAny>,
        }
        if message.len() > MAX_COMMAND {
            return Err(Rejection::too_large(message.len(), MAX_COMMAND));
        }
        let peek: Peek = serde_json::from_slice(message).map_err(Rejection::malformed)?;
        if peek.payload_type.is_none() {
            return Ok(Self::Bare(message.to_vec()));
        }
        let envelope = Envelope::parse(message)?;
        envelope.must_be(COMMAND)?;
        Ok(Self::Signed(envelope))
    }

    /// The command's bytes.
    pub fn payload(&self) -> &[u8] {
        match self {
            Self::Signed(envelope) => &envelope.payload,
            Self::Bare(payload) => payload,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Code;

    fn key(seed: u8) -> PrivateKey {
        PrivateKey::from_seed(&[seed; 32])
    }

    fn signed() -> Envelope {
        let mut envelope = Envelope::unsigned("http://example.com/HelloWorld", b"hello world".to_vec());
        envelope.sign(&key(1)).expect("not yet");
        envelope
    }

    #[test]
    fn encodes_as_the_standard_shows() {
        let bytes = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world");
        assert_eq!(String::from_utf8_lossy(&bytes), "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn a_signature_is_of_one_key_one_type_and_one_payload() {
        let envelope = signed();
        assert!(envelope.is_signed_by(&key(1).public()));
        assert!(!envelope.is_signed_by(&key(2).public()));
        assert!(!Envelope { kind: "other".to_owned(), ..signed() }.is_signed_by(&key(1).public()));
        assert!(!Envelope { payload: b"hello World".to_vec(), ..signed() }.is_signed_by(&key(1).public()));
        let mut claimed = signed();
        claimed.signatures[0].key = key(2).public().id();
        assert!(!claimed.is_signed_by(&key(2).public()) && !claimed.is_signed_by(&key(1).public()));
    }

    #[test]
    fn a_second_person_adds_a_signature_to_the_same_bytes() {
        let mut envelope = Envelope::parse(&signed().to_message()).expect("an envelope");
        assert_eq!(envelope.sign(&key(1)), Err(AlreadySigned(key(1).public().id())));
        envelope.sign(&key(2)).expect("another key");
        let read = Envelope::parse(&envelope.to_message()).expect("an envelope");
        assert!(read.is_signed_by(&key(1).public()) && read.is_signed_by(&key(2).public()));
        assert_eq!(read.payload_sha256(), signed().payload_sha256());
    }

    #[test]
    fn says_what_is_wrong_with_an_envelope() {
        let sixteen = vec![r#"{"keyid":"","sig":""}"#; 17].join(",");
        for (message, part) in [
            ("{}".to_owned(), "payloadType"),
            (r#"{"payloadType":"t","payload":"*","signatures":[]}"#.to_owned(), "not base 64"),
            (r#"{"payloadType":"t","payload":"QR==","signatures":[]}"#.to_owned(), "not base 64"),
            (r#"{"payloadType":"t","payload":""}"#.to_owned(), "signatures"),
            (format!(r#"{{"payloadType":"t","payload":"","signatures":[{sixteen}]}}"#), "more than 16"),
        ] {
            let rejection = Envelope::parse(message.as_bytes()).expect_err(&message);
            assert!(rejection.code == Code::Malformed && rejection.to_string().contains(part), "{rejection}");
        }
        assert_eq!(Envelope::parse(&vec![b' '; MAX_COMMAND + 1]).map_err(|r| r.code), Err(Code::TooLarge));
    }

    #[test]
    fn only_a_command_may_lie_on_a_commands_topic() {
        assert_eq!(Sealed::parse(b"{\"v\":1}"), Ok(Sealed::Bare(b"{\"v\":1}".to_vec())));
        let rejection = Sealed::parse(&signed().to_message()).expect_err("another type");
        assert!(rejection.to_string().contains("HelloWorld"), "{rejection}");
        assert_eq!(Sealed::parse(b"[]").map_err(|r| r.code), Err(Code::Malformed));
        assert_eq!(Sealed::parse(b"").map_err(|r| r.code), Err(Code::Malformed));
    }
}
