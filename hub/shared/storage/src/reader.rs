//! A stream of a range's bytes with one block of read-ahead.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::Stream;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::StorageError;

/// The bytes of a range, in order. Dropping it drops the requests under way.
#[derive(Debug)]
pub struct Reader {
    blocks: mpsc::Receiver<Result<Bytes, StorageError>>,
    current: Bytes,
    _fetching: AbortOnDropHandle<()>,
}

/// How much a reader gives at once, so that whoever sends it on can push back in small steps.
const SLICE: usize = 256 * 1024;

impl Stream for Reader {
    type Item = Result<Bytes, StorageError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.current.is_empty() {
            match std::task::ready!(self.blocks.poll_recv(cx)) {
                Some(Ok(block)) => self.current = block,
                other => return Poll::Ready(other),
            }
        }
        let slice = SLICE.min(self.current.len());
        Poll::Ready(Some(Ok(self.current.split_to(slice))))
    }
}
