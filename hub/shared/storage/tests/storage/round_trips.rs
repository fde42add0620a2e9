//! What goes in comes out, in both drivers alike.

use bytes::Bytes;
use reelmill_api::{Location, S3Location};
use reelmill_lab::{
    fault::{Fault, Op},
    s3::{BUCKET, Server},
};
use reelmill_storage::{Access, CheckReport, Condition, LEAST_PART, StorageError, Version};

use super::support::{Site, location, pattern, reach, read, sites};

const PLAIN: &str = "text/plain";

async fn put(site: &Site, name: &str, body: Bytes, condition: Condition) -> Result<Version, StorageError> {
    site.storage.put(&site.at(name), body, PLAIN, condition).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_put_is_read_back_and_can_be_deleted() {
    for site in sites().await {
        let (storage, at) = (&site.storage, site.at("a/b c.txt"));
        for len in [0, 1, 70_000] {
            let version = put(&site, "a/b c.txt", pattern(len), Condition::Always).await.expect("a put");
            let info = storage.head(&at).await.expect("it is there");
            assert_eq!((info.bytes, &info.version), (len as u64, &version), "{}", site.name);
            assert!(info.modified.is_some(), "{}", site.name);
            let (small, seen) = storage.get_small(&at, len).await.expect("it is small");
            assert_eq!((small, seen), (pattern(len), version), "{}", site.name);
        }
        let error = storage.get_small(&at, 69_999).await.expect_err("it is longer");
        assert!(matches!(error, StorageError::TooLarge { limit: 69_999, .. }), "{}: {error}", site.name);
        storage.delete(&at).await.expect("it goes");
        storage.delete(&at).await.expect("it is gone already");
        let error = storage.head(&at).await.expect_err("it is gone");
        assert!(matches!(error, StorageError::NotFound { .. }), "{}: {error}", site.name);
        assert_eq!(storage.buffered_bytes(), 0, "{}", site.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_range_is_read_exactly() {
    let len = 3_000_000_u64;
    let whole = pattern(3_000_000);
    for site in sites().await {
        put(&site, "a.bin", whole.clone(), Condition::Always).await.expect("a put");
        let at = site.at("a.bin");
        let info = site.storage.head(&at).await.expect("it is there");
        let ranges = [0..len, 0..0, len..len, 0..1, len - 1..len, 7..262_152, 262_143..262_145, 999_999..2_000_001];
        for range in ranges {
            let got = read(&site.storage, &at, &info, range.clone()).await.expect("a read");
            let want = &whole[usize::try_from(range.start).expect("small")..usize::try_from(range.end).expect("small")];
            assert!(got == want, "{}: {range:?} gave {} bytes", site.name, got.len());
        }
        let error = read(&site.storage, &at, &info, 1..len + 1).await.expect_err("it reaches past the end");
        assert!(matches!(error, StorageError::OutOfRange { .. }), "{}: {error}", site.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_of_any_length_arrives_byte_for_byte() {
    for site in sites().await {
        for (len, chunk) in [(0, 1), (5, 5), (LEAST_PART - 1, 100_000), (LEAST_PART, 65_536), (12 << 20, 333_333)] {
            let (at, whole) = (site.at("up.bin"), pattern(len));
            let mut upload = site.storage.create(&at, PLAIN).await.expect("a beginning");
            for start in (0..len).step_by(chunk) {
                upload.write(whole.slice(start..len.min(start + chunk))).await.expect("a write");
            }
            let stored = upload.finish().await.expect("an end");
            let info = site.storage.head(&at).await.expect("it is there");
            assert_eq!((stored.bytes, &stored.version), (len as u64, &info.version), "{} {len}", site.name);
            let got = read(&site.storage, &at, &info, 0..info.bytes).await.expect("a read");
            assert!(got == whole, "{}: {len} bytes came back as {}", site.name, got.len());
        }
        assert_eq!(site.storage.buffered_bytes(), 0, "{}", site.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_is_invisible_until_it_is_finished_and_gone_when_aborted() {
    for site in sites().await {
        for len in [10, 6 << 20] {
            let at = site.at("up/x.bin");
            for drop_it in [false, true] {
                let mut upload = site.storage.create(&at, PLAIN).await.expect("a beginning");
                upload.write(pattern(len)).await.expect("a write");
                assert!(site.storage.head(&at).await.is_err(), "{}: it shows too early", site.name);
                assert_eq!(site.storage.list(&site.base).await.expect("a list"), [], "{}", site.name);
                if drop_it { drop(upload) } else { upload.abort().await }
            }
            assert!(site.storage.head(&at).await.is_err(), "{}: it shows after an abort", site.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conditional_put_replaces_only_what_it_was_told_to() {
    for site in sites().await {
        let first = put(&site, "a", "1".into(), Condition::Absent).await.expect("nothing was there");
        let refused = put(&site, "a", "2".into(), Condition::Absent).await.expect_err("it is there");
        assert!(matches!(refused, StorageError::ConditionFailed { .. }), "{}: {refused}", site.name);
        let second = put(&site, "a", "two".into(), Condition::Matches(first.clone())).await.expect("it is unchanged");
        for (name, stale) in [("a", first), ("gone", second)] {
            let refused = put(&site, name, "3".into(), Condition::Matches(stale)).await.expect_err("it changed");
            assert!(matches!(refused, StorageError::ConditionFailed { .. }), "{}: {refused}", site.name);
        }
        let (body, _) = site.storage.get_small(&site.at("a"), 9).await.expect("it is there");
        assert_eq!(body, "two", "{}", site.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sixteen_who_put_if_absent_exactly_one_wins() {
    for site in sites().await {
        let site = std::sync::Arc::new(site);
        let racers = (0..16).map(|n| {
            let site = site.clone();
            tokio::spawn(async move { (n, put(&site, "won", n.to_string().into(), Condition::Absent).await) })
        });
        let mut winners = Vec::new();
        for racer in futures::future::join_all(racers).await {
            match racer.expect("no panic") {
                (n, Ok(_)) => winners.push(n),
                (_, Err(e)) => assert!(matches!(e, StorageError::ConditionFailed { .. }), "{}: {e}", site.name),
            }
        }
        let (body, _) = site.storage.get_small(&site.at("won"), 9).await.expect("it is there");
        assert_eq!(winners.len(), 1, "{}: {winners:?}", site.name);
        assert_eq!(body, winners[0].to_string(), "{}", site.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_and_deletes_a_folder_and_never_its_neighbour() {
    for site in sites().await {
        let names = ["out/a/1", "out/a/2", "out/b/c/3", "out/top", "out2/other"];
        for name in names {
            put(&site, name, "xyz".into(), Condition::Always).await.expect("a put");
        }
        let found = site.storage.list(&site.at("out")).await.expect("a list");
        let want: Vec<_> = names[..4].iter().map(|name| site.at(name)).collect();
        assert_eq!(found.iter().map(|l| l.location.clone()).collect::<Vec<_>>(), want, "{}", site.name);
        assert!(found.iter().all(|l| l.bytes == 3), "{}", site.name);
        assert_eq!(site.storage.list_folders(&site.at("out")).await.expect("a list"), ["a", "b"], "{}", site.name);
        assert_eq!(site.storage.list(&site.at("none")).await.expect("a list"), [], "{}", site.name);
        assert_eq!(site.storage.list_folders(&site.at("none")).await.expect("a list"), [""; 0], "{}", site.name);
        assert_eq!(site.storage.delete_prefix(&site.at("out")).await.expect("deleted"), 4, "{}", site.name);
        assert_eq!(site.storage.delete_prefix(&site.at("out")).await.expect("nothing left"), 0, "{}", site.name);
        let left: Vec<_> =
            site.storage.list(&site.base).await.expect("a list").into_iter().map(|l| l.location).collect();
        assert_eq!(left, [site.at("out2/other")], "{}", site.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_deletes_a_whole_bucket_or_root() {
    for site in sites().await {
        put(&site, "a", "1".into(), Condition::Always).await.expect("a put");
        let top = match &site.base {
            Location::S3(at) => Location::S3(S3Location::new(at.bucket(), "").expect("a bucket")),
            Location::File(at) => {
                let root = at.path().parent().expect("base lies in its root");
                format!("file://{}", root.display()).parse().expect("a path")
            }
            Location::Stream(_) => unreachable!("a stream is no store"),
        };
        let error = site.storage.delete_prefix(&top).await.expect_err("it is all there is");
        assert!(matches!(error, StorageError::TooMuch { .. }), "{}: {error}", site.name);
        assert!(site.storage.head(&site.at("a")).await.is_ok(), "{}", site.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_of_a_good_store_finds_it_good_and_leaves_nothing_behind() {
    for site in sites().await {
        let report = site.storage.check(&site.base, Access::Write).await.expect("all is well");
        assert_eq!((report.writable, report.conditional_put), (true, true), "{}", site.name);
        assert_eq!(site.storage.list(&site.base).await.expect("a list"), [], "{}", site.name);
        let report = site.storage.check(&site.base, Access::Read).await.expect("all is well");
        assert_eq!(report, CheckReport { writable: false, conditional_put: false, ..report.clone() }, "{}", site.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_more_than_fits_on_a_page() {
    let server = Server::start().await;
    let folder = server.folder.join("many");
    std::fs::create_dir(&folder).expect("a folder");
    for n in 0..2100 {
        std::fs::create_dir(folder.join(format!("{n:04}"))).expect("a folder");
        std::fs::write(folder.join(format!("{n:04}/x")), "x").expect("a file");
    }
    let (storage, at) = (reach(&server), location(&format!("s3://{BUCKET}/many/")));
    let found = storage.list(&at).await.expect("a list");
    let want: Vec<_> = (0..2100).map(|n| at.join(&format!("{n:04}/x")).expect("a key")).collect();
    assert!(found.iter().map(|l| &l.location).eq(&want), "{} found", found.len());
    let names = storage.list_folders(&at).await.expect("a list");
    assert!(names.iter().map(String::as_str).eq((0..2100).map(|n| format!("{n:04}")).collect::<Vec<_>>()), "{names:?}");
    assert_eq!(server.plan.count(Op::List), 6);
}

#[tokio::test]
async fn a_listing_that_never_ends_is_an_error() {
    let server = Server::start().await;
    let page = "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>\
                </ListBucketResult>";
    server.plan.add(Op::List, usize::MAX, Fault::Answer(200, Vec::new(), page.to_owned()));
    let error = reach(&server).list(&location(&format!("s3://{BUCKET}"))).await.expect_err("it turns in a circle");
    assert!(error.to_string().ends_with("broke off: its listing does not go on"), "{error}");
}
