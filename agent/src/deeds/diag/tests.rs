//! Archives as another machine opens them: with tar and zstd.

use std::{
    collections::BTreeMap,
    io::Write as _,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use reelmill_api::snapshot::{Enrolment, Farm, Node};
use reelmill_lab::s3::Server;

use super::*;
use crate::systemd::journal::Priority;

const SECRETS: [&str; 5] = ["hunter2hunter2", "sig-abc-123", "PAIR-99", "MC4CAQAwBQYDK2Vw", "topsecret"];

fn entry(n: u64, message: &str) -> Entry {
    Entry {
        unix_micros: 1_795_348_800_000_000 + n * 1_000_000,
        priority: Priority::Info,
        unit: Some("reelmill-worker.service".to_owned()),
        identifier: None,
        pid: Some(7),
        message: message.to_owned(),
    }
}

/// The files of an archive, as `tar --zstd` unpacks them.
fn unpack(archive: &[u8]) -> BTreeMap<String, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--zstd", "--verbose", "--file", "-"]).current_dir(folder.path());
    let mut tar = tar.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("tar is there");
    tar.stdin.take().expect("asked for").write_all(archive).expect("it reads");
    let output = tar.wait_with_output().expect("it ends");
    assert!(output.status.success());
    let names = String::from_utf8(output.stdout).expect("text");
    let read = |name: &str| {
        let text = std::fs::read_to_string(folder.path().join(name)).expect("unpacked");
        (name.to_owned(), text)
    };
    names.lines().map(read).collect()
}

fn snapshot() -> Snapshot {
    let waiting = Enrolment::Waiting { pairing_code: Some(SECRETS[2].to_owned()), why: None };
    Snapshot {
        node: Node { id: "orin-3".to_owned(), ..Node::default() },
        farm: Some(Farm { enrolment: Some(waiting), ..Farm::default() }),
        ..Snapshot::default()
    }
}

async fn packed(journal: Vec<Result<Entry, JournalError>>) -> (BTreeMap<String, String>, Gathered) {
    let snapshot = snapshot();
    let systemd = Systemd::new(UnitName::worker());
    let settings = format!("password: {}", SECRETS[4]);
    let about = About { snapshot: &snapshot, settings: &settings, systemd: &systemd };
    let gathered = gather(&about, files(&about), stream::iter(journal)).await.expect("an archive");
    (unpack(&gathered.archive), gathered)
}

#[tokio::test]
async fn the_archive_tells_all_but_secrets() {
    let key = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----", SECRETS[3]);
    let journal = [
        entry(3, &format!("cannot lease from redis://:{}@hub:6379", SECRETS[0])),
        entry(2, &format!("PUT https://s3/b/k?X-Amz-Signature={} failed\nonce more", SECRETS[1])),
        entry(1, &key),
    ];
    let (files, gathered) = packed(journal.into_iter().map(Ok).collect()).await;
    let names: Vec<_> = files.keys().map(|name| name.trim_start_matches("reelmill-diag-orin-3/")).collect();
    assert_eq!(names, ["about.json", "journal/0001.log", "kernel.txt", "settings.txt", "snapshot.json"]);
    for (name, text) in &files {
        assert!(!SECRETS.iter().any(|secret| text.contains(secret)), "{name}: {text}");
    }
    let file = |name: &str| files[&format!("reelmill-diag-orin-3/{name}")].as_str();
    assert_eq!(
        file("journal/0001.log"),
        "2026-11-22T12:00:01Z reelmill-worker.service[7] info: [redacted] private key\n\
         2026-11-22T12:00:02Z reelmill-worker.service[7] info: PUT https://s3/b/k?[redacted] failed\n    once more\n\
         2026-11-22T12:00:03Z reelmill-worker.service[7] info: cannot lease from redis://[redacted]@hub:6379\n"
    );
    assert_eq!(file("settings.txt"), "password: [redacted]");
    assert!(file("kernel.txt").starts_with("/proc/version: Linux version "), "{}", file("kernel.txt"));
    let told: Snapshot = serde_json::from_str(file("snapshot.json")).expect("still a snapshot");
    assert_eq!(told.node.id, "orin-3");
    let Gathered { archive, result } = gathered;
    let want = json!({"journal_entries": 3, "journal_since": "2026-11-22T12:00:01Z", "journal_left_out": null,
                      "bytes": archive.len(), "sha256": Sha256::of(&archive).to_string()});
    assert_eq!(json!(result), want);
}

/// Lines that nothing makes much smaller, and that look like no key.
fn noise(seed: u64, bytes: usize) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'!' + u8::try_from(state % 90).expect("small"))
    };
    (0..bytes).map(|n| if n % 20 == 0 { ' ' } else { next() }).map(|c| if "=:".contains(c) { '.' } else { c }).collect()
}

#[tokio::test]
async fn the_oldest_entries_are_left_out_where_there_is_no_room_and_that_is_said() {
    // The newest first, more than 16 MiB of them.
    let journal = (0..7000).map(|n| Ok(entry(7000 - n, &noise(n, 3500)))).collect();
    let (files, Gathered { archive, result }) = packed(journal).await;
    assert!(archive.len() <= LARGEST && archive.len() > LARGEST / 10 * 9, "{}", archive.len());
    assert_eq!(result["journal_left_out"], "what is older; the archive may have 16 MiB");
    let newest = &files["reelmill-diag-orin-3/journal/0001.log"];
    assert!(newest.lines().last().is_some_and(|line| line.starts_with("2026-11-22T13:56:40Z")), "the newest is there");
    let logs: Vec<_> = files.iter().filter(|(name, _)| name.contains("/journal/")).collect();
    let oldest = logs.last().and_then(|(_, text)| text.split(' ').next());
    assert_eq!(result["journal_since"].as_str(), oldest);
    let entries: usize = logs.iter().map(|(_, text)| text.lines().count()).sum();
    assert_eq!(result["journal_entries"].as_u64(), Some(entries as u64));
}

#[tokio::test]
async fn a_journal_that_cannot_be_read_is_told_of_and_the_rest_is_sent() {
    let gone = JournalError::Run(std::io::ErrorKind::NotFound.into());
    let (files, Gathered { result, .. }) = packed(vec![Err(gone)]).await;
    assert_eq!(files.len(), 4);
    assert_eq!(result["journal_left_out"], "cannot run journalctl: entity not found");
    assert!(files["reelmill-diag-orin-3/about.json"].contains("cannot run journalctl"));
}

#[tokio::test]
async fn the_whole_of_it_comes_to_the_store_and_progress_is_told() {
    let server = Server::start().await;
    let diag = json!({"upload": server.presigned_put("diag.tar.zst"), "units": ["reelmill-worker.service"]});
    let diag: Diag = serde_json::from_value(diag).expect("a diag");
    let (snapshot, systemd) = (snapshot(), Systemd::new(UnitName::worker()));
    let about = About { snapshot: &snapshot, settings: "", systemd: &systemd };
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = told.clone();
    let progress: Told = Arc::new(move |percent| tell.lock().expect("ours").push(percent));
    let result = diagnose(&diag, &about, &progress).await.expect("put");
    let stored = std::fs::read(server.folder.join("diag.tar.zst")).expect("it is there");
    assert_eq!(result["sha256"], Sha256::of(&stored).to_string());
    let files = unpack(&stored);
    assert!(files["reelmill-diag-orin-3/units.json"].contains("reelmill-worker.service"), "{files:?}");
    assert_eq!(*told.lock().expect("ours"), [50, 100]);
}

#[tokio::test]
async fn a_unit_of_others_is_refused_before_anything_is_read() {
    let diag = json!({"upload": "http://127.0.0.1:1/", "units": ["ssh.service"]});
    let diag: Diag = serde_json::from_value(diag).expect("a diag");
    let (snapshot, systemd) = (snapshot(), Systemd::new(UnitName::worker()));
    let about = About { snapshot: &snapshot, settings: "", systemd: &systemd };
    let told: Told = Arc::new(|percent| panic!("{percent}"));
    let undone = diagnose(&diag, &about, &told).await.expect_err("not ours");
    assert_eq!((undone.code.as_str(), undone.retry), ("not_ours", false));
}
