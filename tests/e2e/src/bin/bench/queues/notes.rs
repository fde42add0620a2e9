//! What tasks note: how long each waited from its publication to its start, a line each of one length.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Bytes of a line.
const LINE: u64 = 20;

/// Nanoseconds by the clock on the wall, which publishers and workers share.
pub(super) fn now_ns() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()
}

/// The file with the lines.
pub(super) struct Notes {
    path: PathBuf,
}

impl Notes {
    /// An empty one.
    pub(super) fn new(path: PathBuf) -> Self {
        File::create(&path).expect("a file of ours");
        Self { path }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How many tasks have started.
    pub(super) fn count(&self) -> u64 {
        self.path.metadata().expect("it was made").len() / LINE
    }

    /// The waits after the first so many, sorted.
    pub(super) fn waits(&self, after: u64) -> Vec<Duration> {
        let text = std::fs::read_to_string(&self.path).expect("it was made");
        let lines = text.lines().skip(usize::try_from(after).expect("few"));
        let mut waits: Vec<_> = lines.map(|l| Duration::from_nanos(l.parse().expect("nanoseconds"))).collect();
        waits.sort_unstable();
        waits
    }
}

/// Writes lines.
pub(super) struct Noting(File);

impl Noting {
    /// Into the file at `path`.
    pub(super) fn to(path: &Path) -> Self {
        Self(OpenOptions::new().append(true).open(path).expect("the notes are there"))
    }

    /// The task in which all work is done.
    pub(super) fn note(&self, body: &[u8]) {
        let sent: u128 = std::str::from_utf8(body).expect("text").parse().expect("nanoseconds");
        let line = format!("{:019}\n", now_ns().saturating_sub(sent));
        (&self.0).write_all(line.as_bytes()).expect("a line is written");
    }
}
