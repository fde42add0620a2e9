//! Why a store could not do what was asked, in variants that a caller can choose by and sentences that name the thing.

use std::{ops::Range, path::PathBuf, time::Duration};

use reelmill_api::{ErrorKind, Failure};

use crate::Access;

/// Why a store could not do what was asked. `what` is the deed and its object, e.g. `read s3://media-ingest/a.mp4`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The object is not there.
    #[error("cannot {what}: {}", missing(.bucket))]
    NotFound {
        /// The deed.
        what: String,
        /// Its bucket; `None` for a file.
        bucket: Option<String>,
        /// A command that lists where it should be.
        list: String,
    },
    /// The bucket is not there.
    #[error("cannot {what}: the store at {store} has no bucket {bucket}")]
    NoSuchBucket {
        /// The deed.
        what: String,
        /// The bucket.
        bucket: String,
        /// The store.
        store: String,
    },
    /// The store refuses the keys, or what they ask for.
    #[error("cannot {what}: {denied}")]
    AccessDenied {
        /// The deed.
        what: String,
        /// What about the keys is wrong.
        denied: Denied,
    },
    /// What is there is not what the put's condition asks for.
    #[error("cannot {what}: {found}")]
    ConditionFailed {
        /// The deed.
        what: String,
        /// What was found instead.
        found: &'static str,
    },
    /// The object was replaced while it was read.
    #[error("cannot {what}: it was replaced while it was read")]
    Changed {
        /// The deed.
        what: String,
    },
    /// No connection to the store comes up.
    #[error("cannot {what}: cannot reach the store at {store}: {why}")]
    Unreachable {
        /// The deed.
        what: String,
        /// The store.
        store: String,
        /// Why: no such host, connection refused, ...
        why: String,
    },
    /// The store sends or takes no bytes.
    #[error("cannot {what}: the store at {store} was silent for {} s", .silent.as_secs_f32())]
    Stalled {
        /// The deed.
        what: String,
        /// The store.
        store: String,
        /// For how long.
        silent: Duration,
    },
    /// The connection broke, or what came is not what was asked for.
    #[error("cannot {what}: the store at {store} broke off: {why}")]
    Broken {
        /// The deed.
        what: String,
        /// The store.
        store: String,
        /// How.
        why: String,
    },
    /// The store says that it failed.
    #[error("cannot {what}: the store at {store} failed: {answer}")]
    Failed {
        /// The deed.
        what: String,
        /// The store.
        store: String,
        /// Its answer: status and code.
        answer: String,
    },
    /// The store does not do what was asked, and trying again changes nothing.
    #[error("cannot {what}: the store at {store} refused: {answer}")]
    Refused {
        /// The deed.
        what: String,
        /// The store.
        store: String,
        /// Its answer: status, code and message.
        answer: String,
    },
    /// What answers there does not speak S3.
    #[error("cannot {what}: what answers at {store} is not an S3 store: {answer}")]
    NotAStore {
        /// The deed.
        what: String,
        /// The address.
        store: String,
        /// What it answered.
        answer: String,
    },
    /// The bucket lies in another region than requests are signed for.
    #[error("cannot {what}: the bucket is in region {theirs}, requests are signed for {ours}")]
    WrongRegion {
        /// The deed.
        what: String,
        /// The configured region.
        ours: String,
        /// The bucket's region.
        theirs: String,
    },
    /// The clocks are so far apart that the store takes no signature.
    #[error("cannot {what}: this machine's clock and that of the store at {store} differ by {}", difference(.apart))]
    ClockSkew {
        /// The deed.
        what: String,
        /// The store.
        store: String,
        /// By how much, where the store's answer tells.
        apart: Option<Duration>,
    },
    /// No trusted encrypted connection comes up.
    #[error("cannot {what}: no secure connection to the store at {store}: {why}")]
    Tls {
        /// The deed.
        what: String,
        /// The store.
        store: String,
        /// Why.
        why: String,
    },
    /// The place lies outside every folder that the configuration allows.
    #[error("cannot {what}: {} is under no folder that may be {}", .path.display(), used(.access))]
    ForbiddenRoot {
        /// The deed.
        what: String,
        /// The path with symbolic links resolved as far as they exist.
        path: PathBuf,
        /// What it was wanted for.
        access: Access,
    },
    /// The object is larger than the caller takes.
    #[error("cannot {what}: it is larger than {limit} bytes")]
    TooLarge {
        /// The deed.
        what: String,
        /// The limit.
        limit: u64,
    },
    /// A range that reaches past the object's end.
    #[error("cannot {what}: bytes {} to {} are not within its {bytes}", .range.start, .range.end)]
    OutOfRange {
        /// The deed.
        what: String,
        /// The range.
        range: Range<u64>,
        /// The object's length.
        bytes: u64,
    },
    /// A whole bucket or root, where only a folder in it may be meant.
    #[error("cannot {what}: that is all there is")]
    TooMuch {
        /// The deed.
        what: String,
    },
    /// A folder, pipe or device.
    #[error("cannot {what}: it is not a regular file")]
    NotAFile {
        /// The deed.
        what: String,
    },
    /// An `s3://` place, and no S3 store is configured.
    #[error("cannot {what}: no S3 store is configured")]
    NoStore {
        /// The deed.
        what: String,
    },
    /// A live source, which holds no objects.
    #[error("cannot {what}: a live source is no object in a store")]
    NotAnObject {
        /// The deed.
        what: String,
    },
    /// The configuration cannot be used.
    #[error("{message}")]
    Config {
        /// What is wrong with which setting.
        message: String,
    },
    /// The file system failed.
    #[error("cannot {what}: {cause}")]
    Io {
        /// The deed.
        what: String,
        /// The operating system's words.
        cause: String,
    },
}

/// What about the keys a store refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// It does not know the access key.
    #[error("the store at {store} does not know access key {access_key}")]
    UnknownKey {
        /// The store.
        store: String,
        /// The access key's id.
        access_key: String,
    },
    /// The signature is wrong: the secret key is not the one that belongs to the access key.
    #[error("the secret key is not the one that the store at {store} has for access key {access_key}")]
    WrongSecret {
        /// The store.
        store: String,
        /// The access key's id.
        access_key: String,
    },
    /// The session token has run out or is wrong.
    #[error("the session token for access key {access_key} is no longer taken by the store at {store}")]
    BadToken {
        /// The store.
        store: String,
        /// The access key's id.
        access_key: String,
    },
    /// The keys are good but do not allow this.
    #[error("the store at {store} forbids it to access key {access_key}")]
    Forbidden {
        /// The store.
        store: String,
        /// The access key's id.
        access_key: String,
    },
    /// The file system forbids it.
    #[error("permission denied")]
    Permissions,
}

impl StorageError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::NotFound { list, .. } => format!("list what is there with `{list}`"),
            Self::NoSuchBucket { bucket, store, .. } => {
                format!("check its spelling, or make it with `aws --endpoint-url {store} s3 mb s3://{bucket}`")
            }
            Self::AccessDenied { denied, .. } => denied.hint().to_owned(),
            Self::Unreachable { .. } => "is the store running, and is S3_ENDPOINT_URL right?".to_owned(),
            Self::NotAStore { .. } => "S3_ENDPOINT_URL must be the store's S3 port, not its web console".to_owned(),
            Self::WrongRegion { theirs, .. } => format!("set AWS_REGION={theirs}"),
            Self::ClockSkew { .. } => "set the clock: `timedatectl set-ntp true`".to_owned(),
            Self::Tls { .. } => {
                "if the store has a certificate authority of its own, give its PEM file as S3_CA_FILE".to_owned()
            }
            Self::ForbiddenRoot { access: Access::Read, .. } => {
                "add its folder to the roots that may be read".to_owned()
            }
            Self::ForbiddenRoot { access: Access::Write, .. } => {
                "add its folder to the roots that may be written".to_owned()
            }
            Self::NoStore { .. } => "set S3_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned(),
            Self::NotAnObject { .. } => "live sources go with live presets, as in --preset live-hls".to_owned(),
            Self::Changed { .. } => "submit it again when it is no longer written to".to_owned(),
            _ => return None,
        };
        Some(text)
    }

    /// What kind it is: whether trying again can help.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. }
            | Self::NoSuchBucket { .. }
            | Self::AccessDenied { .. }
            | Self::ForbiddenRoot { .. }
            | Self::TooLarge { .. }
            | Self::NotAFile { .. }
            | Self::NoStore { .. }
            | Self::NotAnObject { .. }
            | Self::Refused { .. }
            | Self::WrongRegion { .. }
            | Self::ConditionFailed { .. }
            | Self::Config { .. } => ErrorKind::BadRequest,
            Self::Unreachable { .. }
            | Self::Stalled { .. }
            | Self::Broken { .. }
            | Self::Failed { .. }
            | Self::NotAStore { .. }
            | Self::ClockSkew { .. }
            | Self::Tls { .. }
            | Self::Changed { .. }
            | Self::Io { .. } => ErrorKind::Infrastructure,
            Self::OutOfRange { .. } | Self::TooMuch { .. } => ErrorKind::Bug,
        }
    }

    /// Whether the same request may succeed in a moment.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Stalled { .. } | Self::Broken { .. } | Self::Failed { .. })
    }
}

impl Denied {
    fn hint(&self) -> &'static str {
        match self {
            Self::UnknownKey { .. } => "check AWS_ACCESS_KEY_ID, and that S3_ENDPOINT_URL is the store it belongs to",
            Self::WrongSecret { .. } => "check AWS_SECRET_ACCESS_KEY",
            Self::BadToken { .. } => "get fresh temporary keys and set AWS_SESSION_TOKEN",
            Self::Forbidden { .. } => "give the key a policy that allows it",
            Self::Permissions => "check the owner and mode of the file and its folders",
        }
    }
}

impl From<StorageError> for Failure {
    fn from(e: StorageError) -> Self {
        Self { kind: e.kind(), message: e.to_string(), hint: e.hint(), missing: None }
    }
}

fn missing(bucket: &Option<String>) -> String {
    match bucket {
        Some(bucket) => format!("no such object in bucket {bucket}"),
        None => "no such file".to_owned(),
    }
}

fn difference(apart: &Option<Duration>) -> String {
    match apart {
        Some(d) if d.as_secs() >= 7200 => format!("{} hours", d.as_secs() / 3600),
        Some(d) if d.as_secs() >= 120 => format!("{} minutes", d.as_secs() / 60),
        Some(d) => format!("{} seconds", d.as_secs()),
        None => "too much".to_owned(),
    }
}

fn used(access: &Access) -> &'static str {
    match access {
        Access::Read => "read",
        Access::Write => "written",
    }
}
