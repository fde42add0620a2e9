//! An object that is written bit by bit and appears whole, or not at all.

use bytes::Bytes;

use crate::{StorageError, Stored, folder::FolderUpload, s3::S3Upload};

/// An object being written. Nothing is to be seen of it before [`Upload::finish`]; dropping it aborts it.
#[derive(Debug)]
pub struct Upload {
    to: Destination,
    state: State,
}

#[derive(Debug)]
enum Destination {
    S3(Box<S3Upload>),
    Folder(FolderUpload),
}

/// Whether all that was given so far was taken whole.
#[derive(Debug)]
enum State {
    Whole,
    /// A write is under way; if it never comes back, some of its chunk is in and some is not.
    Writing,
    Failed(StorageError),
}

impl Upload {
    pub(crate) fn to_s3(upload: S3Upload) -> Self {
        Self { to: Destination::S3(Box::new(upload)), state: State::Whole }
    }

    pub(crate) fn to_folder(upload: FolderUpload) -> Self {
        Self { to: Destination::Folder(upload), state: State::Whole }
    }

    /// Adds a chunk; waits while the store is slower than the writer. After an error the upload can only be aborted.
    ///
    /// # Errors
    /// If the store cannot be written to, also where that concerns an earlier chunk.
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), StorageError> {
        self.check_whole()?;
        self.state = State::Writing;
        let done = match &mut self.to {
            Destination::S3(upload) => upload.write(chunk).await,
            Destination::Folder(upload) => upload.write(chunk).await,
        };
        self.state = match &done {
            Ok(()) => State::Whole,
            Err(error) => State::Failed(error.clone()),
        };
        done
    }

    /// Makes the object appear, replacing what is there.
    ///
    /// # Errors
    /// If anything of it did not reach the store; then it is aborted.
    pub async fn finish(self) -> Result<Stored, StorageError> {
        self.check_whole()?;
        match self.to {
            Destination::S3(upload) => upload.finish().await,
            Destination::Folder(upload) => upload.finish().await,
        }
    }

    /// Removes what was sent.
    pub async fn abort(self) {
        match self.to {
            Destination::S3(upload) => upload.abort().await,
            Destination::Folder(upload) => drop(upload),
        }
    }

    fn check_whole(&self) -> Result<(), StorageError> {
        match &self.state {
            State::Whole => Ok(()),
            State::Writing => Err(StorageError::Io {
                what: "finish an upload".to_owned(),
                cause: "one of its writes was called off halfway".to_owned(),
            }),
            State::Failed(error) => Err(error.clone()),
        }
    }
}
