//! Reading from S3: head, small objects whole, blocks of a range.

use std::{ops::Range, time::SystemTime};

use aws_sdk_s3::{operation::get_object::GetObjectOutput, primitives::ByteStream};
use bytes::Bytes;
use reelmill_api::S3Location;

use super::{
    Deed, Fault, S3,
    fault::{last, words},
};
use crate::{Denied, ObjectInfo, StorageError, Version, buffer::Buffer, retry::Tries};

/// A block whose tries brought this much each goes on being tried: the store is flaky, not dead.
const WORTH_GOING_ON: usize = 64 * 1024;

impl S3 {
    /// Length, version and time of an object.
    pub(crate) async fn head(&self, at: &S3Location) -> Result<ObjectInfo, StorageError> {
        let deed = self.deed("read", at);
        let mut tries = Tries::new(self.known.patience);
        loop {
            let request = self.client.head_object().bucket(at.bucket()).key(at.key()).send();
            let error = match deed.within(self.known.patience.stall, request).await {
                Ok(found) => {
                    let modified = found.last_modified().and_then(|t| SystemTime::try_from(*t).ok());
                    return info(&deed, found.content_length(), found.e_tag(), modified);
                }
                Err(fault) => self.explain(&deed, fault).await,
            };
            tries.again(error).await?;
        }
    }

    /// A whole object of at most `limit` bytes.
    pub(crate) async fn get_small(&self, at: &S3Location, limit: usize) -> Result<(Bytes, Version), StorageError> {
        let deed = self.deed("read", at);
        let mut tries = Tries::new(self.known.patience);
        loop {
            match self.get_small_once(&deed, limit).await {
                Ok(done) => return Ok(done),
                Err(error) => tries.again(error).await?,
            }
        }
    }

    async fn get_small_once(&self, deed: &Deed, limit: usize) -> Result<(Bytes, Version), StorageError> {
        let request = self.client.get_object().bucket(deed.at.bucket()).key(deed.at.key()).send();
        let mut found = match deed.within(self.known.patience.stall, request).await {
            Ok(found) => found,
            Err(fault) => return Err(self.explain(deed, fault).await),
        };
        let info = info(deed, found.content_length(), found.e_tag(), None)?;
        let bytes = match usize::try_from(info.bytes) {
            Ok(bytes) if bytes <= limit => bytes,
            _ => return Err(StorageError::TooLarge { what: deed.what(), limit: limit as u64 }),
        };
        let mut buffer = Buffer::of(bytes, &self.gauge);
        self.fill(deed, &mut found.body, &mut buffer).await?;
        Ok((buffer.freeze(), info.version))
    }

    /// A block of an object, all of one version, tried again from where it broke off.
    pub(crate) async fn block(
        &self,
        at: &S3Location,
        info: &ObjectInfo,
        range: Range<u64>,
    ) -> Result<Bytes, StorageError> {
        let deed = self.deed("read", at);
        let size = usize::try_from(range.end - range.start).map_err(|_| deed.broken("a block of no sane size"))?;
        let mut buffer = Buffer::of(size, &self.gauge);
        let mut tries = Tries::new(self.known.patience);
        while buffer.room() > 0 {
            let before = buffer.len();
            let from = range.start + before as u64;
            if let Err(error) = self.block_rest(&deed, info, from..range.end, &mut buffer).await {
                if buffer.len() - before >= WORTH_GOING_ON && error.is_transient() {
                    tries = Tries::new(self.known.patience);
                }
                tries.again(error).await?;
            }
        }
        Ok(buffer.freeze())
    }

    async fn block_rest(
        &self,
        deed: &Deed,
        info: &ObjectInfo,
        range: Range<u64>,
        buffer: &mut Buffer,
    ) -> Result<(), StorageError> {
        let asked = format!("bytes={}-{}", range.start, range.end - 1);
        let request = self.client.get_object().bucket(deed.at.bucket()).key(deed.at.key());
        let request = request.range(asked).if_match(info.version.as_str()).send();
        let mut found = match deed.within(self.known.patience.stall, request).await {
            Ok(found) => found,
            Err(Fault::Answered(answer)) if answer.status == 412 => return Err(deed.changed()),
            Err(fault) => return Err(self.explain(deed, fault).await),
        };
        check_block(deed, info, &range, &found)?;
        self.fill(deed, &mut found.body, buffer).await
    }

    /// Fills the buffer from a body; it is an error if the body breaks off, stalls, or is longer or shorter.
    async fn fill(&self, deed: &Deed, body: &mut ByteStream, buffer: &mut Buffer) -> Result<(), StorageError> {
        let stall = self.known.patience.stall;
        loop {
            match tokio::time::timeout(stall, body.next()).await {
                Err(_) => return Err(deed.stalled(stall)),
                Ok(Some(Err(e))) => return Err(deed.broken(last(&words(&e)))),
                Ok(Some(Ok(chunk))) if chunk.len() > buffer.room() => {
                    return Err(deed.broken("it sent more bytes than asked for"));
                }
                Ok(Some(Ok(mut chunk))) => buffer.fill(&mut chunk),
                Ok(None) if buffer.room() > 0 => {
                    return Err(deed.broken(format!("{} bytes are missing", buffer.room())));
                }
                Ok(None) => return Ok(()),
            }
        }
    }

    /// What a failed read means. Answers to HEAD have no body and so no code, and some stores say `NoSuchKey` where the
    /// whole bucket is missing: then one more request finds out.
    pub(super) async fn explain(&self, deed: &Deed, fault: Fault) -> StorageError {
        let (status, told) = (fault.status(), !fault.code().is_empty());
        let error = fault.error(deed);
        let better = match error {
            StorageError::NotFound { .. } => self.try_bucket(deed).await,
            _ if !told && (300..500).contains(&status) => self.try_object(deed).await,
            _ => return error,
        };
        match better {
            Err(StorageError::NotFound { .. }) | Ok(()) => error,
            Err(StorageError::AccessDenied { .. }) if matches!(error, StorageError::NotFound { .. }) => error,
            Err(better) => better,
        }
    }

    /// What a write that broke off means. A store that refuses a write need not read it to its end: then the client
    /// meets a closed connection before it meets the answer, and one more request finds out why.
    pub(super) async fn explain_write(&self, deed: &Deed, fault: Fault) -> StorageError {
        let error = fault.error(deed);
        if !matches!(error, StorageError::Broken { .. }) {
            return error;
        }
        match self.try_bucket(deed).await {
            // Keys that may only write are no reason to give up.
            Err(StorageError::AccessDenied { denied: Denied::Forbidden { .. }, .. }) | Ok(()) => error,
            Err(better) if !better.is_transient() => better,
            Err(_) => error,
        }
    }

    async fn try_bucket(&self, deed: &Deed) -> Result<(), StorageError> {
        let stall = self.known.patience.stall;
        let head = self.client.head_bucket().bucket(deed.at.bucket()).send();
        if deed.within(stall, head).await.is_ok() {
            return Ok(());
        }
        let list = self.client.list_objects_v2().bucket(deed.at.bucket()).max_keys(1).send();
        deed.within(stall, list).await.map(drop).map_err(|fault| fault.error_of_list(deed))
    }

    async fn try_object(&self, deed: &Deed) -> Result<(), StorageError> {
        let get = self.client.get_object().bucket(deed.at.bucket()).key(deed.at.key()).range("bytes=0-0").send();
        deed.within(self.known.patience.stall, get).await.map(drop).map_err(|fault| fault.error(deed))
    }
}

/// An object's facts from an answer's headers.
fn info(
    deed: &Deed,
    bytes: Option<i64>,
    e_tag: Option<&str>,
    modified: Option<SystemTime>,
) -> Result<ObjectInfo, StorageError> {
    let bytes = bytes.and_then(|n| u64::try_from(n).ok());
    match (bytes, e_tag) {
        (Some(bytes), Some(e_tag)) => Ok(ObjectInfo { bytes, version: Version::new(e_tag), modified }),
        _ => Err(StorageError::NotAStore {
            what: deed.what(),
            store: deed.store(),
            answer: "an object without a length or an ETag".to_owned(),
        }),
    }
}

/// Refuses a block of another version, and one that is not the range that was asked for.
fn check_block(
    deed: &Deed,
    info: &ObjectInfo,
    range: &Range<u64>,
    found: &GetObjectOutput,
) -> Result<(), StorageError> {
    if found.e_tag().is_some_and(|e_tag| e_tag != info.version.as_str()) {
        return Err(deed.changed());
    }
    let want = format!("bytes {}-{}/{}", range.start, range.end - 1, info.bytes);
    match found.content_range() {
        Some(got) if got == want => Ok(()),
        Some(got) if total(got).is_some_and(|t| t != info.bytes) => Err(deed.changed()),
        None if *range == (0..info.bytes) && found.content_length() == i64::try_from(info.bytes).ok() => Ok(()),
        Some(_) | None => Err(deed.broken("it sent another range than asked for")),
    }
}

fn total(content_range: &str) -> Option<u64> {
    content_range.rsplit_once('/')?.1.parse().ok()
}
