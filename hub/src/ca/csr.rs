//! What a node sends to get a certificate: its public key, signed by itself.

use rcgen::{CertificateSigningRequestParams, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PublicKey, PublicKeyData as _};
use reelmill_api::enrol::PairingCode;
use rustls::pki_types::{CertificateSigningRequestDer, pem::PemObject as _};

use reelmill_api::fleet::Sha256;

/// A request whose signature is right, so whoever made it has the key.
#[derive(Clone, Debug)]
pub struct Csr {
    key: PublicKey,
    spki: Vec<u8>,
}

/// Why a request is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCsr {
    /// It is something else.
    #[error("this is no certificate request in PEM")]
    Unreadable,
    /// Whoever sent it does not have the key, or it was altered.
    #[error("the certificate request is not signed by its own key")]
    Unsigned,
    /// A kind of key that the farm does not use.
    #[error("the key must be ECDSA on P-256 or Ed25519")]
    Key,
}

impl Csr {
    /// Reads a request and verifies its signature. Only its key counts; what else it asks for is not granted.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(pem: &str) -> Result<Self, BadCsr> {
        let der = CertificateSigningRequestDer::from_pem_slice(pem.as_bytes()).map_err(|_| BadCsr::Unreadable)?;
        let request = CertificateSigningRequestParams::from_der(&der).map_err(|e| match e {
            rcgen::Error::InvalidCertificationRequestSignature => BadCsr::Unsigned,
            rcgen::Error::UnsupportedSignatureAlgorithm => BadCsr::Key,
            _ => BadCsr::Unreadable,
        })?;
        let key = request.public_key;
        // The request names its kind of signature; the length tells which curve the key is really on.
        let ed25519 = key.algorithm() == &PKCS_ED25519 && key.der_bytes().len() == 32;
        let p256 = key.algorithm() == &PKCS_ECDSA_P256_SHA256 && key.der_bytes().len() == 65;
        if !ed25519 && !p256 {
            return Err(BadCsr::Key);
        }
        let spki = key.subject_public_key_info();
        Ok(Self { key, spki })
    }

    /// By which the key is known.
    pub fn key_id(&self) -> Sha256 {
        Sha256::of(&self.spki)
    }

    /// What the node with that key shows on its page.
    pub fn pairing_code(&self) -> PairingCode {
        PairingCode::of(&self.spki)
    }

    pub(super) fn key(&self) -> &PublicKey {
        &self.key
    }
}
