//! A streaming write to S3: one part filling, one part on its way, nothing more. What ends within the first part goes
//! out as one put.

use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use reelmill_api::S3Location;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::{
    Activity, Deed, Fault, S3,
    body::recorded,
    write::{WRITE_ID, version},
};
use crate::{Condition, StorageError, Stored, Version, buffer::Buffer, retry::Tries};

/// The most parts an upload may have.
const MOST_PARTS: i32 = 10_000;

/// An object on its way to S3.
#[derive(Debug)]
pub(crate) struct S3Upload {
    s3: S3,
    deed: Deed,
    content_type: String,
    part_bytes: usize,
    filling: Buffer,
    sent: u64,
    parts: Option<Parts>,
}

/// An upload in parts that has begun at the store.
#[derive(Debug)]
struct Parts {
    upload_id: String,
    write_id: String,
    next: i32,
    done: Vec<CompletedPart>,
    flying: Option<AbortOnDropHandle<Result<CompletedPart, StorageError>>>,
}

impl S3 {
    /// Begins an object that is written bit by bit.
    pub(crate) fn create(&self, at: &S3Location, content_type: &str) -> S3Upload {
        self.create_large(at, content_type, 0)
    }

    /// Begins an object that will have about so many bytes.
    pub(crate) fn create_large(&self, at: &S3Location, content_type: &str, bytes: u64) -> S3Upload {
        let part_bytes = part_bytes(self.known.part_bytes, bytes);
        S3Upload {
            s3: self.clone(),
            deed: self.deed("write", at),
            content_type: content_type.to_owned(),
            part_bytes,
            filling: Buffer::growing(part_bytes, &self.gauge),
            sent: 0,
            parts: None,
        }
    }
}

/// The size of parts that an object of so many bytes fits into, with a tenth to spare.
fn part_bytes(least: usize, bytes: u64) -> usize {
    let parts = u64::from(MOST_PARTS.unsigned_abs()) * 9 / 10;
    least.max(usize::try_from(bytes.div_ceil(parts)).unwrap_or(usize::MAX))
}

impl S3Upload {
    /// Adds a chunk; waits while a part is on its way and the next is full.
    pub(crate) async fn write(&mut self, mut chunk: Bytes) -> Result<(), StorageError> {
        while !chunk.is_empty() {
            if self.filling.room() == 0 {
                self.send_part().await?;
            }
            self.filling.fill(&mut chunk);
        }
        Ok(())
    }

    /// Makes the object appear, or removes what was sent.
    pub(crate) async fn finish(mut self) -> Result<Stored, StorageError> {
        let done = self.complete().await;
        if done.is_err() {
            // Not left to the drop: the program may end before that has come to it.
            self.cancel().await;
        }
        done
    }

    async fn complete(&mut self) -> Result<Stored, StorageError> {
        if self.parts.is_none() {
            let body = self.take_filled().freeze();
            let bytes = body.len() as u64;
            let version = self.s3.put(&self.deed.at, body, &self.content_type, &Condition::Always).await?;
            return Ok(Stored { bytes, version });
        }
        if self.filling.len() > 0 {
            self.send_part().await?;
        }
        self.land().await?;
        let bytes = self.sent;
        let version = self.join().await?;
        self.parts = None;
        Ok(Stored { bytes, version })
    }

    /// Removes what was sent.
    pub(crate) async fn abort(mut self) {
        self.cancel().await;
    }

    async fn cancel(&mut self) {
        if let Some(mut parts) = self.parts.take() {
            parts.stop().await;
            self.s3.abort_upload(&self.deed.at, &parts.upload_id).await;
        }
    }

    /// Sends the filled part as soon as the one before has arrived.
    async fn send_part(&mut self) -> Result<(), StorageError> {
        if self.parts.is_none() {
            self.parts = Some(self.begin().await?);
        }
        self.land().await?;
        let body = self.take_filled().freeze();
        self.sent += body.len() as u64;
        let (s3, deed) = (self.s3.clone(), self.deed.clone());
        let Some(parts) = &mut self.parts else { return Ok(()) };
        let (number, upload_id) = (parts.next, parts.upload_id.clone());
        if number > MOST_PARTS {
            let answer = format!("an object has at most {MOST_PARTS} parts of {} bytes", self.part_bytes);
            return Err(StorageError::Refused { what: deed.what(), store: deed.store(), answer });
        }
        parts.next += 1;
        let sending = async move { s3.put_part(&deed, &upload_id, number, &body).await };
        parts.flying = Some(AbortOnDropHandle::new(tokio::spawn(sending)));
        Ok(())
    }

    /// Waits for the part that is on its way.
    async fn land(&mut self) -> Result<(), StorageError> {
        let Some(parts) = &mut self.parts else { return Ok(()) };
        // The handle stays in its place while we wait: a caller that stops waiting loses nothing.
        if let Some(flying) = &mut parts.flying {
            let done = flying.await.map_err(|e| self.deed.broken(format!("the part's task ended: {e}")));
            parts.flying = None;
            parts.done.push(done??);
        }
        Ok(())
    }

    fn take_filled(&mut self) -> Buffer {
        let fresh = Buffer::growing(self.part_bytes, &self.s3.gauge);
        std::mem::replace(&mut self.filling, fresh)
    }

    async fn begin(&self) -> Result<Parts, StorageError> {
        let write_id = Uuid::new_v4().to_string();
        let mut tries = Tries::new(self.s3.known.patience);
        loop {
            let request = self.s3.client.create_multipart_upload().bucket(self.deed.at.bucket());
            let request = request.key(self.deed.at.key()).content_type(&self.content_type);
            let request = request.metadata(WRITE_ID, &write_id).send();
            let error = match self.deed.within(self.s3.known.patience.stall, request).await {
                Ok(begun) => match begun.upload_id() {
                    Some(id) => {
                        return Ok(Parts {
                            upload_id: id.to_owned(),
                            write_id,
                            next: 1,
                            done: Vec::new(),
                            flying: None,
                        });
                    }
                    None => self.deed.broken("it began an upload without a number"),
                },
                Err(fault) => fault.error(&self.deed),
            };
            tries.again(error).await?;
        }
    }

    /// Makes one object of the parts.
    async fn join(&mut self) -> Result<Version, StorageError> {
        let Some(parts) = &mut self.parts else { return Err(self.deed.broken("no parts were sent")) };
        let mut tries = Tries::new(self.s3.known.patience);
        loop {
            let done = CompletedMultipartUpload::builder().set_parts(Some(parts.done.clone())).build();
            let request = self.s3.client.complete_multipart_upload().bucket(self.deed.at.bucket());
            let request = request.key(self.deed.at.key()).upload_id(&parts.upload_id).multipart_upload(done);
            let fault = match self.deed.within(self.s3.known.patience.join, request.send()).await {
                Ok(joined) => return version(&self.deed, joined.e_tag()),
                Err(fault) => fault,
            };
            // An earlier try may have been obeyed although its answer was lost.
            if is_gone(&fault)
                && let Some(version) = self.s3.written_by(&self.deed, &parts.write_id).await
            {
                return Ok(version);
            }
            tries.again(fault.error(&self.deed)).await?;
        }
    }
}

/// Whether the store no longer knows the upload. s3s-fs says `AccessDenied` for that.
fn is_gone(fault: &Fault) -> bool {
    matches!(fault.code(), "NoSuchUpload" | "AccessDenied" | "InternalError")
}

impl S3 {
    async fn put_part(
        &self,
        deed: &Deed,
        upload_id: &str,
        number: i32,
        body: &Bytes,
    ) -> Result<CompletedPart, StorageError> {
        let mut tries = Tries::new(self.known.patience);
        loop {
            let activity = Activity::new();
            let request = self.client.upload_part().bucket(deed.at.bucket()).key(deed.at.key());
            let request = request.upload_id(upload_id).part_number(number).body(recorded(body, &activity));
            match deed.sending(&activity, request.send()).await {
                Ok(part) => {
                    let e_tag = version(deed, part.e_tag())?;
                    return Ok(CompletedPart::builder().part_number(number).e_tag(e_tag.as_str()).build());
                }
                Err(fault) => tries.again(self.explain_write(deed, fault).await).await?,
            }
        }
    }
}

impl Parts {
    /// Stops the part that is on its way, so that it cannot arrive after the abort.
    async fn stop(&mut self) {
        if let Some(flying) = self.flying.take() {
            flying.abort();
            let _ = flying.await;
        }
    }
}

impl Drop for S3Upload {
    /// Aborts at the store in the background what was neither finished nor aborted.
    fn drop(&mut self) {
        let Some(mut parts) = self.parts.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (s3, at) = (self.s3.clone(), self.deed.at.clone());
        runtime.spawn(async move {
            parts.stop().await;
            s3.abort_upload(&at, &parts.upload_id).await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LEAST_PART;

    #[test]
    fn a_large_object_fits_into_as_many_parts_as_there_may_be() {
        assert_eq!(part_bytes(LEAST_PART, 0), LEAST_PART);
        assert_eq!(part_bytes(LEAST_PART, 40 << 30), LEAST_PART);
        for bytes in [50 << 30, 100 << 30, 5 << 40] {
            let parts = bytes / part_bytes(LEAST_PART, bytes) as u64 + 1;
            assert!((8000..=9001).contains(&parts), "{bytes}: {parts} parts");
        }
    }
}
