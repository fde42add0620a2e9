//! Writing files: under a temporary name in the same folder, synced, then renamed to their own, so that a reader sees
//! the old file or the new one, whole.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::Write,
    os::fd::OwnedFd,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use reelmill_api::FileLocation;
use rustix::{
    fs::{AtFlags, FlockOperation, Mode, OFlags, RenameFlags},
    io::Errno,
};
use uuid::Uuid;

use super::{Deed, Folder, TEMPORARY, blocking, place::Missing};
use crate::{Access, Condition, StorageError, Stored, Version};

/// How long a conditional put waits for another one on the same file.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// A file on its way.
#[derive(Debug)]
pub(crate) struct FolderUpload {
    deed: Deed,
    draft: Arc<Draft>,
    bytes: u64,
}

/// A file under its temporary name; unlinked when dropped before it got its own.
#[derive(Debug)]
struct Draft {
    folder: OwnedFd,
    temporary: OsString,
    name: OsString,
    file: File,
}

impl Folder {
    /// Puts a whole file at once.
    pub(crate) async fn put(
        &self,
        at: &FileLocation,
        body: Bytes,
        condition: &Condition,
    ) -> Result<Version, StorageError> {
        let mut upload = self.create(at).await?;
        upload.write(body).await?;
        upload.commit(condition.clone()).await.map(|stored| stored.version)
    }

    /// Begins a file that is written bit by bit.
    pub(crate) async fn create(&self, at: &FileLocation) -> Result<FolderUpload, StorageError> {
        self.at("write", at, Access::Write, |deed, place| {
            let begun = place.parent(Missing::Make).and_then(|(folder, name)| Draft::begin(folder, name));
            let draft = Arc::new(begun.map_err(|e| deed.failed(e))?);
            Ok(FolderUpload { deed: deed.clone(), draft, bytes: 0 })
        })
        .await
    }
}

impl FolderUpload {
    /// Adds a chunk.
    pub(crate) async fn write(&mut self, chunk: Bytes) -> Result<(), StorageError> {
        self.bytes += chunk.len() as u64;
        let draft = self.draft.clone();
        blocking(self.deed.clone(), move |deed| (&draft.file).write_all(&chunk).map_err(|e| deed.failed(e))).await
    }

    /// Makes the file appear.
    pub(crate) async fn finish(self) -> Result<Stored, StorageError> {
        self.commit(Condition::Always).await
    }

    async fn commit(self, condition: Condition) -> Result<Stored, StorageError> {
        let bytes = self.bytes;
        let done = blocking(self.deed, move |deed| {
            let failed = |e: Errno| deed.failed(e);
            rustix::fs::fsync(&self.draft.file).map_err(failed)?;
            let stat = rustix::fs::fstat(&self.draft.file).map_err(failed)?;
            match condition {
                Condition::Always => self.draft.rename(RenameFlags::empty()).map_err(failed)?,
                Condition::Absent => self.draft.rename_if_absent(deed)?,
                Condition::Matches(version) => self.draft.rename_if_matches(deed, &version)?,
            }
            rustix::fs::fsync(&self.draft.folder).map_err(failed)?;
            Ok(super::info(&stat).version)
        });
        Ok(Stored { bytes, version: done.await? })
    }
}

impl Draft {
    fn begin(folder: OwnedFd, name: &OsStr) -> std::io::Result<Self> {
        let temporary = OsString::from(format!("{TEMPORARY}{}", Uuid::new_v4()));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&folder, &temporary, flags, Mode::from_raw_mode(0o666))?;
        Ok(Self { folder, temporary, name: name.to_owned(), file: file.into() })
    }

    fn rename(&self, flags: RenameFlags) -> Result<(), Errno> {
        rustix::fs::renameat_with(&self.folder, &self.temporary, &self.folder, &self.name, flags)
    }

    fn rename_if_absent(&self, deed: &Deed) -> Result<(), StorageError> {
        let renamed = match self.rename(RenameFlags::NOREPLACE) {
            // NFS and some others cannot; a hard link refuses to replace as well.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => self.link(),
            other => other,
        };
        renamed.map_err(|e| match e {
            Errno::EXIST => StorageError::ConditionFailed { what: deed.what(), found: "it exists already" },
            e => deed.failed(e),
        })
    }

    /// The own name as a second one; the temporary name goes when the draft is dropped.
    fn link(&self) -> Result<(), Errno> {
        rustix::fs::linkat(&self.folder, &self.temporary, &self.folder, &self.name, AtFlags::empty())
    }

    fn rename_if_matches(&self, deed: &Deed, version: &Version) -> Result<(), StorageError> {
        let changed = || StorageError::ConditionFailed { what: deed.what(), found: "it was changed in the meantime" };
        let current = match self.open_current() {
            Ok(file) => file,
            Err(Errno::NOENT) => return Err(changed()),
            Err(e) => return Err(deed.failed(e)),
        };
        // Whoever replaces this file by a conditional put holds this lock, so what it has after that stays.
        lock(&current).map_err(|e| deed.failed(e))?;
        let named = rustix::fs::statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW);
        match named {
            Ok(stat) if super::info(&stat).version == *version => {
                self.rename(RenameFlags::empty()).map_err(|e| deed.failed(e))
            }
            Ok(_) | Err(Errno::NOENT) => Err(changed()),
            Err(e) => Err(deed.failed(e)),
        }
    }

    /// Opened for writing where that is allowed, because NFS locks nothing else.
    fn open_current(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.folder, &self.name, OFlags::RDWR | flags, Mode::empty()) {
            Err(Errno::ACCESS | Errno::ROFS) => {
                rustix::fs::openat(&self.folder, &self.name, OFlags::RDONLY | flags, Mode::empty())
            }
            other => other,
        }
    }
}

fn lock(file: &OwnedFd) -> Result<(), Errno> {
    let begun = Instant::now();
    loop {
        match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) if begun.elapsed() < LOCK_PATIENCE => {
                std::thread::sleep(Duration::from_millis(5));
            }
            other => return other,
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After a rename there is nothing of this name any more.
        let _ = rustix::fs::unlinkat(&self.folder, &self.temporary, AtFlags::empty());
    }
}
