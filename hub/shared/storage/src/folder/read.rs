//! Reading files: facts, small files whole, blocks of a range, all of one version.

use std::{ops::Range, os::fd::OwnedFd, os::unix::fs::FileExt, sync::Arc};

use bytes::Bytes;
use reelmill_api::FileLocation;
use rustix::fs::{Mode, OFlags};

use super::{
    Deed, Folder, blocking,
    place::{Missing, Place},
};
use crate::{
    Access, ObjectInfo, StorageError, Version,
    buffer::{Buffer, Gauge},
};

impl Folder {
    /// Length, version and time of a file.
    pub(crate) async fn head(&self, at: &FileLocation) -> Result<ObjectInfo, StorageError> {
        self.at("read", at, Access::Read, |deed, place| deed.info(&open(deed, place)?)).await
    }

    /// A whole file of at most `limit` bytes.
    pub(crate) async fn get_small(&self, at: &FileLocation, limit: usize) -> Result<(Bytes, Version), StorageError> {
        let file = self.open(at, None).await?;
        if file.info.bytes > limit as u64 {
            return Err(StorageError::TooLarge { what: file.deed.what(), limit: limit as u64 });
        }
        let bytes = file.block(0..file.info.bytes).await?;
        Ok((bytes, file.info.version))
    }

    /// Opens a file, if it still has the version of `info`.
    pub(crate) async fn open(&self, at: &FileLocation, info: Option<&ObjectInfo>) -> Result<OpenFile, StorageError> {
        let (gauge, info) = (self.gauge.clone(), info.cloned());
        self.at("read", at, Access::Read, move |deed, place| {
            let file = open(deed, place)?;
            let found = deed.info(&file)?;
            match info {
                Some(info) if info.version != found.version => Err(StorageError::Changed { what: deed.what() }),
                _ => Ok(OpenFile { deed: deed.clone(), file: Arc::new(file.into()), info: found, gauge }),
            }
        })
        .await
    }

    /// Whether there is a folder that can be listed.
    pub(crate) async fn probe_list(&self, at: &FileLocation) -> Result<(), StorageError> {
        self.at("use", at, Access::Read, |deed, place| place.folder().map(drop).map_err(|e| deed.failed(e))).await
    }
}

/// An open file of one version.
#[derive(Debug)]
pub(crate) struct OpenFile {
    deed: Deed,
    file: Arc<std::fs::File>,
    info: ObjectInfo,
    gauge: Gauge,
}

impl OpenFile {
    /// A block of it.
    pub(crate) async fn block(&self, range: Range<u64>) -> Result<Bytes, StorageError> {
        let (file, version, gauge) = (self.file.clone(), self.info.version.clone(), self.gauge.clone());
        blocking(self.deed.clone(), move |deed| {
            let size = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
            let mut buffer = Buffer::of(size, &gauge);
            let read = file.read_exact_at(buffer.filled(), range.start);
            // A file that was cut ends early; then its length says so better than the read does.
            let now = rustix::fs::fstat(&*file).map_err(|e| deed.failed(e))?;
            if super::info(&now).version != version {
                return Err(StorageError::Changed { what: deed.what() });
            }
            read.map_err(|e| deed.failed(e))?;
            Ok(buffer.freeze())
        })
        .await
    }
}

fn open(deed: &Deed, place: &Place) -> Result<OwnedFd, StorageError> {
    // A pipe that was put there must not hold us up.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let (folder, name) = place.parent(Missing::Fail).map_err(|e| deed.failed(e))?;
    rustix::fs::openat(&folder, name, flags, Mode::empty()).map_err(|e| deed.failed(e))
}
