//! An object that is written bit by bit and appears whole, or not at all.

use bytes::Bytes;

use crate::{StorageError, Stored};

/// An object being written. Nothing is to be seen of it before [`Upload::finish`]; dropping it aborts it.
#[derive(Debug)]
pub struct Upload {}

impl Upload {
    /// Adds a chunk; waits while the store is slower than the writer.
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), StorageError> {
        let _ = chunk;
        unimplemented!()
    }

    /// Makes the object appear.
    pub async fn finish(self) -> Result<Stored, StorageError> {
        unimplemented!()
    }

    /// Removes what was sent.
    pub async fn abort(self) {}
}
