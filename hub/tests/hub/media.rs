//! Sources in, published files out.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use reelmill_api::{JobState, Location, job::Job};
use reelmill_hub::Config;
use reelmill_storage::Condition;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::support::{PATIENCE, TestHub, done, under};

async fn wait_until(condition: impl Fn() -> bool, what: &str) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{what} within {PATIENCE:?}"));
}

/// Bytes without a pattern that a wrong offset could hide in.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| step()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_arrives_byte_for_byte_under_a_plain_name() {
    let hub = TestHub::start().await;
    // More than one part of a multipart upload.
    let source = noise(19 * 1024 * 1024 + 7);
    let answer = hub.send(Method::PUT, "/v1/uploads/My%20Film%2F..%2F(1).mp4", &[], &source).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    let json = answer.json();
    let location = json["location"].as_str().expect("a location");
    assert!(location.starts_with("s3://media-ingest/") && location.ends_with("/My_Film_..__1_.mp4"), "{location}");
    assert_eq!(json["bytes"].as_u64(), Some(source.len() as u64));
    let place: Location = location.parse().expect("a location");
    let (stored, _) = hub.storage().get_small(&place, source.len()).await.expect("the object");
    assert!(stored == source, "the bytes are the same");

    let again = hub.send(Method::PUT, "/v1/uploads/a.mp4", &[], b"").await;
    assert_eq!(again.json()["bytes"].as_u64(), Some(0));
    assert_ne!(again.json()["location"], json["location"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let hub = TestHub::start().await;
    let address = hub.addresses.api.strip_prefix("http://").expect("a loopback address").to_owned();
    let mut client = TcpStream::connect(&address).await.expect("the hub listens");
    let head = format!("PUT /v1/uploads/a.mp4 HTTP/1.1\r\nHost: {address}\r\nContent-Length: 20000000\r\n\r\n");
    client.write_all(head.as_bytes()).await.expect("it is sent");
    client.write_all(&noise(9_000_000)).await.expect("it is sent");

    // The embedded store keeps the parts of an unfinished upload as files beside the buckets.
    let parts = || {
        let entries = std::fs::read_dir(hub.folder().join("store")).expect("the store's folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        names.filter(|name| name.contains("upload")).collect::<Vec<_>>()
    };
    wait_until(|| !parts().is_empty(), "the upload begins").await;
    drop(client);
    wait_until(|| parts().is_empty(), "the upload is removed").await;
    let bucket: Location = "s3://media-ingest".parse().expect("a literal");
    assert_eq!(hub.storage().list(&bucket).await.expect("the store answers"), []);
}

/// A job that attempt 1 published, with two files of its own and one of another attempt.
async fn published(hub: &TestHub, segment: &[u8]) -> Job {
    let job = hub.submit().await;
    let storage = hub.storage();
    let files: [(&str, &[u8]); 4] = [
        ("master.m3u8", b"#EXTM3U\n"),
        ("a1-00000007/720p/seg_00000.m4s", segment),
        ("a2-00000008/720p/seg_00000.m4s", b"another attempt"),
        ("secret.txt", b"not published"),
    ];
    for (name, content) in files {
        let body = Bytes::copy_from_slice(content);
        storage.put(&under(&job, name), body, "x/y", Condition::Always).await.expect("the store takes it");
    }
    hub.worker().await.tell(&job, 1, done(&job)).await;
    hub.until(&job.id, |job| job.state == JobState::Done).await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_published_files_of_a_job_are_served() {
    let hub = TestHub::start().await;
    let waiting = hub.submit().await;
    let job = published(&hub, b"segment").await;
    let output = |job: &Job, path: &str| format!("/v1/jobs/{}/output/{path}", job.id);

    let master = hub.get(&output(&job, "master.m3u8")).await;
    assert_eq!((master.status, master.text()), (StatusCode::OK, "#EXTM3U\n"));
    assert_eq!(master.header("content-type"), "application/vnd.apple.mpegurl");
    assert_eq!(master.header("content-security-policy"), "default-src 'none'; sandbox");
    let segment = hub.get(&output(&job, "a1-00000007/720p/seg_00000.m4s")).await;
    assert_eq!((segment.text(), segment.header("content-type")), ("segment", "video/iso.segment"));

    for path in [
        "secret.txt",
        "a2-00000008/720p/seg_00000.m4s",
        "a1-00000007/720p/none.m4s",
        "a1-00000007/..%2Fsecret.txt",
        "a1-00000007/%2e%2e/secret.txt",
        "..%2F..%2Fmedia-ingest%2Fa.mp4",
        "%2Fmaster.m3u8",
        "a1-00000007/720p/",
    ] {
        let answer = hub.get(&output(&job, path)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}: {}", answer.text());
    }
    assert_eq!(hub.get(&output(&waiting, "master.m3u8")).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_playlist_is_whole_while_it_is_replaced() {
    let hub = TestHub::start().await;
    let job = hub.post(r#"{"input":"srt://cam.example:9000","preset":"live-hls"}"#).await.job();
    let versions = [noise(300), noise(90_000)].map(Bytes::from);
    let (storage, place) = (hub.storage(), under(&job, "720p/index.m3u8"));
    let put = async |n: usize| {
        let body = versions[n % 2].clone();
        storage.put(&place, body, "x/y", Condition::Always).await.expect("the store takes it");
    };
    put(0).await;
    let replacing = async {
        for n in 0..100 {
            put(n).await;
        }
    };
    let path = format!("/v1/jobs/{}/output/720p/index.m3u8", job.id);
    let reading = async {
        for n in 0..100 {
            let answer = hub.get(&path).await;
            assert_eq!(answer.status, StatusCode::OK, "read {n}");
            assert!(versions.contains(&answer.body), "read {n}: {} bytes of neither version", answer.body.len());
        }
    };
    tokio::join!(replacing, reading);
    let tag = hub.get(&path).await.header("etag").to_owned();
    let again = hub.send(Method::GET, &path, &[("if-none-match", &tag)], b"").await;
    assert_eq!(again.status, StatusCode::NOT_MODIFIED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_of_a_file_is_that_range() {
    let hub = TestHub::start().await;
    let segment = noise(700_001);
    let job = published(&hub, &segment).await;
    let path = format!("/v1/jobs/{}/output/a1-00000007/720p/seg_00000.m4s", job.id);
    let whole = hub.get(&path).await;
    assert!(whole.status == StatusCode::OK && whole.body == segment, "the whole file");
    let tag = whole.header("etag").to_owned();
    assert!(tag.len() > 2, "{tag}");

    for (range, start, end) in
        [("bytes=0-0", 0, 1), ("bytes=1000-600999", 1000, 601_000), ("bytes=-5", 699_996, 700_001)]
    {
        let part = hub.send(Method::GET, &path, &[("range", range)], b"").await;
        assert_eq!(part.status, StatusCode::PARTIAL_CONTENT, "{range}");
        assert_eq!(part.header("content-range"), format!("bytes {start}-{}/700001", end - 1));
        assert!(part.body == segment[start..end], "{range}");
    }
    let beyond = hub.send(Method::GET, &path, &[("range", "bytes=700001-")], b"").await;
    assert_eq!((beyond.status, beyond.header("content-range")), (StatusCode::RANGE_NOT_SATISFIABLE, "bytes */700001"));
    let several = hub.send(Method::GET, &path, &[("range", "bytes=0-1,5-6")], b"").await;
    assert_eq!((several.status, several.body.len()), (StatusCode::OK, segment.len()));
    let stale = hub.send(Method::GET, &path, &[("range", "bytes=0-0"), ("if-range", "\"other\"")], b"").await;
    assert_eq!((stale.status, stale.body.len()), (StatusCode::OK, segment.len()));
    let known = hub.send(Method::GET, &path, &[("if-none-match", &tag)], b"").await;
    assert_eq!((known.status, known.body.len()), (StatusCode::NOT_MODIFIED, 0));
    let head = hub.send(Method::HEAD, &path, &[], b"").await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (StatusCode::OK, "700001", 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_with_a_given_store_and_queue_embeds_nothing() {
    let owner = TestHub::start().await;
    let keys = owner.addresses.keys.as_ref().expect("keys of the embedded store");
    let mut config = Config::default();
    config.queue.url = Some(owner.addresses.queue.as_deref().expect("a queue").parse().expect("an address"));
    config.store.endpoint = Some(owner.addresses.store.parse().expect("a URL"));
    config.store.access_key = Some(keys.access_key.parse().expect("a reference"));
    config.store.secret_key = Some(keys.secret_key.parse().expect("a reference"));
    let hub = TestHub::start_with(tempfile::tempdir().expect("a folder"), config).await;

    assert_eq!((&hub.addresses.queue, &hub.addresses.keys), (&None, &None), "what may be secret is not announced");
    let mut found: Vec<_> =
        std::fs::read_dir(hub.folder()).expect("a folder").map(|e| e.expect("an entry").file_name()).collect();
    found.retain(|name| !name.to_string_lossy().starts_with("hub."));
    assert!(found.is_empty(), "{found:?}");

    let answer = hub.send(Method::PUT, "/v1/uploads/a.mp4", &[], b"a film").await;
    let place: Location = answer.json()["location"].as_str().expect("a location").parse().expect("a location");
    let (stored, _) = owner.storage().get_small(&place, 100).await.expect("the object");
    assert_eq!(stored, "a film");
    let job = hub.submit().await;
    let leased = owner.worker().await.lease().await;
    assert!(String::from_utf8_lossy(&leased.body).contains(&job.id.to_string()));
    assert_eq!(hub.get("/v1/health").await.status, StatusCode::OK);
}
