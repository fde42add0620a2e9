//! TLS with client certificates: who is at the other end. The files are read anew for each connection, so that who was revoked
//! is not let in any more, and a renewed certificate is shown at once.

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, anyhow};
use reelmill_api::NodeId;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Files, access::Who};

/// Greets a client; who it is.
pub(super) async fn accept(stream: TcpStream, files: &Files) -> anyhow::Result<(TlsStream<TcpStream>, Who)> {
    let config = config(files)?;
    stream.set_nodelay(true)?;
    let stream = TlsAcceptor::from(Arc::new(config)).accept(stream).await.context("no TLS")?;
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).context("it showed no certificate")?;
    let who = who(shown, files)?;
    Ok((stream, who))
}

fn config(files: &Files) -> anyhow::Result<ServerConfig> {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    for authority in certificates(&files.ca)? {
        roots.add(authority)?;
    }
    let mut verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    if files.crl.exists() {
        let list = CertificateRevocationListDer::from_pem_file(&files.crl);
        verifier = verifier.with_crls([list.map_err(|e| unread(&files.crl, &e))?]).only_check_end_entity_revocation();
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| unread(&files.key, &e))?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier.build()?)
        .with_single_cert(certificates(&files.cert)?, key)?;
    Ok(config)
}

/// An operator is who shows one of a few certificates that we know; all others are nodes, by their common name.
fn who(shown: &CertificateDer<'_>, files: &Files) -> anyhow::Result<Who> {
    for file in &files.operators {
        if certificates(file)?.first() == Some(shown) {
            return Ok(Who::Operator);
        }
    }
    let (_, cert) = X509Certificate::from_der(shown).context("its certificate cannot be read")?;
    let mut names = cert.subject().iter_common_name();
    let name = names.next().and_then(|name| name.as_str().ok()).context("its certificate has no common name")?;
    anyhow::ensure!(names.next().is_none(), "its certificate has two common names");
    Ok(Who::Node(name.parse::<NodeId>()?))
}

fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let all = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    all.map_err(|e| unread(path, &e))
}

fn unread(path: &Path, error: &rustls::pki_types::pem::Error) -> anyhow::Error {
    anyhow!("cannot read {}: {error}", path.display())
}
