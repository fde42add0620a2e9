//! However long an object is, little of it is in memory at once.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use reelmill_storage::LEAST_PART;

use super::support::{
    location, pattern,
    server::{BUCKET, Server},
};

/// Two blocks of a reader.
const MOST_READ: usize = 2 * 4 * 1024 * 1024;
/// One part filling and one on its way.
const MOST_WRITTEN: usize = 2 * LEAST_PART;
const LONG: usize = 200 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_object_passes_through_two_blocks_or_two_parts_of_memory() {
    // Slower than the writer, so that parts would pile up if they could.
    let server = Server::start_with(None, Duration::from_millis(20)).await;
    let at = location(&format!("s3://{BUCKET}/long.bin"));
    let piece = pattern(1 << 20);

    let writer = server.storage();
    let mut upload = writer.create(&at, "video/mp4").await.expect("a beginning");
    for _ in 0..LONG / piece.len() {
        upload.write(piece.clone()).await.expect("a write");
    }
    assert_eq!(upload.finish().await.expect("an end").bytes, LONG as u64);
    assert!((1..=MOST_WRITTEN).contains(&writer.peak_buffered_bytes()), "{}", writer.peak_buffered_bytes());
    assert_eq!(writer.buffered_bytes(), 0);

    let reader = server.storage();
    let info = reader.head(&at).await.expect("it is there");
    let mut stream = reader.read(&at, &info, 0..info.bytes);
    let mut held: Option<Bytes> = None;
    let mut passed = 0;
    while let Some(part) = stream.next().await {
        let part = part.expect("it comes");
        // Each slice is held until the next one is there, as whoever sends it on would.
        passed += held.replace(part).map_or(0, |before| before.len());
    }
    passed += held.take().map_or(0, |last| last.len());
    assert_eq!(passed, LONG);
    // The slice that is held may be the last of the block before.
    let most = MOST_READ + 4 * 1024 * 1024;
    assert!((1..=most).contains(&reader.peak_buffered_bytes()), "{}", reader.peak_buffered_bytes());
    assert_eq!(reader.buffered_bytes(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_nobody_polls_fetches_no_more_than_its_first_block() {
    let server = Server::start().await;
    let at = location(&format!("s3://{BUCKET}/a.bin"));
    let storage = server.storage();
    let mut upload = storage.create(&at, "video/mp4").await.expect("a beginning");
    upload.write(pattern(20 << 20)).await.expect("a write");
    upload.finish().await.expect("an end");
    let info = storage.head(&at).await.expect("it is there");

    let idle = server.storage();
    let stream = idle.read(&at, &info, 0..info.bytes);
    while idle.buffered_bytes() == 0 {
        tokio::task::yield_now().await;
    }
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(idle.peak_buffered_bytes(), 256 * 1024);
    drop(stream);
    while idle.buffered_bytes() > 0 {
        tokio::task::yield_now().await;
    }
}
