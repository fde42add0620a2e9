//! The farm's own small authority: it vouches for the hub, the broker, their clients and the nodes. Its key lies in the data
//! folder and is made at the first start; whom it has vouched for is in the database.

mod csr;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose as Use, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData,
    RevokedCertParams, SerialNumber,
};
use reelmill_api::{NodeId, fleet::Sha256};
use reelmill_daemon::Hinted;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use time::OffsetDateTime;
use uuid::Uuid;
use x509_parser::prelude::{FromDer as _, X509Certificate};

pub use csr::{BadCsr, Csr};

use crate::folder::{private_folder, write_atomically};

/// How long the authority itself is good: every node would have to be enrolled anew after it.
const OWN_LIFE: SignedDuration = SignedDuration::from_hours(20 * 365 * 24);
/// How long a server's certificate is good. One is made at each start and its key is written nowhere.
const SERVER_LIFE: SignedDuration = SignedDuration::from_hours(5 * 365 * 24);
/// How long a client's certificate is good.
const CLIENT_LIFE: SignedDuration = SignedDuration::from_hours(365 * 24);
/// How long a node's certificate is good. Nodes renew it when a third of this is left.
pub const NODE_LIFE: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Certificates are good from so long ago: a node's clock may be behind.
const BACKDATED: SignedDuration = SignedDuration::from_hours(1);

/// The authority.
pub struct Ca {
    folder: PathBuf,
    pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key, both PEM. A server's has the authority's certificate behind it.
#[derive(Clone)]
pub struct Identity {
    /// The certificate.
    pub cert_pem: String,
    /// Its key.
    pub key_pem: String,
}

/// A certificate that the authority has made for somebody else's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The certificate.
    pub pem: String,
    /// Its digest.
    pub sha256: Sha256,
    /// Its number.
    pub serial: Serial,
    /// Until when it is good.
    pub not_after: Timestamp,
}

/// A certificate's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serial([u8; 16]);

/// A certificate that is not good any more, before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Its number.
    pub serial: Serial,
    /// Since when.
    pub at: Timestamp,
}

impl Ca {
    /// Opens the authority in a folder, making both where they are missing.
    ///
    /// # Errors
    /// If its files cannot be read, written or used.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let doing = || format!("cannot open the farm's authority in {}", folder.display());
        private_folder(folder).with_context(doing)?;
        // The hub and its command line may both be the first.
        let lock = File::create(folder.join("lock")).with_context(doing)?;
        lock.lock().with_context(doing)?;
        let (cert, key) = (folder.join("ca.pem"), folder.join("ca.key"));
        if !cert.exists() {
            make(&cert, &key).with_context(|| format!("cannot make the farm's authority in {}", folder.display()))?;
        }
        read(folder, &cert, &key).with_context(doing)
    }

    /// The authority's certificate, PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The digest by which a node knows the authority: its pin in `join.toml`.
    pub fn fingerprint(&self) -> Sha256 {
        Sha256::of(&self.der)
    }

    /// A new identity for a server with these names and addresses.
    ///
    /// # Errors
    /// If a name is none.
    pub fn server(&self, names: &[String]) -> anyhow::Result<Identity> {
        let mut params = CertificateParams::new(names).context("a server's name cannot be in a certificate")?;
        let name = names.first().map_or("server", String::as_str);
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![Use::ServerAuth];
        let identity = self.identity(params, SERVER_LIFE)?;
        Ok(Identity { cert_pem: identity.cert_pem + &self.pem, ..identity })
    }

    /// A new identity for a client that is no node, such as the hub at the broker.
    ///
    /// # Errors
    /// If no key can be made.
    pub fn client(&self, common_name: &str) -> anyhow::Result<Identity> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.extended_key_usages = vec![Use::ClientAuth];
        self.identity(params, CLIENT_LIFE)
    }

    /// A certificate for a node's key, good for [`NODE_LIFE`] from a time on. The name is ours to give: nothing of the
    /// request but its key is looked at.
    ///
    /// # Errors
    /// If it cannot be signed.
    pub fn sign_node(&self, csr: &Csr, node: &NodeId, from: Timestamp) -> anyhow::Result<Issued> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, node.as_str());
        params.extended_key_usages = vec![Use::ClientAuth];
        let serial = Serial::random();
        let not_after = from + NODE_LIFE;
        let cert = self.sign(params, csr.key(), serial, from, not_after)?;
        Ok(Issued { pem: cert.pem(), sha256: Sha256::of(cert.der()), serial, not_after })
    }

    /// The list of what is not good any more, PEM. It is good as long as the authority: a broker that finds it out of date
    /// lets nobody in.
    ///
    /// # Errors
    /// If it cannot be signed.
    pub fn crl(&self, revoked: &[Revoked], now: Timestamp) -> anyhow::Result<String> {
        let revoked = revoked.iter().map(|Revoked { serial, at }| RevokedCertParams {
            serial_number: serial.number(),
            revocation_time: time(*at),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: time(now - BACKDATED),
            next_update: time(now + OWN_LIFE),
            crl_number: u64::try_from(now.as_millisecond()).unwrap_or_default().into(),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).and_then(|list| list.pem()).context("cannot sign the list of revoked certificates")
    }

    /// Writes that list to `crl.pem` beside the authority, for brokers that read a file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_crl(&self, revoked: &[Revoked], now: Timestamp) -> anyhow::Result<()> {
        let path = self.folder.join("crl.pem");
        let list = self.crl(revoked, now)?;
        write_atomically(&path, list.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
    }

    fn identity(&self, params: CertificateParams, life: SignedDuration) -> anyhow::Result<Identity> {
        let key = KeyPair::generate().context("cannot make a key")?;
        let now = Timestamp::now();
        let cert = self.sign(params, &key, Serial::random(), now, now + life)?;
        Ok(Identity { cert_pem: cert.pem(), key_pem: key.serialize_pem() })
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        key: &impl PublicKeyData,
        serial: Serial,
        from: Timestamp,
        not_after: Timestamp,
    ) -> anyhow::Result<Certificate> {
        params.serial_number = Some(serial.number());
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        (params.not_before, params.not_after) = (time(from - BACKDATED), time(not_after));
        params.signed_by(key, &self.issuer).context("cannot sign a certificate")
    }
}

impl std::fmt::Debug for Ca {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ca").field("fingerprint", &self.fingerprint()).finish_non_exhaustive()
    }
}

impl Serial {
    /// 122 random bits, and none that would make the number negative.
    fn random() -> Self {
        let mut bytes = Uuid::new_v4().into_bytes();
        bytes[0] = bytes[0] & 0x7f | 0x40;
        Self(bytes)
    }

    fn number(self) -> SerialNumber {
        SerialNumber::from_slice(&self.0)
    }

    /// Its 16 bytes.
    pub fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl From<[u8; 16]> for Serial {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

/// Until when the first certificate of a PEM file is good.
///
/// # Errors
/// If there is none, or it cannot be read.
pub fn good_until(path: &Path) -> anyhow::Result<Timestamp> {
    let der = CertificateDer::from_pem_file(path).with_context(|| format!("cannot read {}", path.display()))?;
    let (_, cert) =
        X509Certificate::from_der(&der).with_context(|| format!("{}: this is no certificate", path.display()))?;
    Ok(Timestamp::from_second(cert.validity().not_after.timestamp())?)
}

/// The key first: where the certificate is, both are.
fn make(cert: &Path, key: &Path) -> anyhow::Result<()> {
    let pair = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    let name = format!("Reelmill farm {}", &Uuid::new_v4().simple().to_string()[..8]);
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.serial_number = Some(Serial::random().number());
    let now = Timestamp::now();
    (params.not_before, params.not_after) = (time(now - BACKDATED), time(now + OWN_LIFE));
    let made = params.self_signed(&pair)?;
    write_atomically(key, pair.serialize_pem().as_bytes())?;
    write_atomically(cert, made.pem().as_bytes())?;
    Ok(())
}

fn read(folder: &Path, cert: &Path, key: &Path) -> anyhow::Result<Ca> {
    let hint = "put both files back from a backup; without them every node must be enrolled anew";
    let lost = |path: &Path, why: &dyn std::fmt::Display| Hinted::new(format!("{}: {why}", path.display()), hint);
    let pem = fs::read_to_string(cert).map_err(|e| lost(cert, &e))?;
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| lost(cert, &"this is no certificate"))?;
    let text = fs::read_to_string(key).map_err(|e| lost(key, &e))?;
    let pair = KeyPair::from_pem(&text).map_err(|_| lost(key, &"this is no key"))?;
    let spki = pair.subject_public_key_info();
    if !der.windows(spki.len()).any(|part| part == spki) {
        return Err(lost(key, &"this is another authority's key").into());
    }
    let issuer = Issuer::from_ca_cert_der(&der, pair).map_err(|e| lost(cert, &e))?;
    Ok(Ca { folder: folder.to_owned(), pem, der, issuer })
}

/// The other crate's word for a time, in whole seconds.
fn time(at: Timestamp) -> OffsetDateTime {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    epoch + std::time::Duration::from_secs(u64::try_from(at.as_second()).unwrap_or_default())
}

#[cfg(test)]
mod tests;
