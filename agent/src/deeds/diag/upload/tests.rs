//! Uploads to a real S3 server, to one that does not want them, and to nobody.

use std::sync::{Arc, Mutex};

use reelmill_lab::{
    fault::{Fault, Op},
    s3::Server,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

/// What comes of an upload of so many bytes, and what was told meanwhile.
async fn upload(to: &str, bytes: usize) -> (Result<(), UploadError>, Vec<usize>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = told.clone();
    let progress = Box::new(move |sent| tell.lock().expect("ours").push(sent));
    let ended = put(&to.parse().expect("an address"), Bytes::from(vec![7; bytes]), progress).await;
    let told = told.lock().expect("ours").clone();
    (ended, told)
}

/// What a failed upload says; never what makes the address a secret.
async fn complaint(to: &str) -> String {
    let error = upload(to, 10).await.0.expect_err("it cannot be put").to_string();
    assert!(!["X-Amz", "Signature", "sig", "media-test", "/a"].iter().any(|part| error.contains(part)), "{error}");
    error
}

#[tokio::test]
async fn a_store_takes_it_at_a_presigned_address() {
    let server = Server::start().await;
    let (ended, told) = upload(&server.presigned_put("diag/a.tar.zst"), 200_000).await;
    ended.expect("taken");
    assert_eq!(told, [65_536, 131_072, 196_608, 200_000]);
    let stored = std::fs::read(server.folder.join("diag/a.tar.zst")).expect("it is there");
    assert_eq!((stored.len(), stored[0]), (200_000, 7));
    upload(&server.presigned_put("empty"), 0).await.0.expect("an empty one too");
}

#[tokio::test]
async fn a_store_that_does_not_want_it_is_told_of_without_the_address() {
    let server = Server::start().await;
    let host = server.endpoint.trim_start_matches("http://");
    let hint = "the address may have expired, or be for another method than PUT";
    let good = server.presigned_put("a");
    let altered = good.replace("/a?", "/b?");
    assert_eq!(complaint(&altered).await, format!("{host} refuses it (403 Forbidden); {hint}"));
    let day = jiff::SignedDuration::from_hours(24);
    let expired = server.presigned("PUT", "a", jiff::Timestamp::now() - day);
    assert_eq!(complaint(&expired).await, format!("{host} refuses it (403 Forbidden); {hint}"));
    let elsewhere = vec![("location", "http://127.0.0.1:1/a".to_owned())];
    server.plan.add(Op::Put, 1, Fault::Answer(307, elsewhere, String::new()));
    let want = format!("{host} sends elsewhere (307 Temporary Redirect), and no other host gets it");
    assert_eq!(complaint(&good).await, want);
    server.plan.add(Op::Put, 1, Fault::Cut);
    assert!(complaint(&good).await.starts_with(&format!("the connection to {host} broke: ")));
}

#[tokio::test]
async fn nobody_there_is_told_of() {
    let told = complaint("http://127.0.0.1:1/a?sig=b").await;
    assert_eq!(told, "cannot connect to 127.0.0.1:1: Connection refused (os error 111)");
    let told = complaint("file:///a?sig=b").await;
    assert_eq!(told, "the address must begin with https:// or http://, and name a host");
    let server = Server::start().await;
    let plain = server.presigned_put("a").replace("http://", "https://");
    let told = complaint(&plain).await;
    assert!(told.starts_with("cannot connect to 127.0.0.1:"), "{told}");
}

#[tokio::test]
async fn the_length_is_announced_and_the_query_is_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let at = listener.local_addr().expect("it is bound");
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("somebody comes");
        let mut request = [0; 300];
        let mut read = 0;
        while !request[..read].ends_with(&[7; 10]) {
            read += stream.read(&mut request[read..]).await.expect("a request");
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.expect("it reads");
        String::from_utf8_lossy(&request[..read - 10]).into_owned()
    });
    upload(&format!("http://{at}/a%20b?x=1&y=%2F"), 10).await.0.expect("taken");
    let head = serving.await.expect("no panic");
    assert_eq!(head, format!("PUT /a%20b?x=1&y=%2F HTTP/1.1\r\nhost: {at}\r\ncontent-length: 10\r\n\r\n"));
}
