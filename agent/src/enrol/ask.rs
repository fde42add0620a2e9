//! One question to the hub's door, by HTTPS. The hub is who has a certificate of the authority that the pin names, for the name by
//! which we reach it; nobody else in the world can vouch for it.

use std::{sync::Arc, time::Duration};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Request, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use reelmill_api::{
    enrol::{JoinAnswer, MAX_BODY},
    fleet::Sha256,
};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
};
use serde::Serialize;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use super::{files::Pair, join_file::HubUrl};

/// How long the hub may take in all.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens, or the network is away.
    #[error("cannot reach the hub at {0}: {1}")]
    Unreachable(String, std::io::Error),
    /// It is not the hub.
    #[error("{0} is not this farm's hub: it cannot show the authority of ca_sha256")]
    Stranger(String),
    /// It is some of our farm's machines, and not called so.
    #[error("the certificate of {0} is for other names; add this one to fleet.names of the hub")]
    OtherName(String),
    /// The answer broke off or is none.
    #[error("the hub at {0} gave no answer that can be read: {1}")]
    Answer(String, String),
    /// It takes too long.
    #[error("the hub at {0} does not answer")]
    Silent(String),
    /// Our own certificate cannot be used.
    #[error("cannot use this node's certificate: {0}")]
    Own(String),
}

/// Asks, showing a certificate if there is one to show.
///
/// # Errors
/// Why there is no answer.
pub async fn ask(
    hub: &HubUrl,
    pin: Sha256,
    shown: Option<&Pair>,
    path: &str,
    question: &impl Serialize,
) -> Result<JoinAnswer, AskError> {
    let config = config(pin, shown).map_err(AskError::Own)?;
    let body = serde_json::to_vec(question).expect("a question holds only texts");
    let asked = exchange(hub, config, path, body);
    timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(AskError::Silent(hub.to_string())))
}

async fn exchange(hub: &HubUrl, config: Arc<ClientConfig>, path: &str, body: Vec<u8>) -> Result<JoinAnswer, AskError> {
    let at = hub.to_string();
    let unreachable = |e| AskError::Unreachable(at.clone(), e);
    let broken = |e: &dyn std::fmt::Display| AskError::Answer(at.clone(), e.to_string());
    let name = ServerName::try_from(hub.host.clone()).map_err(|e| unreachable(std::io::Error::other(e)))?;
    let stream = TcpStream::connect((hub.host.as_str(), hub.port)).await.map_err(unreachable)?;
    let stream = TlsConnector::from(config).connect(name, stream).await.map_err(|e| refused(&at, e))?;
    let (mut send, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| broken(&e))?;
    let request = Request::post(path)
        .header(header::HOST, at.trim_start_matches("https://"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|e| broken(&e))?;
    let answered = async {
        let answer = send.send_request(request).await.map_err(|e| broken(&e))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_BODY).collect().await.map_err(|e| broken(&e))?;
        serde_json::from_slice(&body.to_bytes()).map_err(|e| broken(&format!("{e} (status {status})")))
    };
    // The connection's own end brings nothing that the answer does not.
    tokio::select! {
        answer = answered => answer,
        Err(e) = connection => Err(broken(&e)),
    }
}

fn refused(at: &str, error: std::io::Error) -> AskError {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
    match tls {
        Some(TlsError::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => AskError::OtherName(at.to_owned()),
        Some(TlsError::InvalidCertificate(CertificateError::UnknownIssuer)) => AskError::Stranger(at.to_owned()),
        _ => AskError::Unreachable(at.to_owned(), error),
    }
}

fn config(pin: Sha256, shown: Option<&Pair>) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned { pin, provider }));
    let config = match shown {
        None => builder.with_no_client_auth(),
        Some(Pair { key, cert }) => {
            let chain = CertificateDer::pem_file_iter(cert).and_then(Iterator::collect);
            let chain: Vec<_> = chain.map_err(|_| format!("{} cannot be read", cert.display()))?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(|_| format!("{} cannot be read", key.display()))?;
            builder.with_client_auth_cert(chain, key).map_err(|e| e.to_string())?
        }
    };
    Ok(Arc::new(config))
}

/// Believes one authority, which it knows by its digest and takes from what the server shows; and then as much as anybody
/// believes an authority: name, time, use and signature must be right.
#[derive(Debug)]
struct Pinned {
    pin: Sha256,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let unknown = || TlsError::InvalidCertificate(CertificateError::UnknownIssuer);
        let authority = intermediates.iter().find(|der| Sha256::of(der) == self.pin).ok_or_else(unknown)?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned()).map_err(|_| unknown())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), self.provider.clone()).build();
        let verifier = verifier.map_err(|_| unknown())?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
