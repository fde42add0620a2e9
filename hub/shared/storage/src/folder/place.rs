//! From a `file://` place to an open folder under an allowed root, step by step without following any link: links are
//! resolved and judged first, and one that is put in between afterwards is refused.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags};

use super::Deed;
use crate::{Access, FileRoots, StorageError};

/// A place under an allowed root.
#[derive(Debug)]
pub(super) struct Place {
    base: PathBuf,
    steps: Vec<OsString>,
}

/// Whether folders on the way are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    Make,
    Fail,
}

/// The place of a deed, if a root allows it.
pub(super) fn resolve(roots: &FileRoots, access: Access, deed: &Deed) -> Result<Place, StorageError> {
    let path = real(deed.at.path());
    for root in roots.allowing(access) {
        let root = real(root);
        if let Ok(inside) = path.strip_prefix(&root) {
            return Ok(match (inside.as_os_str().is_empty(), root.parent(), root.file_name()) {
                (true, Some(parent), Some(name)) => Place { base: parent.to_owned(), steps: vec![name.to_owned()] },
                _ => Place { steps: inside.iter().map(OsStr::to_owned).collect(), base: root },
            });
        }
    }
    Err(StorageError::ForbiddenRoot { what: deed.what(), path, access })
}

/// The path with the links of the part that exists resolved.
fn real(path: &Path) -> PathBuf {
    let mut existing = path;
    loop {
        if let Ok(real) = existing.canonicalize() {
            let rest = path.strip_prefix(existing).unwrap_or(Path::new(""));
            return if rest.as_os_str().is_empty() { real } else { real.join(rest) };
        }
        match existing.parent() {
            Some(parent) => existing = parent,
            None => return path.to_owned(),
        }
    }
}

impl Place {
    /// The place as an open folder.
    pub(super) fn folder(&self) -> io::Result<OwnedFd> {
        self.walk(&self.steps, Missing::Fail)
    }

    /// The open folder that the place is in, and its name there.
    pub(super) fn parent(&self, missing: Missing) -> io::Result<(OwnedFd, &OsStr)> {
        match self.steps.split_last() {
            Some((name, steps)) => Ok((self.walk(steps, missing)?, name)),
            None => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    /// Whether this is a root itself, which is never deleted as a whole.
    pub(super) fn is_root(&self, roots: &FileRoots) -> bool {
        let path = self.base.join(self.steps.iter().collect::<PathBuf>());
        roots.allowing(Access::Write).any(|root| real(root) == path)
    }

    fn walk(&self, steps: &[OsString], missing: Missing) -> io::Result<OwnedFd> {
        if missing == Missing::Make {
            std::fs::create_dir_all(&self.base)?;
        }
        let mut folder = rustix::fs::open(&self.base, FOLDER & !OFlags::NOFOLLOW, Mode::empty())?;
        for step in steps {
            if missing == Missing::Make {
                make(&folder, step)?;
            }
            folder = rustix::fs::openat(&folder, step, FOLDER, Mode::empty())?;
        }
        Ok(folder)
    }
}

/// How folders are opened.
pub(super) const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn make(folder: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(0o777)) {
        Ok(()) => Ok(rustix::fs::fsync(folder)?),
        Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(e) => Err(e.into()),
    }
}
