//! Listing and deleting below a folder. Links are neither followed nor listed, temporary files are not listed.

use std::{
    ffi::CStr,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

use reelmill_api::{FileLocation, Location};
use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, Stat},
    io::Errno,
};

use super::{
    Deed, Folder, TEMPORARY,
    place::{FOLDER, Missing},
};
use crate::{Access, Listed, StorageError};

impl Folder {
    /// All files in a folder and below it, by name.
    pub(crate) async fn list(&self, prefix: &FileLocation) -> Result<Vec<Listed>, StorageError> {
        self.at("list", prefix, Access::Read, |deed, place| {
            let mut found = Vec::new();
            if let Some(folder) = there(deed, place.folder())? {
                collect(folder.as_fd(), &deed.at, &mut found).map_err(|e| deed.failed(e))?;
            }
            found.sort_by_cached_key(|listed| listed.location.to_string());
            Ok(found)
        })
        .await
    }

    /// The names of the folders directly in a folder.
    pub(crate) async fn list_folders(&self, prefix: &FileLocation) -> Result<Vec<String>, StorageError> {
        self.at("list", prefix, Access::Read, |deed, place| {
            let Some(folder) = there(deed, place.folder())? else { return Ok(Vec::new()) };
            let found = entries(folder.as_fd()).map_err(|e| deed.failed(e))?;
            let folders = found.iter().filter(|(_, stat)| kind(stat).is_dir());
            let mut names: Vec<_> = folders.filter_map(|(name, _)| Some(name.to_str().ok()?.to_owned())).collect();
            names.sort();
            Ok(names)
        })
        .await
    }

    /// Deletes a file; one that is not there is no error.
    pub(crate) async fn delete(&self, at: &FileLocation) -> Result<(), StorageError> {
        self.at("delete", at, Access::Write, |deed, place| {
            let Some((folder, name)) = there(deed, place.parent(Missing::Fail))? else { return Ok(()) };
            match rustix::fs::unlinkat(&folder, name, AtFlags::empty()) {
                Ok(()) => rustix::fs::fsync(&folder).map_err(|e| deed.failed(e)),
                Err(Errno::NOENT) => Ok(()),
                Err(e) => Err(deed.failed(e)),
            }
        })
        .await
    }

    /// Deletes a folder with all that is in it; says how many files.
    pub(crate) async fn delete_prefix(&self, prefix: &FileLocation) -> Result<u64, StorageError> {
        let roots = Arc::clone(&self.roots);
        self.at("delete", prefix, Access::Write, move |deed, place| {
            if place.is_root(&roots) {
                return Err(StorageError::TooMuch { what: deed.what() });
            }
            let Some((parent, name)) = there(deed, place.parent(Missing::Fail))? else { return Ok(0) };
            let Some(folder) = there(deed, place.folder())? else { return Ok(0) };
            let count = remove_all(folder.as_fd()).map_err(|e| deed.failed(e))?;
            rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR).map_err(|e| deed.failed(e))?;
            Ok(count)
        })
        .await
    }
}

/// What was found, or `None` where nothing is: as in S3, an empty folder and none are the same.
fn there<T>(deed: &Deed, found: io::Result<T>) -> Result<Option<T>, StorageError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(deed.failed(e)),
    }
}

fn collect(folder: BorrowedFd<'_>, at: &FileLocation, found: &mut Vec<Listed>) -> io::Result<()> {
    for (name, stat) in entries(folder)? {
        let Some(location) = name.to_str().ok().and_then(|name| FileLocation::new(at.path().join(name)).ok()) else {
            continue;
        };
        if kind(&stat).is_dir() {
            collect(open(folder, &name)?.as_fd(), &location, found)?;
        } else if kind(&stat).is_file() && !name.to_bytes().starts_with(TEMPORARY.as_bytes()) {
            let bytes = u64::try_from(stat.st_size).unwrap_or(0);
            found.push(Listed { location: Location::File(location), bytes });
        }
    }
    Ok(())
}

fn remove_all(folder: BorrowedFd<'_>) -> io::Result<u64> {
    let mut count = 0;
    for (name, stat) in entries(folder)? {
        if kind(&stat).is_dir() {
            count += remove_all(open(folder, &name)?.as_fd())?;
            rustix::fs::unlinkat(folder, &*name, AtFlags::REMOVEDIR)?;
        } else {
            rustix::fs::unlinkat(folder, &*name, AtFlags::empty())?;
            count += u64::from(!name.to_bytes().starts_with(TEMPORARY.as_bytes()));
        }
    }
    Ok(count)
}

/// The names in a folder and what they stand for; a name that goes meanwhile is left out.
fn entries(folder: BorrowedFd<'_>) -> io::Result<Vec<(Box<CStr>, Stat)>> {
    let mut found = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => found.push((name.into(), stat)),
            Err(Errno::NOENT) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(found)
}

fn open(folder: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(folder, name, FOLDER, Mode::empty())?)
}

fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}
