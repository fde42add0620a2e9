//! Where a source lies and where output goes: `s3://bucket/key` or `file:///path`; or where a live source is.

use std::{
    fmt,
    path::{Component, Path, PathBuf},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use crate::stream::{Protocol, StreamLocation};

use crate::error::printable;

/// An object or a prefix in an S3 store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct S3Location {
    bucket: String,
    key: String,
}

/// A file or folder by its absolute path without `..`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileLocation {
    path: PathBuf,
}

/// A place that can be read from or written to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Location {
    /// In an S3 store.
    S3(S3Location),
    /// On a file system that the node mounts.
    File(FileLocation),
    /// A live source: read while it lasts, never written to.
    Stream(StreamLocation),
}

/// Why a text is no location.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadLocation {
    /// Neither `s3://` nor `file://`.
    #[error("`{}` is not a location: it must start with s3:// or file://", printable(.0))]
    Scheme(String),
    /// A bucket name that no store accepts.
    #[error("`{}` names no valid bucket: 3 to 63 lower-case letters, digits, dots and hyphens", printable(.0))]
    Bucket(String),
    /// A key with a part that could leave its prefix, an empty part or a control character.
    #[error("`{}` has a key with an empty part, `.`, `..` or a control character", printable(.0))]
    Key(String),
    /// A path that is not absolute or holds `..`.
    #[error("`{}` must name an absolute path without `..`", printable(.0))]
    Path(String),
    /// A live address that cannot be used; it is not repeated, for it may hold a secret.
    #[error("the {scheme}:// address cannot be used: {why}")]
    Stream {
        /// Its first word.
        scheme: &'static str,
        /// What is wrong.
        why: String,
    },
}

impl S3Location {
    /// A location from its two parts; the key may be empty (the whole bucket) and may end with `/` (a prefix).
    ///
    /// # Errors
    /// If the bucket name or the key is not allowed.
    pub fn new(bucket: &str, key: &str) -> Result<Self, BadLocation> {
        let shown = || format!("s3://{bucket}/{key}");
        let bucket_ok = (3..=63).contains(&bucket.len())
            && bucket.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.')
            && !bucket.starts_with(['-', '.'])
            && !bucket.ends_with(['-', '.']);
        if !bucket_ok {
            return Err(BadLocation::Bucket(shown()));
        }
        let parts = key.strip_suffix('/').unwrap_or(key);
        let key_ok = key.len() <= 1024
            && (parts.is_empty() && key.is_empty()
                || !parts.is_empty() && parts.split('/').all(|p| !p.is_empty() && p != "." && p != ".."))
            && !key.chars().any(char::is_control);
        if !key_ok {
            return Err(BadLocation::Key(shown()));
        }
        Ok(Self { bucket: bucket.to_owned(), key: key.to_owned() })
    }

    /// The bucket's name.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The object's key, or a prefix.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl FileLocation {
    /// A location from an absolute path.
    ///
    /// # Errors
    /// If the path is relative, holds `..` or is not UTF-8.
    pub fn new(path: impl AsRef<Path>) -> Result<Self, BadLocation> {
        let path = path.as_ref();
        let plain = path.components().all(|c| matches!(c, Component::RootDir | Component::Normal(_)));
        if !path.is_absolute() || !plain || path.to_str().is_none_or(|s| s.chars().any(char::is_control)) {
            return Err(BadLocation::Path(path.display().to_string()));
        }
        Ok(Self { path: path.components().collect() })
    }

    /// The absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Location {
    /// The place `relative` under this one.
    ///
    /// # Errors
    /// If the joined key or path is not allowed.
    pub fn join(&self, relative: &str) -> Result<Self, BadLocation> {
        match self {
            Self::S3(at) => {
                let prefix = at.key.trim_end_matches('/');
                let key = if prefix.is_empty() { relative.to_owned() } else { format!("{prefix}/{relative}") };
                S3Location::new(&at.bucket, &key).map(Self::S3)
            }
            // `Path::join` lets an absolute path take the place of the base.
            Self::File(_) if relative.starts_with('/') => Err(BadLocation::Path(relative.to_owned())),
            Self::File(at) => FileLocation::new(at.path.join(relative)).map(Self::File),
            Self::Stream(_) => Err(BadLocation::Path(relative.to_owned())),
        }
    }

    /// Whether it is a live source.
    pub fn is_live(&self) -> bool {
        matches!(self, Self::Stream(_))
    }

    /// The last part of the key or path, for messages and file names.
    pub fn file_name(&self) -> &str {
        match self {
            Self::S3(at) => at.key.trim_end_matches('/').rsplit('/').next().unwrap_or(""),
            Self::File(at) => at.path.file_name().and_then(|n| n.to_str()).unwrap_or(""),
            Self::Stream(at) => at.host(),
        }
    }
}

impl fmt::Display for S3Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

impl fmt::Display for FileLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "file://{}", self.path.display())
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3(at) => at.fmt(f),
            Self::File(at) => at.fmt(f),
            Self::Stream(at) => at.fmt(f),
        }
    }
}

impl FromStr for Location {
    type Err = BadLocation;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        if let Some(rest) = s.strip_prefix("s3://") {
            let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
            S3Location::new(bucket, key).map(Self::S3)
        } else if let Some(path) = s.strip_prefix("file://") {
            FileLocation::new(path).map(Self::File)
        } else if s.split_once("://").is_some_and(|(scheme, _)| Protocol::of_scheme(scheme).is_some()) {
            s.parse().map(Self::Stream)
        } else {
            Err(BadLocation::Scheme(s.to_owned()))
        }
    }
}

impl TryFrom<String> for Location {
    type Error = BadLocation;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<Location> for String {
    fn from(l: Location) -> Self {
        l.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: Result<&str, &str>) {
        let got = text.parse::<Location>().map(|l| l.to_string()).map_err(|e| e.to_string());
        match want {
            Ok(shown) => assert_eq!(got.as_deref(), Ok(shown)),
            Err(part) => assert!(got.as_ref().is_err_and(|e| e.contains(part)), "{text}: {got:?}"),
        }
    }

    #[test]
    fn parses_what_a_store_accepts_and_refuses_the_rest() {
        check("s3://media-ingest/a.mp4", Ok("s3://media-ingest/a.mp4"));
        check("s3://media/films/2024/a b.mp4", Ok("s3://media/films/2024/a b.mp4"));
        check("s3://media/out/", Ok("s3://media/out/"));
        check("s3://media", Ok("s3://media/"));
        check("file:///mnt/nfs/a.mp4", Ok("file:///mnt/nfs/a.mp4"));
        check("s3://media/../other/a", Err("`..`"));
        check("s3://media//a", Err("empty part"));
        check("s3://media//", Err("empty part"));
        check("s3://Media/a", Err("no valid bucket"));
        check("file://a.mp4", Err("absolute"));
        check("file:///mnt/../etc/passwd", Err("absolute"));
        check("http://host/a.mp4", Err("s3:// or file://"));
        check("s3://media/a\nb", Err("control"));
    }

    #[test]
    fn joins_under_a_prefix_and_never_above_it() {
        let at: Location = "s3://media/out/".parse().expect("a literal");
        assert_eq!(at.join("a/b.m4s").map(|l| l.to_string()).as_deref(), Ok("s3://media/out/a/b.m4s"));
        assert!(at.join("../b").is_err());
        let root: Location = "s3://media".parse().expect("a literal");
        assert_eq!(root.join("b").map(|l| l.to_string()).as_deref(), Ok("s3://media/b"));
        let folder: Location = "file:///srv/out".parse().expect("a literal");
        assert_eq!(folder.join("a/b").map(|l| l.to_string()).as_deref(), Ok("file:///srv/out/a/b"));
        assert!(folder.join("../x").is_err());
        assert!(folder.join("/etc/passwd").is_err());
        assert!(at.join("/etc/passwd").is_err());
    }
}
