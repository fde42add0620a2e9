//! What a script talks to the store with: curl, signing its requests.

use std::{path::Path, process::Command};

use reelmill_lab::s3::{ACCESS_KEY, BUCKET, SECRET_KEY, Server};

/// Puts a file into the store by its own protocol, so that the store knows its checksum, as one that was copied into its
/// folder it would not; the file's location.
pub(crate) async fn upload(store: &Server, file: &Path, key: &str) -> String {
    let (from, to) = (file.display().to_string(), format!("{}/{BUCKET}/{key}", store.endpoint));
    // The store is served by this process, so the client must not block it.
    tokio::task::spawn_blocking(move || curl(&["-T", &from, &to])).await.expect("the client ran");
    format!("s3://{BUCKET}/{key}")
}

/// Runs curl with these words.
pub(crate) fn curl(words: &[&str]) {
    let keys = format!("{ACCESS_KEY}:{SECRET_KEY}");
    let ran = Command::new("curl")
        .args(["--silent", "--show-error", "--fail", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", &keys])
        .args(["-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD"])
        .args(words)
        .output()
        .expect("curl is installed");
    assert!(ran.status.success(), "curl: {}", String::from_utf8_lossy(&ran.stderr));
}
