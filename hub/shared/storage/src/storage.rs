//! Every store a program may use, chosen by location.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use reelmill_api::{Location, S3Location};

use crate::{
    Condition, FileRoots, Listed, ObjectInfo, Reader, S3Config, StorageError, Upload, Version, buffer::Gauge,
    folder::Folder, reader::Source, s3::S3,
};

/// Every store a program may use. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Storage(Arc<Stores>);

#[derive(Debug)]
struct Stores {
    s3: Option<S3>,
    folder: Folder,
    gauge: Gauge,
}

impl Storage {
    /// The stores; connects to none of them yet.
    ///
    /// # Errors
    /// If a setting cannot be used.
    pub fn new(s3: Option<S3Config>, roots: FileRoots) -> Result<Self, StorageError> {
        let gauge = Gauge::default();
        let s3 = s3.map(|config| S3::new(&config, gauge.clone())).transpose()?;
        Ok(Self(Arc::new(Stores { s3, folder: Folder::new(roots, gauge.clone()), gauge })))
    }

    /// Length, version and time of an object.
    ///
    /// # Errors
    /// If it is not there or cannot be reached.
    pub async fn head(&self, at: &Location) -> Result<ObjectInfo, StorageError> {
        match at {
            Location::S3(at) => self.s3("read", at)?.head(at).await,
            Location::File(at) => self.0.folder.head(at).await,
            Location::Stream(_) => Err(no_object("read", at)),
        }
    }

    /// A whole small object; one above `limit` bytes is refused.
    ///
    /// # Errors
    /// If it is too large, not there or cannot be reached.
    pub async fn get_small(&self, at: &Location, limit: usize) -> Result<(Bytes, Version), StorageError> {
        match at {
            Location::S3(at) => self.s3("read", at)?.get_small(at, limit).await,
            Location::File(at) => self.0.folder.get_small(at, limit).await,
            Location::Stream(_) => Err(no_object("read", at)),
        }
    }

    /// The bytes of `range`, read ahead and tried again block by block, all of the version in `info`. Must be called
    /// within a tokio runtime.
    pub fn read(&self, at: &Location, info: &ObjectInfo, range: Range<u64>) -> Reader {
        if range.start > range.end || range.end > info.bytes {
            let what = format!("read {at}");
            return Reader::failed(StorageError::OutOfRange { what, range, bytes: info.bytes });
        }
        let source = match at {
            Location::S3(at) => match self.s3("read", at) {
                Ok(s3) => Source::S3(s3.clone(), at.clone()),
                Err(error) => return Reader::failed(error),
            },
            Location::File(at) => Source::Folder(self.0.folder.clone(), at.clone(), None),
            Location::Stream(_) => return Reader::failed(no_object("read", at)),
        };
        Reader::begin(source, info.clone(), range)
    }

    /// Puts a whole object at once; [`StorageError::ConditionFailed`] if the condition does not hold. A store that
    /// ignores conditions, as Garage does, is found out by [`Storage::check`] only.
    ///
    /// # Errors
    /// If the condition does not hold or the store cannot be written to.
    pub async fn put(
        &self,
        at: &Location,
        body: Bytes,
        content_type: &str,
        condition: Condition,
    ) -> Result<Version, StorageError> {
        match at {
            Location::S3(at) => self.s3("write", at)?.put(at, body, content_type, &condition).await,
            Location::File(at) => self.0.folder.put(at, body, &condition).await,
            Location::Stream(_) => Err(no_object("write", at)),
        }
    }

    /// Begins an object that is written bit by bit.
    ///
    /// # Errors
    /// If no object can be written there.
    pub async fn create(&self, at: &Location, content_type: &str) -> Result<Upload, StorageError> {
        match at {
            Location::S3(at) => Ok(Upload::to_s3(self.s3("write", at)?.create(at, content_type))),
            Location::File(at) => self.0.folder.create(at).await.map(Upload::to_folder),
            Location::Stream(_) => Err(no_object("write", at)),
        }
    }

    /// Begins an object that will have about so many bytes: an upload has at most 10 000 parts, so those of a large
    /// object are larger.
    ///
    /// # Errors
    /// If no object can be written there.
    pub async fn create_large(&self, at: &Location, content_type: &str, bytes: u64) -> Result<Upload, StorageError> {
        match at {
            Location::S3(at) => Ok(Upload::to_s3(self.s3("write", at)?.create_large(at, content_type, bytes))),
            Location::File(at) => self.0.folder.create(at).await.map(Upload::to_folder),
            Location::Stream(_) => Err(no_object("write", at)),
        }
    }

    /// All objects in a folder and below it, by name. `prefix` is a folder, with or without a `/` at its end; one that
    /// does not exist is empty.
    ///
    /// # Errors
    /// If it cannot be listed.
    pub async fn list(&self, prefix: &Location) -> Result<Vec<Listed>, StorageError> {
        match prefix {
            Location::S3(at) => self.s3("list", at)?.list(at).await,
            Location::File(at) => self.0.folder.list(at).await,
            Location::Stream(_) => Err(no_object("list", prefix)),
        }
    }

    /// The names of the folders directly in a folder.
    ///
    /// # Errors
    /// If it cannot be listed.
    pub async fn list_folders(&self, prefix: &Location) -> Result<Vec<String>, StorageError> {
        match prefix {
            Location::S3(at) => self.s3("list", at)?.list_folders(at).await,
            Location::File(at) => self.0.folder.list_folders(at).await,
            Location::Stream(_) => Err(no_object("list", prefix)),
        }
    }

    /// Deletes all objects in a folder and below it and aborts unfinished uploads there; says how many objects. A
    /// whole bucket or root is refused.
    ///
    /// # Errors
    /// If something of it cannot be deleted.
    pub async fn delete_prefix(&self, prefix: &Location) -> Result<u64, StorageError> {
        match prefix {
            Location::S3(at) if at.key().is_empty() => Err(StorageError::TooMuch { what: format!("delete {at}") }),
            Location::S3(at) => self.s3("delete", at)?.delete_prefix(at).await,
            Location::File(at) => self.0.folder.delete_prefix(at).await,
            Location::Stream(_) => Err(no_object("delete", prefix)),
        }
    }

    /// Deletes an object; one that is not there is no error.
    ///
    /// # Errors
    /// If it cannot be deleted.
    pub async fn delete(&self, at: &Location) -> Result<(), StorageError> {
        match at {
            Location::S3(at) => self.s3("delete", at)?.delete(at).await,
            Location::File(at) => self.0.folder.delete(at).await,
            Location::Stream(_) => Err(no_object("delete", at)),
        }
    }

    /// How many bytes of media all readers and uploads together hold in memory now.
    pub fn buffered_bytes(&self) -> usize {
        self.0.gauge.now()
    }

    /// The most that they ever held at once.
    pub fn peak_buffered_bytes(&self) -> usize {
        self.0.gauge.peak()
    }

    /// The store's name in messages, and whether it can be looked into.
    pub(crate) async fn probe_list(&self, at: &Location) -> Result<String, StorageError> {
        match at {
            Location::S3(at) => {
                let s3 = self.s3("use", at)?;
                s3.probe_list(at).await.map(|()| s3.store().to_owned())
            }
            Location::File(at) => self.0.folder.probe_list(at).await.map(|()| "the file system".to_owned()),
            Location::Stream(_) => Err(no_object("use", at)),
        }
    }

    fn s3(&self, verb: &str, at: &S3Location) -> Result<&S3, StorageError> {
        self.0.s3.as_ref().ok_or_else(|| StorageError::NoStore { what: format!("{verb} {at}") })
    }
}

fn no_object(verb: &str, at: &Location) -> StorageError {
    StorageError::NotAnObject { what: format!("{verb} {at}") }
}
