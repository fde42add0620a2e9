//! A reader never mixes two versions of an object.

use futures::StreamExt;
use reelmill_storage::{Condition, StorageError};

use super::support::{pattern, sites};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_is_replaced_while_it_is_read_is_an_error() {
    // As long as the old one: nothing but its version tells them apart.
    let (old, new) = (pattern(9_000_000), pattern(9_000_007).slice(7..));
    for site in sites().await {
        let at = site.at("a.bin");
        site.storage.put(&at, old.clone(), "video/mp4", Condition::Always).await.expect("a put");
        let info = site.storage.head(&at).await.expect("it is there");
        let mut stream = site.storage.read(&at, &info, 0..info.bytes);
        let first = stream.next().await.expect("it has bytes").expect("they come");
        site.storage.put(&at, new.clone(), "video/mp4", Condition::Always).await.expect("a put");
        let (mut read, mut end) = (first.to_vec(), Ok(()));
        while let Some(part) = stream.next().await {
            match part {
                Ok(part) => read.extend_from_slice(&part),
                Err(e) => end = Err(e),
            }
        }
        assert!(old.starts_with(&read), "{}: {} bytes are not of the old version", site.name, read.len());
        match (site.name, end) {
            (_, Err(StorageError::Changed { .. })) => {}
            // An open file stays what it was, whole, under whatever name.
            ("folder", Ok(())) => assert_eq!(read.len(), old.len()),
            (name, end) => panic!("{name}: {end:?} after {} bytes", read.len()),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_is_gone_before_the_read_is_an_error() {
    for site in sites().await {
        let at = site.at("a.bin");
        site.storage.put(&at, pattern(1000), "video/mp4", Condition::Always).await.expect("a put");
        let info = site.storage.head(&at).await.expect("it is there");
        site.storage.put(&at, pattern(1001), "video/mp4", Condition::Always).await.expect("a put");
        let error = site.storage.read(&at, &info, 0..10).next().await.expect("an item").expect_err("it changed");
        assert!(matches!(error, StorageError::Changed { .. }), "{}: {error}", site.name);
    }
}
