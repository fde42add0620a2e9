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

use url::Url;

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
        sdk = sdk.endpoint_url(address(url));
    }
    Ok(aws_sdk_s3::Client::from_conf(sdk.build()))
}

/// The endpoint as the client wants it: it joins a path of the address and the bucket without a `/` of its own.
fn address(url: &Url) -> String {
    match url.as_str().trim_end_matches('/') {
        plain if url.path().trim_end_matches('/').is_empty() => plain.to_owned(),
        with_path => format!("{with_path}/"),
    }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_sdk_s3::presigning::PresigningConfig;

    use super::*;

    /// The address that a request for `media-ingest/in/a b.mp4` goes to.
    async fn check(endpoint: Option<&str>, path_style: Option<bool>, want: &str) {
        let endpoint = endpoint.map(|url| url.parse().expect("an address"));
        let mut config = S3Config::new(endpoint, "eu-west-1", "AK", "SK");
        config.path_style = path_style.unwrap_or(config.path_style);
        let request =
            build(&config).expect("a good configuration").get_object().bucket("media-ingest").key("in/a b.mp4");
        let validity = PresigningConfig::expires_in(Duration::from_secs(60)).expect("a short time");
        let signed = request.presigned(validity).await.expect("it needs no store");
        assert_eq!(signed.uri().split('?').next(), Some(want));
    }

    #[tokio::test]
    async fn addresses_a_bucket_as_the_store_wants_it() {
        check(Some("http://10.0.0.5:9000"), None, "http://10.0.0.5:9000/media-ingest/in/a%20b.mp4").await;
        check(Some("https://s3.lan/"), None, "https://s3.lan/media-ingest/in/a%20b.mp4").await;
        check(Some("https://s3.lan"), Some(false), "https://media-ingest.s3.lan/in/a%20b.mp4").await;
        check(Some("https://gate.lan/store"), None, "https://gate.lan/store/media-ingest/in/a%20b.mp4").await;
        check(None, None, "https://media-ingest.s3.eu-west-1.amazonaws.com/in/a%20b.mp4").await;
        check(None, Some(true), "https://s3.eu-west-1.amazonaws.com/media-ingest/in/a%20b.mp4").await;
    }
}
