//! Builds the S3 client: keys, address, TLS. Tries and time limits are ours (`retry.rs`), not the client's.

use std::path::Path;

use aws_credential_types::Credentials;
use aws_sdk_s3::config::{
    BehaviorVersion, Region, RequestChecksumCalculation, ResponseChecksumValidation, SharedHttpClient,
    StalledStreamProtectionConfig, retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::{S3Config, StorageError};

/// A client for the configured store; connects to nothing yet.
pub(super) fn build(config: &S3Config) -> Result<aws_sdk_s3::Client, StorageError> {
    check_endpoint(config)?;
    let token = config.session_token.clone();
    let keys = Credentials::new(&config.access_key, &config.secret_key, token, None, "reelmill");
    let mut sdk = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(config.region.clone()))
        .credentials_provider(keys)
        .force_path_style(config.path_style)
        // Garage and older stores know none of the newer checksums; the signature covers the payload's hash anyway.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().connect_timeout(config.patience.connect).build())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        // A clock that is hours off is told to a person, not papered over.
        .disable_clock_skew_correction(true)
        .http_client(http_client(config)?);
    if let Some(url) = &config.endpoint {
        sdk = sdk.endpoint_url(url.as_str().trim_end_matches('/'));
    }
    Ok(aws_sdk_s3::Client::from_conf(sdk.build()))
}

fn check_endpoint(config: &S3Config) -> Result<(), StorageError> {
    let Some(url) = &config.endpoint else { return Ok(()) };
    let wrong = if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        "must be an http:// or https:// address"
    } else if !url.username().is_empty() || url.password().is_some() {
        "must not hold a user or password: keys are settings of their own"
    } else if url.query().is_some() || url.fragment().is_some() {
        "must not hold `?` or `#`"
    } else {
        return Ok(());
    };
    Err(StorageError::Config { message: format!("the S3 endpoint {} {wrong}", config.store()) })
}

/// Plain HTTP where the endpoint says so: then no certificate is looked for, and none need be installed.
fn http_client(config: &S3Config) -> Result<SharedHttpClient, StorageError> {
    if config.endpoint.as_ref().is_some_and(|url| url.scheme() == "http") {
        return Ok(Builder::new().build_http());
    }
    let trust = match &config.ca_file {
        Some(file) => TrustStore::empty().with_pem_certificate(read_authorities(file)?),
        None => TrustStore::default(),
    };
    let context = TlsContext::builder().with_trust_store(trust).build();
    let context = context.map_err(|e| StorageError::Config { message: format!("cannot set up TLS: {e}") })?;
    Ok(Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(context).build_https())
}

/// The text of a PEM file. All its certificates are parsed here, because the client would panic on a bad one.
fn read_authorities(file: &Path) -> Result<Vec<u8>, StorageError> {
    let bad = |why: String| StorageError::Config {
        message: format!("cannot use {} as certificate authorities: {why}", file.display()),
    };
    let pem = std::fs::read(file).map_err(|e| bad(e.to_string()))?;
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        store.add(certificate.map_err(|e| bad(e.to_string()))?).map_err(|e| bad(e.to_string()))?;
    }
    if store.is_empty() {
        return Err(bad("it holds no certificate in PEM form".to_owned()));
    }
    Ok(pem)
}
