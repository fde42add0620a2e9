//! The files of a node's identity, read anew for each connection, so that a renewed certificate is taken without a restart.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{Error as PemError, PemObject as _},
    },
};

/// Where the identity lies, PEM files all.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The authorities that may vouch for the broker.
    pub ca: PathBuf,
    /// Our certificate and those between it and its authority.
    pub cert: PathBuf,
    /// The certificate's key.
    pub key: PathBuf,
}

/// Why no identity can be shown.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file cannot be read, or holds something else.
    #[error("cannot read the {what} in {path}: {source}")]
    File {
        /// What should be there.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The files cannot be used together.
    #[error("cannot use the certificate in {cert}: {source}")]
    Unfit {
        /// The certificate.
        cert: PathBuf,
        /// Why not.
        source: rustls::Error,
    },
}

impl Identity {
    /// What a connection needs.
    ///
    /// # Errors
    /// If a file is missing, holds something else, or key and certificate are not each other's.
    pub(crate) fn load(&self) -> Result<Arc<ClientConfig>, IdentityError> {
        let mut roots = RootCertStore::empty();
        for authority in certificates("broker's authority", &self.ca)? {
            roots.add(authority).map_err(|source| IdentityError::Unfit { cert: self.ca.clone(), source })?;
        }
        let chain = certificates("certificate", &self.cert)?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|e| unread("key", &self.key, e))?;
        let unfit = |source| IdentityError::Unfit { cert: self.cert.clone(), source };
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(unfit)?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(unfit)?;
        Ok(Arc::new(config))
    }
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let all = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let all = all.map_err(|e| unread(what, path, e))?;
    if all.is_empty() { Err(unread(what, path, PemError::NoItemsFound)) } else { Ok(all) }
}

fn unread(what: &'static str, path: &Path, error: PemError) -> IdentityError {
    let source = match error {
        PemError::Io(e) => e,
        // Neither its text nor anything else of a key may be told.
        PemError::NoItemsFound => io::Error::new(io::ErrorKind::InvalidData, "there is none"),
        _ => io::Error::new(io::ErrorKind::InvalidData, "this is no PEM file"),
    };
    IdentityError::File { what, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn check(change: impl FnOnce(&Identity), want: &str) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| folder.path().join(name);
        let made = rcgen::generate_simple_self_signed(["node".to_owned()]).expect("a certificate");
        let identity = Identity { ca: at("ca.pem"), cert: at("node.pem"), key: at("node.key") };
        fs::write(&identity.ca, made.cert.pem()).expect("ours");
        fs::write(&identity.cert, made.cert.pem()).expect("ours");
        fs::write(&identity.key, made.signing_key.serialize_pem()).expect("ours");
        change(&identity);
        let told = identity.load().map_or_else(|e| e.to_string(), |_| "good".to_owned());
        assert_eq!(told.replace(&format!("{}/", folder.path().display()), ""), want);
    }

    #[test]
    fn says_which_file_is_wrong() {
        check(|_| (), "good");
        check(
            |of| fs::remove_file(&of.key).expect("ours"),
            "cannot read the key in node.key: No such file or directory (os error 2)",
        );
        check(|of| fs::write(&of.ca, "").expect("ours"), "cannot read the broker's authority in ca.pem: there is none");
        check(
            |of| assert!(fs::copy(&of.key, &of.cert).is_ok()),
            "cannot read the certificate in node.pem: there is none",
        );
        let other = rcgen::generate_simple_self_signed(["node".to_owned()]).expect("a certificate");
        check(
            |of| fs::write(&of.key, other.signing_key.serialize_pem()).expect("ours"),
            "cannot use the certificate in node.pem: keys may not be consistent: KeyMismatch",
        );
    }
}
