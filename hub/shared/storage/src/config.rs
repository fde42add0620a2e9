//! How an S3 store is reached: plain values, no secret in any `Debug`.

use std::{fmt, path::PathBuf, time::Duration};

use url::Url;

/// An S3 store and the keys for it.
#[derive(Clone)]
pub struct S3Config {
    /// The store's address; `None` is AWS in `region`.
    pub endpoint: Option<Url>,
    /// The region that requests are signed for. Most stores other than AWS take any.
    pub region: String,
    /// `http://host/bucket/key` and not `http://bucket.host/key`.
    pub path_style: bool,
    /// The access key's id; not a secret, it is shown in messages.
    pub access_key: String,
    /// The secret key; never shown.
    pub secret_key: String,
    /// The session token that comes with temporary keys; never shown.
    pub session_token: Option<String>,
    /// A PEM file with the only certificate authorities to trust; `None` trusts those of the system.
    pub ca_file: Option<PathBuf>,
    /// How long to wait and how often to try again.
    pub patience: Patience,
    /// How long the parts of an upload are; also how much one holds back, and twice that is all it holds. At least
    /// [`LEAST_PART`]. An upload has at most 10 000 parts.
    pub part_bytes: usize,
}

/// The shortest part that S3 takes, the last one of an upload apart: 5 MiB.
pub const LEAST_PART: usize = 5 * 1024 * 1024;

impl S3Config {
    /// A store with the usual settings: path style where `endpoint` is given, the system's certificate authorities.
    pub fn new(
        endpoint: Option<Url>,
        region: impl Into<String>,
        access_key: impl Into<String>,
        secret_key: impl Into<String>,
    ) -> Self {
        Self {
            path_style: endpoint.is_some(),
            endpoint,
            region: region.into(),
            access_key: access_key.into(),
            secret_key: secret_key.into(),
            session_token: None,
            ca_file: None,
            patience: Patience::default(),
            part_bytes: LEAST_PART,
        }
    }

    /// The store's name in messages: its address without a path or a user.
    pub fn store(&self) -> String {
        match &self.endpoint {
            Some(url) => url.origin().ascii_serialization(),
            None => format!("https://s3.{}.amazonaws.com", self.region),
        }
    }
}

impl fmt::Debug for S3Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Config")
            .field("store", &self.store())
            .field("region", &self.region)
            .field("path_style", &self.path_style)
            .field("access_key", &self.access_key)
            .field("ca_file", &self.ca_file)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

/// How long to wait for a store and how often to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How long a connection may take to come up, TLS included.
    pub connect: Duration,
    /// A store that sends or takes no byte for this long has stalled; the request is given up and tried again.
    pub stall: Duration,
    /// How long a store may take to join the parts of an upload.
    pub join: Duration,
    /// How often a request is tried, the first time included.
    pub attempts: u32,
    /// The longest first pause between two tries; it doubles with each try and is cut by chance.
    pub pause: Duration,
    /// A store to which no connection comes up is given up after this long, however many tries are left.
    pub unreachable: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            // A host on the farm's network answers in milliseconds; one across an ocean within a second.
            connect: Duration::from_secs(3),
            // Longer than a disk's spin-up or a garbage collection, shorter than a person's patience.
            stall: Duration::from_secs(10),
            // AWS keeps the connection open "several minutes" for large uploads.
            join: Duration::from_secs(300),
            // With `pause` this rides over a store's restart of some three seconds.
            attempts: 6,
            pause: Duration::from_millis(200),
            unreachable: Duration::from_secs(5),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_neither_secret_key_nor_token_nor_a_password_in_the_address() {
        let url = "http://user:hunter2@127.0.0.1:9000/x".parse().expect("a literal");
        let mut config = S3Config::new(Some(url), "us-east-1", "AKEXAMPLE", "s3cr3t");
        config.session_token = Some("t0ken".to_owned());
        let shown = format!("{config:?} {}", config.store());
        for secret in ["s3cr3t", "t0ken", "hunter2"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(shown.contains("AKEXAMPLE") && shown.contains("http://127.0.0.1:9000"), "{shown}");
    }

    #[test]
    fn uses_path_style_only_where_an_endpoint_is_given() {
        let url = "https://minio.lan".parse().expect("a literal");
        assert!(S3Config::new(Some(url), "r", "a", "s").path_style);
        let aws = S3Config::new(None, "eu-west-1", "a", "s");
        assert!(!aws.path_style);
        assert_eq!(aws.store(), "https://s3.eu-west-1.amazonaws.com");
    }
}
