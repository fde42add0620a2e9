//! Deleting from S3: objects one by one, which every store can, and unfinished uploads.

use futures::{StreamExt, TryStreamExt, stream};
use reelmill_api::{Location, S3Location};

use super::{S3, list::folder_prefix};
use crate::{StorageError, retry::Tries};

/// How many deletions are under way at once.
const AT_ONCE: usize = 8;

impl S3 {
    /// Deletes an object; one that is not there is no error.
    pub(crate) async fn delete(&self, at: &S3Location) -> Result<(), StorageError> {
        let deed = self.deed("delete", at);
        let mut tries = Tries::new(self.known.patience);
        loop {
            let request = self.client.delete_object().bucket(at.bucket()).key(at.key()).send();
            match deed.within(self.known.patience.stall, request).await.map_err(|fault| fault.error(&deed)) {
                Ok(_) | Err(StorageError::NotFound { .. }) => return Ok(()),
                Err(error) => tries.again(error).await?,
            }
        }
    }

    /// Deletes everything under a prefix and aborts unfinished uploads there; says how many objects.
    pub(crate) async fn delete_prefix(&self, prefix: &S3Location) -> Result<u64, StorageError> {
        self.abort_uploads(prefix).await;
        let found = self.list(prefix).await?;
        let objects = found.iter().filter_map(|listed| match &listed.location {
            Location::S3(at) => Some(Ok(at)),
            Location::File(_) | Location::Stream(_) => None,
        });
        stream::iter(objects).try_for_each_concurrent(AT_ONCE, |at: &S3Location| self.delete(at)).await?;
        Ok(found.len() as u64)
    }

    /// Aborts unfinished uploads as far as the store lets us: many cannot list them, and none are left by a run that
    /// ended in order.
    async fn abort_uploads(&self, prefix: &S3Location) {
        let deed = self.deed("list unfinished uploads in", prefix);
        let request = self.client.list_multipart_uploads().bucket(prefix.bucket()).prefix(folder_prefix(prefix));
        let found = match deed.within(self.known.patience.stall, request.send()).await {
            Ok(found) => found,
            Err(fault) => return log::debug!("{}", fault.error(&deed)),
        };
        let aborts = found.uploads().iter().filter_map(|upload| {
            let at = S3Location::new(prefix.bucket(), upload.key()?).ok()?;
            let id = upload.upload_id()?.to_owned();
            Some(async move { self.abort_upload(&at, &id).await })
        });
        stream::iter(aborts.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await;
    }

    /// Aborts an unfinished upload; a failure is only logged, the next sweep tries again.
    pub(super) async fn abort_upload(&self, at: &S3Location, upload_id: &str) {
        let deed = self.deed("abort the upload of", at);
        let mut tries = Tries::new(self.known.patience);
        loop {
            let request = self.client.abort_multipart_upload().bucket(at.bucket()).key(at.key());
            let fault = match deed.within(self.known.patience.stall, request.upload_id(upload_id).send()).await {
                Ok(_) => return,
                Err(fault) if fault.code() == "NoSuchUpload" => return,
                Err(fault) => fault,
            };
            if let Err(error) = tries.again(fault.error(&deed)).await {
                return log::warn!("{error}");
            }
        }
    }
}
