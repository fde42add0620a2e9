//! Which folders `file://` places may lie in.

use std::path::{Path, PathBuf};

use crate::Access;

/// Folders under which files may be read or written. Empty: no `file://` place is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileRoots {
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
}

impl FileRoots {
    /// No folder at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// The same folders, and one whose files may be read.
    #[must_use]
    pub fn reading(mut self, folder: impl Into<PathBuf>) -> Self {
        self.read.push(folder.into());
        self
    }

    /// The same folders, and one whose files may be written and read.
    #[must_use]
    pub fn writing(mut self, folder: impl Into<PathBuf>) -> Self {
        self.write.push(folder.into());
        self
    }

    /// The folders that allow this access.
    pub(crate) fn allowing(&self, access: Access) -> impl Iterator<Item = &Path> {
        let read: &[PathBuf] = if access == Access::Read { &self.read } else { &[] };
        self.write.iter().chain(read).map(PathBuf::as_path)
    }
}
