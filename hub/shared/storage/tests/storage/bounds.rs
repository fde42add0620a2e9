//! However long an object is, little of it is in memory at once.

use std::time::Duration;

use futures::StreamExt;
use reelmill_lab::s3::{BUCKET, Pace, Server};
use reelmill_storage::LEAST_PART;

use super::support::{location, pattern, reach, until};

/// Two blocks of a reader.
const MOST_READ: usize = 2 * 4 * 1024 * 1024;
/// One part filling and one on its way.
const MOST_WRITTEN: usize = 2 * LEAST_PART;
const LONG: usize = 200 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_object_passes_through_two_blocks_or_two_parts_of_memory() {
    // Slower than the writer, so that parts would pile up if they could.
    let server = Server::start_with(None, Pace { per_part: Duration::from_millis(20), ..Pace::default() }).await;
    let at = location(&format!("s3://{BUCKET}/long.bin"));
    let piece = pattern(1 << 20);

    let writer = reach(&server);
    let mut upload = writer.create(&at, "video/mp4").await.expect("a beginning");
    for _ in 0..LONG / piece.len() {
        upload.write(piece.clone()).await.expect("a write");
    }
    assert_eq!(upload.finish().await.expect("an end").bytes, LONG as u64);
    assert!((1..=MOST_WRITTEN).contains(&writer.peak_buffered_bytes()), "{}", writer.peak_buffered_bytes());
    assert_eq!(writer.buffered_bytes(), 0);

    let reader = reach(&server);
    let info = reader.head(&at).await.expect("it is there");
    let mut stream = reader.read(&at, &info, 0..info.bytes);
    let mut passed = 0;
    while let Some(part) = stream.next().await {
        passed += part.expect("it comes").len();
    }
    assert_eq!(passed, LONG);
    assert!((1..=MOST_READ).contains(&reader.peak_buffered_bytes()), "{}", reader.peak_buffered_bytes());
    assert_eq!(reader.buffered_bytes(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_fetches_one_block_ahead_and_no_more() {
    let server = Server::start().await;
    let at = location(&format!("s3://{BUCKET}/a.bin"));
    let storage = reach(&server);
    let mut upload = storage.create(&at, "video/mp4").await.expect("a beginning");
    upload.write(pattern(20 << 20)).await.expect("a write");
    upload.finish().await.expect("an end");
    let info = storage.head(&at).await.expect("it is there");

    let idle = reach(&server);
    let mut stream = idle.read(&at, &info, 0..info.bytes);
    until("a block is on its way", || idle.buffered_bytes() > 0).await;
    let slice = stream.next().await.expect("an item").expect("bytes");
    until("the next block is on its way", || idle.buffered_bytes() >= 768 * 1024).await;
    // Time for one that should not come.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(idle.peak_buffered_bytes(), (256 + 512) * 1024);
    drop(slice);
    drop(stream);
    until("its memory is given back", || idle.buffered_bytes() == 0).await;
}
