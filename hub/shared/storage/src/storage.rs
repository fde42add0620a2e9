//! Every store a program may use, chosen by location.

use std::ops::Range;

use bytes::Bytes;
use reelmill_api::Location;

use crate::{
    Access, CheckReport, Condition, FileRoots, Listed, ObjectInfo, Reader, S3Config, StorageError, Upload, Version,
};

/// Every store a program may use. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Storage {}

#[allow(unused_variables, clippy::unimplemented)]
impl Storage {
    /// The stores; connects to none of them yet.
    ///
    /// # Errors
    /// If a setting cannot be used.
    pub fn new(s3: Option<S3Config>, roots: FileRoots) -> Result<Self, StorageError> {
        Ok(Self {})
    }

    /// Length, version and time of an object.
    pub async fn head(&self, at: &Location) -> Result<ObjectInfo, StorageError> {
        unimplemented!()
    }

    /// A whole small object; one above `limit` bytes is refused.
    pub async fn get_small(&self, at: &Location, limit: usize) -> Result<(Bytes, Version), StorageError> {
        unimplemented!()
    }

    /// The bytes of `range`, read ahead and tried again block by block, all of the version in `info`.
    pub fn read(&self, at: &Location, info: &ObjectInfo, range: Range<u64>) -> Reader {
        unimplemented!()
    }

    /// Puts a whole object at once.
    pub async fn put(
        &self,
        at: &Location,
        body: Bytes,
        content_type: &str,
        condition: Condition,
    ) -> Result<Version, StorageError> {
        unimplemented!()
    }

    /// Begins an object that is written bit by bit.
    pub async fn create(&self, at: &Location, content_type: &str) -> Result<Upload, StorageError> {
        unimplemented!()
    }

    /// All objects in a folder and below it. `prefix` is a folder, with or without a `/` at its end.
    pub async fn list(&self, prefix: &Location) -> Result<Vec<Listed>, StorageError> {
        unimplemented!()
    }

    /// The names of the folders directly in a folder.
    pub async fn list_folders(&self, prefix: &Location) -> Result<Vec<String>, StorageError> {
        unimplemented!()
    }

    /// Deletes all objects in a folder and below it and aborts unfinished uploads there; says how many objects.
    pub async fn delete_prefix(&self, prefix: &Location) -> Result<u64, StorageError> {
        unimplemented!()
    }

    /// Deletes an object; one that is not there is no error.
    pub async fn delete(&self, at: &Location) -> Result<(), StorageError> {
        unimplemented!()
    }

    /// Tries what a caller will want to do at a place, and says exactly what is wrong.
    pub async fn check(&self, at: &Location, access: Access) -> Result<CheckReport, StorageError> {
        unimplemented!()
    }
}
