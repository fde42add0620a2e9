//! Writing whole objects to S3, also under a condition.

use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use bytes::Bytes;
use reelmill_api::S3Location;
use uuid::Uuid;

use super::{Activity, Deed, Fault, S3, body::recorded};
use crate::{Condition, StorageError, Version, retry::Tries};

/// The metadata under which a write leaves its own number: an answer that got lost can be told from a lost race by it.
pub(super) const WRITE_ID: &str = "reelmill-write";

impl S3 {
    /// Puts a whole object at once.
    pub(crate) async fn put(
        &self,
        at: &S3Location,
        body: Bytes,
        content_type: &str,
        condition: &Condition,
    ) -> Result<Version, StorageError> {
        let deed = self.deed("write", at);
        let write_id = Uuid::new_v4().to_string();
        let mut tries = Tries::new(self.known.patience);
        let mut unsure = false;
        loop {
            let fault = match self.put_once(&deed, &body, content_type, condition, &write_id).await {
                Ok(version) => return Ok(version),
                Err(fault) => fault,
            };
            if unsure
                && is_refused(&fault, condition)
                && let Some(version) = self.written_by(&deed, &write_id).await
            {
                return Ok(version);
            }
            // Without an answer, or after a 5xx, the object may be there nevertheless.
            unsure |= matches!(fault.status(), 0 | 500..);
            let error = match is_refused(&fault, condition) {
                true => refused(&deed, condition),
                false => self.explain_write(&deed, fault).await,
            };
            tries.again(error).await?;
        }
    }

    async fn put_once(
        &self,
        deed: &Deed,
        body: &Bytes,
        content_type: &str,
        condition: &Condition,
        write_id: &str,
    ) -> Result<Version, Fault> {
        let activity = Activity::new();
        let request = self.client.put_object().bucket(deed.at.bucket()).key(deed.at.key());
        let request = request.content_type(content_type).body(recorded(body, &activity));
        let request = match condition {
            Condition::Always => request,
            Condition::Absent => request.if_none_match("*").metadata(WRITE_ID, write_id),
            Condition::Matches(version) => request.if_match(version.as_str()).metadata(WRITE_ID, write_id),
        };
        let done = deed.sending(&activity, request.send()).await?;
        version(deed, done.e_tag()).map_err(Fault::Transport)
    }

    /// The version of what is there, if the write with this number put it there.
    pub(super) async fn written_by(&self, deed: &Deed, write_id: &str) -> Option<Version> {
        let request = self.client.head_object().bucket(deed.at.bucket()).key(deed.at.key()).send();
        let found: HeadObjectOutput = deed.within(self.known.patience.stall, request).await.ok()?;
        let ours = found.metadata()?.get(WRITE_ID).is_some_and(|id| id == write_id);
        ours.then(|| found.e_tag().map(Version::new)).flatten()
    }
}

/// The version in the answer to a write.
pub(super) fn version(deed: &Deed, e_tag: Option<&str>) -> Result<Version, StorageError> {
    e_tag.map(Version::new).ok_or_else(|| StorageError::NotAStore {
        what: deed.what(),
        store: deed.store(),
        answer: "an object without an ETag".to_owned(),
    })
}

/// Whether the store says that the condition does not hold. Under [`Condition::Matches`] AWS says 404 for an object
/// that is gone.
fn is_refused(fault: &Fault, condition: &Condition) -> bool {
    match condition {
        Condition::Always => false,
        Condition::Absent => fault.status() == 412,
        Condition::Matches(_) => fault.status() == 412 || fault.code() == "NoSuchKey",
    }
}

fn refused(deed: &Deed, condition: &Condition) -> StorageError {
    let found = match condition {
        Condition::Matches(_) => "it was changed in the meantime",
        Condition::Absent | Condition::Always => "it exists already",
    };
    StorageError::ConditionFailed { what: deed.what(), found }
}
