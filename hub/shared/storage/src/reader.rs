//! A stream of a range's bytes, fetched block by block with one block of read-ahead.

use std::{
    ops::Range,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::Stream;
use reelmill_api::{FileLocation, S3Location};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    ObjectInfo, StorageError,
    folder::{Folder, OpenFile},
    s3::S3,
};

/// The first block: small, because a reader that seeks about drops most of what it asked for.
const FIRST_BLOCK: u64 = 256 * 1024;
/// The largest block. One is read while the next comes, so a reader holds at most two.
const LARGEST_BLOCK: u64 = 4 * 1024 * 1024;
/// How much a reader gives at once, so that whoever sends it on can push back in small steps.
const SLICE: usize = 256 * 1024;

/// The bytes of a range, in order. Dropping it drops the requests under way.
#[derive(Debug)]
pub struct Reader {
    blocks: mpsc::Receiver<Result<Bytes, StorageError>>,
    current: Bytes,
    _fetching: Option<AbortOnDropHandle<()>>,
}

/// Where blocks come from.
#[derive(Debug)]
pub(crate) enum Source {
    S3(S3, S3Location),
    Folder(Folder, FileLocation, Option<OpenFile>),
}

impl Source {
    async fn block(&mut self, info: &ObjectInfo, range: Range<u64>) -> Result<Bytes, StorageError> {
        match self {
            Self::S3(s3, at) => s3.block(at, info, range).await,
            Self::Folder(_, _, Some(file)) => file.block(range).await,
            Self::Folder(folder, at, file) => file.insert(folder.open(at, Some(info)).await?).block(range).await,
        }
    }
}

impl Reader {
    /// Begins to fetch.
    pub(crate) fn begin(source: Source, info: ObjectInfo, range: Range<u64>) -> Self {
        let (to, blocks) = mpsc::channel(1);
        let fetching = AbortOnDropHandle::new(tokio::spawn(fetch(source, info, range, to)));
        Self { blocks, current: Bytes::new(), _fetching: Some(fetching) }
    }

    /// Gives nothing but an error.
    pub(crate) fn failed(error: StorageError) -> Self {
        let (to, blocks) = mpsc::channel(1);
        // There is room for one.
        let _ = to.try_send(Err(error));
        Self { blocks, current: Bytes::new(), _fetching: None }
    }
}

async fn fetch(mut source: Source, info: ObjectInfo, range: Range<u64>, to: mpsc::Sender<Result<Bytes, StorageError>>) {
    for block in blocks(range) {
        // The place is taken before the block is fetched, so no third block ever waits outside.
        let Ok(place) = to.reserve().await else { return };
        let fetched = source.block(&info, block).await;
        let failed = fetched.is_err();
        place.send(fetched);
        if failed {
            return;
        }
    }
}

/// The blocks of a range: each twice as long as the one before.
fn blocks(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let (mut from, mut size) = (range.start, FIRST_BLOCK);
    std::iter::from_fn(move || {
        let block = from..range.end.min(from.saturating_add(size));
        (from, size) = (block.end, (size * 2).min(LARGEST_BLOCK));
        (!block.is_empty()).then_some(block)
    })
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(range: Range<u64>, want: &[u64]) {
        let got: Vec<_> = blocks(range.clone()).collect();
        let sizes: Vec<_> = got.iter().map(|b| b.end - b.start).collect();
        assert_eq!(sizes, want);
        assert_eq!(got.first().map_or(range.end, |b| b.start), range.start);
        assert!(got.windows(2).all(|pair| pair[0].end == pair[1].start));
        assert_eq!(got.last().map_or(range.end, |b| b.end), range.end);
    }

    #[test]
    fn blocks_cover_the_range_and_double_up_to_the_largest() {
        const K: u64 = 1024;
        check(7..7, &[]);
        check(7..8, &[1]);
        check(1..1 + 256 * K, &[256 * K]);
        check(5..5 + 257 * K, &[256 * K, K]);
        check(0..13_000 * K, &[256 * K, 512 * K, 1024 * K, 2048 * K, 4096 * K, 4096 * K, 968 * K]);
        check(u64::MAX - 1..u64::MAX, &[1]);
    }
}
