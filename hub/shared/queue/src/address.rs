//! What the addresses of all servers have in common. What is said about a bad one never repeats a piece of it, as any piece
//! may turn out to belong to a secret with an unescaped `/`, `?` or `#`.

use std::fmt;

use percent_encoding::percent_decode_str;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use url::{Host, Url};

use crate::QueueError;

/// How the addresses of one kind of server are spoken of.
pub(crate) struct Dialect {
    /// The server's name.
    pub(crate) server: &'static str,
    /// What in its addresses is secret.
    pub(crate) secret: &'static str,
    /// How a good one looks.
    pub(crate) hint: &'static str,
}

/// Authorities to trust instead of the system's.
#[derive(Debug)]
pub(crate) struct Trust {
    /// Their certificates in PEM form, as the file has them.
    pub(crate) pem: Vec<u8>,
    /// The same, parsed; never empty.
    pub(crate) roots: RootCertStore,
}

impl Dialect {
    /// An address that names a host, and the host: an IPv6 address without brackets.
    pub(crate) fn parse(&self, text: &str) -> Result<(Url, String), QueueError> {
        let url = Url::parse(text).map_err(|e| self.bad(&e.to_string()))?;
        if url.fragment().is_some() {
            return Err(self.bad_or_unescaped("it holds a `#`", '#'));
        }
        let host = match url.host() {
            Some(Host::Ipv6(ip)) => ip.to_string(),
            Some(host) if !host.to_string().is_empty() => self.decode(&host.to_string())?,
            _ => return Err(self.bad("it names no host")),
        };
        Ok((url, host))
    }

    /// Who is to be let in, `""` for nobody, and by which secret.
    pub(crate) fn login(&self, url: &Url) -> Result<(String, Option<String>), QueueError> {
        Ok((self.decode(url.username())?, url.password().map(|secret| self.decode(secret)).transpose()?))
    }

    /// What stands behind the `?`, by name and value as they are written.
    pub(crate) fn settings<'a>(&self, url: &'a Url) -> impl Iterator<Item = (&'a str, &'a str)> {
        let parts = url.query().into_iter().flat_map(|query| query.split('&')).filter(|part| !part.is_empty());
        parts.map(|part| part.split_once('=').unwrap_or((part, "")))
    }

    /// Without percent encoding.
    pub(crate) fn decode(&self, text: &str) -> Result<String, QueueError> {
        let decoded = percent_decode_str(text).decode_utf8().map_err(|_| self.bad("a part of it is no UTF-8"))?;
        Ok(decoded.into_owned())
    }

    /// The authorities in a PEM file.
    pub(crate) fn trust(&self, path: &str) -> Result<Trust, QueueError> {
        let unusable = |why: &dyn fmt::Display| self.bad(&format!("its `ca` file {path} cannot be used: {why}"));
        let pem = std::fs::read(path).map_err(|e| unusable(&e))?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            roots.add(certificate.map_err(|e| unusable(&e))?).map_err(|e| unusable(&e))?;
        }
        if roots.is_empty() {
            return Err(unusable(&"it holds no certificate in PEM form"));
        }
        Ok(Trust { pem, roots })
    }

    /// What is wrong with an address, where a character of a secret may be at fault; `why` holds no piece of it.
    pub(crate) fn bad_or_unescaped(&self, why: &str, character: char) -> QueueError {
        let code = u32::from(character);
        self.bad(&format!("{why}; in a {}, write `{character}` as %{code:02X}", self.secret))
    }

    /// What is wrong with an address; `why` holds no piece of it.
    pub(crate) fn bad(&self, why: &str) -> QueueError {
        QueueError::BadAddress {
            message: format!("the {} address cannot be used: {why}", self.server),
            hint: self.hint.to_owned(),
        }
    }
}

/// Host and port as an address has them.
pub(crate) fn place(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
