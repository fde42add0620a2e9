//! What a store tells about objects, and under which condition one is replaced.

use std::{fmt, time::SystemTime};

use reelmill_api::Location;

/// One state of an object; another content has another version. An ETag in S3; inode, time and length in a folder.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version(String);

impl Version {
    /// A version from the text that a store gave, e.g. one that was kept in a database.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, as the store gave it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An object without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// How long it is.
    pub bytes: u64,
    /// Which state of it this is.
    pub version: Version,
    /// When it was written last, where the store says so.
    pub modified: Option<SystemTime>,
}

/// When a put may replace what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Whatever is there.
    Always,
    /// Only where nothing is.
    Absent,
    /// Only this version.
    Matches(Version),
}

/// An object found by listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Where it lies.
    pub location: Location,
    /// How long it is.
    pub bytes: u64,
}

/// An object that was written whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// How long it is.
    pub bytes: u64,
    /// Which state of it was written.
    pub version: Version,
}

/// What a caller wants to do with a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only read.
    Read,
    /// Write, and read back.
    Write,
}

/// What a connectivity test found to be well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckReport {
    /// The store, as it is named in messages: its address, or `the file system`.
    pub store: String,
    /// A probe object was written, read back and deleted. `false` for [`Access::Read`].
    pub writable: bool,
    /// The store refused to replace the probe under [`Condition::Absent`], so put-if-absent can be relied on.
    /// `false` for [`Access::Read`], where it is not tried. Garage ignores the condition.
    pub conditional_put: bool,
}
