//! What holds for folders only: roots, links, temporary files, things that are no files.

use std::{fs, os::unix::fs::symlink, path::Path};

use futures::StreamExt;
use reelmill_api::Location;
use reelmill_storage::{Access, Condition, FileRoots, Storage, StorageError};
use tempfile::TempDir;

use super::support::{lines, location, pattern};

/// `in` may be read, `out` written; `secret` neither.
struct Disk {
    top: TempDir,
    storage: Storage,
}

impl Disk {
    fn new() -> Self {
        let top = TempDir::new().expect("a temporary folder");
        for folder in ["in/sub", "out", "secret"] {
            fs::create_dir_all(top.path().join(folder)).expect("a folder");
        }
        fs::write(top.path().join("in/a.mp4"), "video").expect("a file");
        fs::write(top.path().join("secret/key"), "secret").expect("a file");
        let roots = FileRoots::none().reading(top.path().join("in")).writing(top.path().join("out"));
        Self { storage: Storage::new(None, roots).expect("roots need nothing"), top }
    }

    fn path(&self, relative: &str) -> std::path::PathBuf {
        self.top.path().join(relative)
    }

    fn at(&self, relative: &str) -> Location {
        location(&format!("file://{}", self.path(relative).display()))
    }

    fn link(&self, to: impl AsRef<Path>, from: &str) {
        symlink(to, self.path(from)).expect("a link");
    }

    async fn put(&self, relative: &str) -> Result<(), StorageError> {
        self.storage.put(&self.at(relative), "new".into(), "text/plain", Condition::Always).await.map(drop)
    }
}

fn forbidden<T: std::fmt::Debug>(got: Result<T, StorageError>, what: &str) {
    assert!(matches!(got, Err(StorageError::ForbiddenRoot { .. })), "{what}: {got:?}");
}

#[tokio::test]
async fn only_allowed_folders_are_read_and_written() {
    let disk = Disk::new();
    assert!(disk.storage.head(&disk.at("in/a.mp4")).await.is_ok());
    forbidden(disk.put("in/b.mp4").await, "in may only be read");
    disk.put("out/deep/er/b.mp4").await.expect("out may be written, and folders are made");
    assert!(disk.storage.head(&disk.at("out/deep/er/b.mp4")).await.is_ok(), "what may be written may be read");
    for outside in ["secret/key", "secret/none", "inn/a.mp4", "a.mp4"] {
        forbidden(disk.storage.head(&disk.at(outside)).await, outside);
        forbidden(disk.storage.list(&disk.at(outside)).await, outside);
        forbidden(disk.put(outside).await, outside);
        forbidden(disk.storage.create(&disk.at(outside), "x/y").await, outside);
        forbidden(disk.storage.delete(&disk.at(outside)).await, outside);
        forbidden(disk.storage.delete_prefix(&disk.at(outside)).await, outside);
        forbidden(disk.storage.check(&disk.at(outside), Access::Write).await, outside);
    }
    let nothing = Storage::new(None, FileRoots::none()).expect("roots need nothing");
    forbidden(nothing.head(&disk.at("in/a.mp4")).await, "no roots");
}

#[tokio::test]
async fn links_lead_nowhere_but_under_the_roots() {
    let disk = Disk::new();
    disk.link(disk.path("secret"), "in/folder");
    disk.link("../secret/key", "in/file.mp4");
    disk.link(disk.path("secret"), "out/folder");
    disk.link(disk.path("secret/new"), "out/dangling");
    disk.link(disk.path("in/a.mp4"), "in/sub/good.mp4");
    forbidden(disk.storage.head(&disk.at("in/folder/key")).await, "a linked folder");
    forbidden(disk.storage.head(&disk.at("in/file.mp4")).await, "a linked file");
    forbidden(disk.put("out/folder/new").await, "a linked folder");
    forbidden(disk.storage.delete_prefix(&disk.at("out/folder")).await, "a linked folder");
    assert_eq!(disk.storage.head(&disk.at("in/sub/good.mp4")).await.expect("it stays inside").bytes, 5);
    disk.put("out/dangling").await.expect("the link itself is replaced");
    assert!(!disk.path("secret/new").exists() && disk.path("out/dangling").is_file());
    assert!(disk.path("secret/key").exists());
}

#[tokio::test]
async fn lists_and_deletes_files_but_follows_no_link_and_shows_nothing_temporary() {
    let disk = Disk::new();
    disk.put("out/job/1").await.expect("a put");
    disk.put("out/job/a/2").await.expect("a put");
    disk.link(disk.path("secret"), "out/job/folder");
    disk.link(disk.path("secret/key"), "out/job/file");
    fs::write(disk.path("out/job/.reelmill-tmp-left"), "half").expect("a file");
    let found = disk.storage.list(&disk.at("out/job")).await.expect("a list");
    let found: Vec<_> = found.into_iter().map(|l| l.location).collect();
    assert_eq!(found, [disk.at("out/job/1"), disk.at("out/job/a/2")]);
    assert_eq!(disk.storage.list_folders(&disk.at("out/job")).await.expect("a list"), ["a"]);
    disk.storage.delete_prefix(&disk.at("out/job")).await.expect("it goes");
    assert!(!disk.path("out/job").exists() && disk.path("secret/key").exists());
}

#[tokio::test]
async fn an_upload_that_is_dropped_leaves_no_temporary_file() {
    let disk = Disk::new();
    let mut upload = disk.storage.create(&disk.at("out/a.mp4"), "video/mp4").await.expect("a beginning");
    upload.write(pattern(10)).await.expect("a write");
    assert_eq!(fs::read_dir(disk.path("out")).expect("a folder").count(), 1);
    drop(upload);
    assert_eq!(fs::read_dir(disk.path("out")).expect("a folder").count(), 0);
}

#[tokio::test]
async fn a_file_that_is_cut_or_overwritten_in_place_while_it_is_read_is_an_error() {
    for cut in [true, false] {
        let disk = Disk::new();
        fs::write(disk.path("in/long.mp4"), pattern(9_000_000)).expect("a file");
        let at = disk.at("in/long.mp4");
        let info = disk.storage.head(&at).await.expect("it is there");
        let mut stream = disk.storage.read(&at, &info, 0..info.bytes);
        stream.next().await.expect("an item").expect("bytes");
        let file = fs::OpenOptions::new().write(true).open(disk.path("in/long.mp4")).expect("a file");
        let len = if cut { 1000 } else { 9_000_001 };
        file.set_len(len).expect("another length");
        let end = stream.collect::<Vec<_>>().await.pop();
        assert!(matches!(end, Some(Err(StorageError::Changed { .. }))), "{cut}: {end:?}");
    }
}

#[tokio::test]
async fn says_what_is_wrong_with_a_file() {
    let disk = Disk::new();
    let top = disk.top.path().display();
    let check = |got: StorageError, want: &str| assert_eq!(lines(got).replace(&top.to_string(), "/T"), want);
    check(
        disk.storage.head(&disk.at("in/b.mp4")).await.expect_err("it is not there"),
        "cannot read file:///T/in/b.mp4: no such file\nhint: list what is there with `ls -l /T/in`",
    );
    check(
        disk.storage.head(&disk.at("in/a.mp4/b")).await.expect_err("a.mp4 is no folder"),
        "cannot read file:///T/in/a.mp4/b: no such file\nhint: list what is there with `ls -l /T/in/a.mp4`",
    );
    check(
        disk.storage.head(&disk.at("in/sub")).await.expect_err("it is a folder"),
        "cannot read file:///T/in/sub: it is not a regular file",
    );
    check(
        disk.storage.head(&disk.at("secret/key")).await.expect_err("it is outside"),
        "cannot read file:///T/secret/key: /T/secret/key is under no folder that may be read\n\
         hint: add its folder to the roots that may be read",
    );
    check(
        disk.put("in/x").await.expect_err("in is not to be written"),
        "cannot write file:///T/in/x: /T/in/x is under no folder that may be written\n\
         hint: add its folder to the roots that may be written",
    );
    check(
        disk.storage.check(&disk.at("in/none"), Access::Read).await.expect_err("it is not there"),
        "cannot use file:///T/in/none: no such file\nhint: list what is there with `ls -l /T/in`",
    );
    disk.put("out/a").await.expect("a put");
    let refused = disk.storage.put(&disk.at("out/a"), "x".into(), "text/plain", Condition::Absent).await;
    check(refused.expect_err("it is there"), "cannot write file:///T/out/a: it exists already");
    check(
        disk.storage.head(&location("s3://media/a.mp4")).await.expect_err("there is no S3"),
        "cannot read s3://media/a.mp4: no S3 store is configured\n\
         hint: set S3_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    );
}

#[tokio::test]
async fn a_pipe_is_refused_at_once() {
    let disk = Disk::new();
    let mode = rustix::fs::Mode::RUSR;
    let made = rustix::fs::mknodat(rustix::fs::CWD, disk.path("in/pipe.mp4"), rustix::fs::FileType::Fifo, mode, 0);
    made.expect("a pipe");
    let error = disk.storage.head(&disk.at("in/pipe.mp4")).await.expect_err("it is a pipe");
    assert!(matches!(error, StorageError::NotAFile { .. }), "{error}");
}
