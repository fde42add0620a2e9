//! The driver for folders: files appear whole by rename, and nothing outside the allowed roots is reached, whatever
//! symbolic links say.

mod place;
mod read;
mod tree;
mod write;

use std::{io, os::fd::OwnedFd, sync::Arc};

use reelmill_api::FileLocation;
use rustix::fs::Stat;

use crate::{Access, Denied, FileRoots, ObjectInfo, StorageError, Version, buffer::Gauge};
pub(crate) use read::OpenFile;
pub(crate) use write::FolderUpload;

/// What temporary files begin with; no output is ever named so.
pub(crate) const TEMPORARY: &str = ".reelmill-tmp-";

/// The folders that may be used. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    roots: Arc<FileRoots>,
    gauge: Gauge,
}

/// What is being done to which file: all that an error message names.
#[derive(Clone, Debug)]
struct Deed {
    verb: &'static str,
    at: FileLocation,
}

impl Folder {
    /// The driver for these roots.
    pub(crate) fn new(roots: FileRoots, gauge: Gauge) -> Self {
        Self { roots: Arc::new(roots), gauge }
    }

    /// Runs a deed where it may block, with its place resolved and allowed.
    async fn at<T: Send + 'static>(
        &self,
        verb: &'static str,
        at: &FileLocation,
        access: Access,
        act: impl FnOnce(&Deed, &place::Place) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let (deed, roots) = (Deed { verb, at: at.clone() }, self.roots.clone());
        blocking(deed, move |deed| {
            let place = place::resolve(&roots, access, deed)?;
            act(deed, &place)
        })
        .await
    }
}

/// Runs a deed on a thread that may block.
async fn blocking<T: Send + 'static>(
    deed: Deed,
    act: impl FnOnce(&Deed) -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    let what = deed.what();
    match tokio::task::spawn_blocking(move || act(&deed)).await {
        Ok(done) => done,
        Err(e) => Err(StorageError::Io { what, cause: format!("its thread ended: {e}") }),
    }
}

impl Deed {
    fn what(&self) -> String {
        format!("{} {}", self.verb, self.at)
    }

    fn not_found(&self) -> StorageError {
        let folder = self.at.path().parent().unwrap_or(self.at.path());
        StorageError::NotFound { what: self.what(), bucket: None, list: format!("ls -l {}", folder.display()) }
    }

    fn failed(&self, e: impl Into<io::Error>) -> StorageError {
        let (e, what) = (e.into(), self.what());
        match e.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => self.not_found(),
            io::ErrorKind::PermissionDenied => StorageError::AccessDenied { what, denied: Denied::Permissions },
            io::ErrorKind::StorageFull => StorageError::Io { what, cause: "no space is left".to_owned() },
            _ => StorageError::Io { what, cause: plain(&e) },
        }
    }

    /// The facts of an open file; anything but a regular file is refused.
    fn info(&self, file: &OwnedFd) -> Result<ObjectInfo, StorageError> {
        let stat = rustix::fs::fstat(file).map_err(|e| self.failed(e))?;
        if !rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file() {
            return Err(StorageError::NotAFile { what: self.what() });
        }
        Ok(info(&stat))
    }
}

/// The operating system's words without its number.
fn plain(e: &io::Error) -> String {
    let text = e.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

fn info(stat: &Stat) -> ObjectInfo {
    let seconds = u64::try_from(stat.st_mtime).unwrap_or(0);
    let nanos = u32::try_from(stat.st_mtime_nsec).unwrap_or(0);
    let bytes = u64::try_from(stat.st_size).unwrap_or(0);
    let version = Version::new(format!("{:x}-{seconds:x}.{nanos:08x}-{bytes:x}", stat.st_ino));
    let modified = std::time::UNIX_EPOCH.checked_add(std::time::Duration::new(seconds, nanos));
    ObjectInfo { bytes, version, modified }
}
