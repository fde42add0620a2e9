//! What enrolment leaves in the state folder: the key, the certificate, whose commands are obeyed, and where the farm is. Each is
//! written whole or not at all, and `enrolled.toml` last.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};
use rcgen::PublicKeyData as _;
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use reelmill_api::{
    NodeId,
    enrol::{Membership, PairingCode},
    fleet::{Sha256, Trust},
    preset::Tag,
};
use serde::{Deserialize, Serialize};

use super::{join_file::HubUrl, seal};
use crate::exec::files::{PRIVATE, replace};

/// Where it is written that a farm has taken the node in.
const ENROLLED: &str = "enrolled.toml";

/// A node's place in its farm, without secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolled {
    /// Its name.
    pub node: NodeId,
    /// The hub's door.
    pub hub: String,
    /// The digest of the farm's authority.
    pub ca_sha256: Sha256,
    /// The broker's host.
    pub broker_host: String,
    /// Its port for nodes.
    pub broker_port: u16,
    /// The tags that the farm gave.
    pub tags: Vec<Tag>,
    /// When it was taken in, by the hub's clock.
    pub enrolled_at: Timestamp,
    /// When the certificate ends.
    pub not_after: Timestamp,
    /// When it is to be renewed.
    pub renew_at: Timestamp,
}

impl Enrolled {
    /// What an answer makes of a node that asked at that door.
    pub fn new(place: &Membership, hub: &HubUrl, ca_sha256: Sha256, now: Timestamp) -> Self {
        let left = place.not_after.duration_since(now).max(SignedDuration::ZERO);
        Self {
            node: place.node.clone(),
            hub: hub.to_string(),
            ca_sha256,
            broker_host: place.broker_host.clone().unwrap_or_else(|| hub.host.clone()),
            broker_port: place.broker_port,
            tags: place.tags.clone(),
            enrolled_at: place.enrolled_at,
            not_after: place.not_after,
            renew_at: place.not_after - left / 3,
        }
    }

    /// The place of the node that has this state folder; `None` if no farm has taken it in.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(folder: &Path) -> io::Result<Option<Self>> {
        match fs::read_to_string(folder.join(ENROLLED)) {
            Ok(text) => toml::from_str(&text).map(Some).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Writes it down.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let text = toml::to_string(self).map_err(io::Error::other)?;
        write(&folder.join(ENROLLED), text.as_bytes())
    }
}

/// A key and its certificate, of which the node has one in use, and for a while the next and the last.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The key, PEM or sealed.
    pub key: PathBuf,
    /// The certificate, PEM.
    pub cert: PathBuf,
}

impl Pair {
    /// The one in use.
    pub fn in_use(folder: &Path) -> Self {
        Self { key: folder.join("key.pem"), cert: folder.join("cert.pem") }
    }

    /// The one that is being got.
    pub fn next(folder: &Path) -> Self {
        Self { key: folder.join("key.pem.next"), cert: folder.join("cert.pem.next") }
    }

    /// The one that was in use before.
    pub fn last(folder: &Path) -> Self {
        Self { key: folder.join("key.pem.last"), cert: folder.join("cert.pem.last") }
    }

    /// Puts this one in the place of another. The key goes first: see [`finish`].
    pub fn replace(&self, other: &Self) -> io::Result<()> {
        fs::rename(&self.key, &other.key)?;
        fs::rename(&self.cert, &other.cert)
    }

    /// Copies this one to another place.
    pub fn copy(&self, to: &Self) -> io::Result<()> {
        write(&to.key, &fs::read(&self.key)?)?;
        write(&to.cert, &fs::read(&self.cert)?)
    }

    /// The key, made now if there is none, and sealed where there is a TPM.
    ///
    /// # Errors
    /// If it cannot be read or made.
    pub fn own_key(&self) -> io::Result<KeyPair> {
        let no_key = || io::Error::new(io::ErrorKind::InvalidData, "it holds no key; remove it");
        match fs::read(&self.key) {
            Ok(rest) => {
                let pem = String::from_utf8(seal::open(rest)?).map_err(|_| no_key())?;
                KeyPair::from_pem(&pem).map_err(|_| no_key())
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let key = KeyPair::generate().map_err(io::Error::other)?;
                write(&self.key, &seal::close(&key.serialize_pem()))?;
                Ok(key)
            }
            Err(e) => Err(e),
        }
    }
}

/// What a machine that died between the two steps of an exchange has left is done to its end: a certificate, the next or the
/// last, whose key has been put in use already belongs beside it.
///
/// # Errors
/// If the disk refuses.
pub fn finish(folder: &Path) -> io::Result<()> {
    let used = Pair::in_use(folder);
    for half in [Pair::next(folder), Pair::last(folder)] {
        if half.cert.exists() && !half.key.exists() {
            fs::rename(&half.cert, &used.cert)?;
        }
    }
    Ok(())
}

/// A certificate request of a key. It asks for nothing but a certificate: the name is the hub's to give.
///
/// # Errors
/// If it cannot be signed.
pub fn request(key: &KeyPair) -> io::Result<String> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.serialize_request(key).and_then(|request| request.pem()).map_err(io::Error::other)
}

/// What the node shows to be approved.
pub fn pairing_code(key: &KeyPair) -> PairingCode {
    PairingCode::of(&key.subject_public_key_info())
}

/// Keeps what a hub that has taken the node in answered.
///
/// # Errors
/// If the disk refuses.
pub fn keep(folder: &Path, place: &Membership, enrolled: &Enrolled) -> io::Result<()> {
    write(&folder.join("ca.pem"), place.ca.as_bytes())?;
    if let Some(trust) = &place.trust {
        keep_trust(folder, trust)?;
    }
    write(&Pair::in_use(folder).cert, place.cert.as_bytes())?;
    enrolled.write(folder)
}

/// Keeps whose commands are obeyed.
pub(super) fn keep_trust(folder: &Path, trust: &Trust) -> io::Result<()> {
    write(&folder.join("trust.json"), &trust.to_payload())
}

/// Whoever reads sees the old content or the new, after a power cut too; nobody else may.
pub(super) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    replace(path, content, PRIVATE)
}
