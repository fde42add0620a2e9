//! The connectivity test: does what a program will do later, on an object of its own, and says exactly what is wrong.

use bytes::Bytes;
use reelmill_api::Location;
use uuid::Uuid;

use crate::{Access, CheckReport, Condition, Storage, StorageError, folder::TEMPORARY};

/// What the probe object holds.
const PROBE: &[u8] = b"reelmill was here; this may be deleted\n";

impl Storage {
    /// Tries what a caller will want to do in a folder or bucket: lists it and, for [`Access::Write`], puts an object,
    /// reads it back, tries to put it again where nothing may be, and deletes it.
    ///
    /// # Errors
    /// The first thing that is wrong: address, TLS, clock, keys, bucket, permissions.
    pub async fn check(&self, at: &Location, access: Access) -> Result<CheckReport, StorageError> {
        let store = match self.probe_list(at).await {
            // A folder to write to need not be there yet.
            Err(StorageError::NotFound { bucket: None, .. }) if access == Access::Write => "the file system".to_owned(),
            other => other?,
        };
        if access == Access::Read {
            return Ok(CheckReport { store, writable: false, conditional_put: false });
        }
        let probe = at.join(&format!("{TEMPORARY}probe-{}", Uuid::new_v4()));
        let probe = probe.map_err(|e| StorageError::Config { message: e.to_string() })?;
        let tried = self.try_probe(&probe).await;
        let deleted = self.delete(&probe).await;
        let conditional_put = tried?;
        deleted?;
        Ok(CheckReport { store, writable: true, conditional_put })
    }

    /// Puts the probe and reads it back; says whether a second put of it is refused as it should be.
    async fn try_probe(&self, at: &Location) -> Result<bool, StorageError> {
        let body = Bytes::from_static(PROBE);
        self.put(at, body.clone(), "text/plain", Condition::Always).await?;
        let (found, _) = self.get_small(at, PROBE.len()).await?;
        if found != body {
            let (what, cause) = (format!("read {at}"), "it is not what was written just before".to_owned());
            return Err(StorageError::Io { what, cause });
        }
        match self.put(at, body, "text/plain", Condition::Absent).await {
            Err(StorageError::ConditionFailed { .. }) => Ok(true),
            // It ignores the condition, or knows no conditions at all.
            Ok(_) | Err(StorageError::Refused { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
