//! Which keys a node trusts, for what, and how that changes: a document with a counter that rises, each signed by keys of
//! the one before.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    Class, Envelope, KeyId, PROTOCOL, PrivateKey, PublicKey, Text, check_version, envelope,
    reject::{Code, Rejection},
};

/// The most keys that a document may name.
const MAX_KEYS: usize = 64;

/// The keys that a node trusts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct Trust {
    ctr: u64,
    threshold: u32,
    keys: Vec<TrustedKey>,
}

/// A key, whose it is, and what it may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustedKey {
    /// The key.
    pub key: PublicKey,
    /// Whose it is; for people only.
    pub name: Text<128>,
    /// What it may do.
    pub roles: BTreeSet<Role>,
}

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Give commands.
    Operator,
    /// Vouch for releases, beside an operator.
    Release,
    /// Change this document; and all that an operator may.
    Admin,
}

impl TrustedKey {
    fn is(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    fn commands(&self) -> bool {
        self.is(Role::Operator) || self.is(Role::Admin)
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Wire {
    v: u32,
    ctr: u64,
    threshold: u32,
    keys: Vec<TrustedKey>,
}

impl TryFrom<Wire> for Trust {
    type Error = String;

    fn try_from(wire: Wire) -> Result<Self, Self::Error> {
        if wire.v != PROTOCOL {
            return Err(format!("version {} is not understood, only {PROTOCOL}", wire.v));
        }
        Self::new(wire.ctr, wire.threshold, wire.keys)
    }
}

impl From<Trust> for Wire {
    fn from(Trust { ctr, threshold, keys }: Trust) -> Self {
        Self { v: PROTOCOL, ctr, threshold, keys }
    }
}

impl Trust {
    /// The keys of one document. `threshold` admin keys must sign the next one.
    ///
    /// # Errors
    /// If nobody could ever change it, or a key is named twice.
    pub fn new(ctr: u64, threshold: u32, keys: Vec<TrustedKey>) -> Result<Self, String> {
        let admins = keys.iter().filter(|key| key.is(Role::Admin)).count();
        let distinct: BTreeSet<KeyId> = keys.iter().map(|key| key.key.id()).collect();
        if threshold == 0 || u32::try_from(admins).is_ok_and(|admins| threshold > admins) {
            return Err(format!("a threshold of {threshold} with {admins} admin keys can never be met, or always"));
        }
        if distinct.len() != keys.len() {
            return Err("a key is named twice".to_owned());
        }
        if keys.len() > MAX_KEYS {
            return Err(format!("there are more than {MAX_KEYS} keys"));
        }
        Ok(Self { ctr, threshold, keys })
    }

    /// The document's number.
    pub fn ctr(&self) -> u64 {
        self.ctr
    }

    /// How many of its admin keys must sign the next document.
    pub fn threshold(&self) -> u32 {
        self.threshold
    }

    /// The keys.
    pub fn keys(&self) -> &[TrustedKey] {
        &self.keys
    }

    /// The trusted keys that signed an envelope, each once however often it signed.
    pub fn signers(&self, envelope: &Envelope) -> Signers<'_> {
        Signers(self.keys.iter().filter(|key| envelope.is_signed_by(&key.key)).collect())
    }

    /// The document in an envelope that takes the place of this one. Enough admin keys of this one must have signed it, and
    /// enough of its own, so that nobody locks the farm out with keys that nobody has.
    ///
    /// # Errors
    /// `malformed`, or `bad_trust` where it is not newer or not signed enough.
    pub fn successor(&self, envelope: &Envelope) -> Result<Self, Rejection> {
        envelope.must_be(envelope::TRUST)?;
        let next = Self::parse(envelope.payload())?;
        let bad = |why: String| Err(Rejection::new(Code::BadTrust, why));
        if next.ctr <= self.ctr {
            return bad(format!("number {} is not above the present {}", next.ctr, self.ctr));
        }
        for (trust, whose) in [(self, "present"), (&next, "new")] {
            let (have, need) = (trust.signers(envelope).admins(), trust.threshold);
            if have < need {
                return bad(format!("{have} of the {need} admin keys of the {whose} document signed it"));
            }
        }
        Ok(next)
    }

    /// Reads a document that somebody else vouches for: the node's own disk, or a signature that was looked at.
    ///
    /// # Errors
    /// `malformed` or `unsupported_version`.
    pub fn parse(payload: &[u8]) -> Result<Self, Rejection> {
        let value: serde_json::Value = serde_json::from_slice(payload).map_err(Rejection::malformed)?;
        check_version(&value)?;
        serde_json::from_value(value).map_err(|e| Rejection::malformed(format!("the trust document: {e}")))
    }

    /// The document in an envelope, signed by one key. Others may be added to the envelope.
    pub fn signed(&self, key: &PrivateKey) -> Envelope {
        let mut envelope = Envelope::unsigned(envelope::TRUST, self.to_payload());
        envelope.sign(key).expect("nobody has signed it");
        envelope
    }

    /// The document's bytes, to be signed.
    pub fn to_payload(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a trust document holds only texts and numbers")
    }
}

/// The trusted keys that signed something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signers<'a>(Vec<&'a TrustedKey>);

impl Signers<'_> {
    /// No key at all.
    pub(super) fn nobody() -> Self {
        Self(Vec::new())
    }

    /// Their names.
    pub fn ids(&self) -> Vec<KeyId> {
        self.0.iter().map(|key| key.key.id()).collect()
    }

    /// Whether an admin is among them.
    pub fn has_admin(&self) -> bool {
        self.admins() > 0
    }

    fn admins(&self) -> u32 {
        let count = self.0.iter().filter(|key| key.is(Role::Admin)).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Refuses where these keys may not give a command of this class.
    ///
    /// # Errors
    /// `bad_signature` where no trusted key signed at all, `unauthorized` where those that did are not enough.
    pub fn must_allow(&self, class: Class) -> Result<(), Rejection> {
        let has_operator = self.0.iter().any(|key| key.commands());
        let second = self.0.iter().filter(|key| key.commands() || key.is(Role::Release)).count() >= 2;
        match class {
            Class::Unsigned => Ok(()),
            _ if self.0.is_empty() => {
                Err(Rejection::new(Code::BadSignature, "no signature is true and by a key that this node trusts"))
            }
            Class::One if has_operator => Ok(()),
            Class::Two if has_operator && second => Ok(()),
            Class::One => Err(Rejection::new(Code::Unauthorized, "no operator signed it")),
            Class::Two => Err(Rejection::new(
                Code::Unauthorized,
                "it needs the signatures of two operators, or of an operator and a release key",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> PrivateKey {
        PrivateKey::from_seed(&[seed; 32])
    }

    fn trusted(seed: u8, roles: &[Role]) -> TrustedKey {
        let name = Text::cut(&format!("key {seed}"));
        TrustedKey { key: key(seed).public(), name, roles: roles.iter().copied().collect() }
    }

    /// Keys 1 and 2 are operators, 3 and 4 release keys, 5, 6 and 7 admins.
    fn trust(ctr: u64, threshold: u32) -> Trust {
        use Role::{Admin, Operator, Release};
        let roles = [(1, Operator), (2, Operator), (3, Release), (4, Release), (5, Admin), (6, Admin), (7, Admin)];
        Trust::new(ctr, threshold, roles.map(|(seed, role)| trusted(seed, &[role])).into()).expect("well formed")
    }

    fn envelope(kind: &str, payload: Vec<u8>, seeds: &[u8]) -> Envelope {
        let mut envelope = Envelope::unsigned(kind, payload);
        seeds.iter().for_each(|seed| envelope.sign(&key(*seed)).expect("each once"));
        envelope
    }

    #[test]
    fn who_may_give_which_class() {
        type Row = (&'static [u8], [Result<(), Code>; 2]);
        use Code::{BadSignature, Unauthorized};
        let table: [Row; 11] = [
            (&[], [Err(BadSignature), Err(BadSignature)]),
            (&[9], [Err(BadSignature), Err(BadSignature)]),
            (&[1], [Ok(()), Err(Unauthorized)]),
            (&[1, 9], [Ok(()), Err(Unauthorized)]),
            (&[1, 2], [Ok(()), Ok(())]),
            (&[3], [Err(Unauthorized), Err(Unauthorized)]),
            (&[3, 4], [Err(Unauthorized), Err(Unauthorized)]),
            (&[3, 1], [Ok(()), Ok(())]),
            (&[5], [Ok(()), Err(Unauthorized)]),
            (&[5, 3], [Ok(()), Ok(())]),
            (&[5, 6], [Ok(()), Ok(())]),
        ];
        for (seeds, want) in table {
            let (trust, envelope) = (trust(1, 2), envelope("t", b"p".to_vec(), seeds));
            let allow = |class| trust.signers(&envelope).must_allow(class).map_err(|r| r.code);
            assert_eq!([allow(Class::One), allow(Class::Two)], want, "signed by {seeds:?}");
            assert_eq!(allow(Class::Unsigned), Ok(()));
        }
    }

    #[test]
    fn one_key_counts_once_however_often_it_signed() {
        let once = envelope("t", b"p".to_vec(), &[1]);
        let mut json = serde_json::to_value(&once).expect("JSON");
        let signature = json["signatures"][0].clone();
        json["signatures"].as_array_mut().expect("a list").push(signature);
        let twice: Envelope = serde_json::from_value(json).expect("an envelope");
        assert_eq!(twice.claimed_keys().count(), 2);
        let trust = trust(1, 2);
        assert_eq!(trust.signers(&twice).ids(), [key(1).public().id()]);
        assert_eq!(trust.signers(&twice).must_allow(Class::Two).map_err(|r| r.code), Err(Code::Unauthorized));
    }

    #[test]
    fn a_new_document_needs_the_keys_of_the_old_and_of_the_new() {
        let next = |ctr| trust(ctr, 2).to_payload();
        let other_admins = Trust::new(2, 1, vec![trusted(8, &[Role::Admin])]).expect("well formed").to_payload();
        type Row = (&'static str, Vec<u8>, &'static [u8], Result<u64, (Code, &'static str)>);
        let kind = envelope::TRUST;
        let table: [Row; 9] = [
            (kind, next(2), &[5, 6], Ok(2)),
            (kind, next(9), &[5, 6, 7], Ok(9)),
            (kind, next(1), &[5, 6], Err((Code::BadTrust, "number 1 is not above the present 1"))),
            (kind, next(0), &[5, 6], Err((Code::BadTrust, "not above"))),
            (kind, next(2), &[5], Err((Code::BadTrust, "1 of the 2 admin keys of the present document"))),
            (kind, next(2), &[1, 2, 3], Err((Code::BadTrust, "0 of the 2"))),
            (kind, other_admins.clone(), &[5, 6], Err((Code::BadTrust, "0 of the 1 admin keys of the new document"))),
            (kind, other_admins, &[5, 6, 8], Ok(2)),
            (envelope::COMMAND, next(2), &[5, 6], Err((Code::Malformed, "not `application/vnd.reelmill.trust"))),
        ];
        for (kind, payload, seeds, want) in table {
            let got = trust(1, 2).successor(&envelope(kind, payload, seeds));
            match (&got, want) {
                (Ok(next), Ok(ctr)) => assert_eq!(next.ctr(), ctr),
                (Err(rejection), Err((code, part))) => {
                    assert!(rejection.code == code && rejection.to_string().contains(part), "{seeds:?}: {rejection}");
                }
                (_, want) => panic!("signed by {seeds:?}: {got:?}, not {want:?}"),
            }
        }
    }

    #[test]
    fn refuses_a_document_that_locks_everybody_out_or_nobody() {
        let admin = || trusted(5, &[Role::Admin]);
        for (threshold, keys, part) in [
            (0, vec![admin()], "threshold of 0"),
            (2, vec![admin(), trusted(1, &[Role::Operator])], "1 admin keys"),
            (1, vec![], "0 admin keys"),
            (1, vec![admin(), admin()], "named twice"),
        ] {
            let error = Trust::new(1, threshold, keys).expect_err(part);
            assert!(error.contains(part), "{error}");
        }
        assert_eq!(Trust::parse(br#"{"v":2}"#).map_err(|r| r.code), Err(Code::UnsupportedVersion));
    }
}
