//! What the tests share: both drivers side by side, and a storage for each server.

use std::{sync::OnceLock, time::Duration};

use bytes::Bytes;
use futures::StreamExt;
use reelmill_api::{Failure, Location};
use reelmill_lab::s3::{ACCESS_KEY, BUCKET, SECRET_KEY, Server};
use reelmill_storage::{FileRoots, ObjectInfo, Patience, S3Config, Storage, StorageError};
use tempfile::TempDir;

/// One driver with a folder of its own to work in.
pub(crate) struct Site {
    pub(crate) name: &'static str,
    pub(crate) storage: Storage,
    pub(crate) base: Location,
    /// Kept for as long as the site is used.
    _keep: (Option<Server>, Option<TempDir>),
}

impl Site {
    pub(crate) fn at(&self, relative: &str) -> Location {
        self.base.join(relative).expect("a good name")
    }
}

/// Both drivers.
pub(crate) async fn sites() -> [Site; 2] {
    let server = Server::start().await;
    let s3 = Site {
        name: "s3",
        storage: reach(&server),
        base: location(&format!("s3://{BUCKET}/base")),
        _keep: (Some(server), None),
    };
    let folder = TempDir::new().expect("a temporary folder");
    let folder = Site {
        name: "folder",
        storage: Storage::new(None, FileRoots::none().writing(folder.path())).expect("roots need nothing"),
        base: location(&format!("file://{}/base", folder.path().display())),
        _keep: (None, Some(folder)),
    };
    [s3, folder]
}

/// Short pauses, but time enough for a busy machine; [`stall_after`] is for tests that provoke a stall.
pub(crate) fn impatient() -> Patience {
    Patience {
        connect: Duration::from_millis(800),
        stall: Duration::from_secs(10),
        join: Duration::from_secs(60),
        attempts: 4,
        pause: Duration::from_millis(5),
        unreachable: Duration::from_millis(1500),
    }
}

/// The usual keys, and a server that is silent for this long has stalled.
pub(crate) fn stall_after(endpoint: &str, stall: Duration) -> S3Config {
    let mut config = config(endpoint);
    (config.patience.stall, config.patience.join) = (stall, stall);
    config
}

/// The usual keys for a store at this address.
pub(crate) fn config(endpoint: &str) -> S3Config {
    let url = endpoint.parse().expect("an address");
    let mut config = S3Config::new(Some(url), "us-east-1", ACCESS_KEY, SECRET_KEY);
    config.patience = impatient();
    config
}

/// A storage that reaches this server.
pub(crate) fn reach(server: &Server) -> Storage {
    s3_only(config(&server.endpoint))
}

/// A storage of one S3 store only.
pub(crate) fn s3_only(config: S3Config) -> Storage {
    Storage::new(Some(config), FileRoots::none()).expect("a good configuration")
}

pub(crate) fn location(text: &str) -> Location {
    text.parse().expect("a good location")
}

/// The first bytes of the same 20 MiB each time: different at each place within 64 KiB, and between places further apart.
pub(crate) fn pattern(len: usize) -> Bytes {
    static WHOLE: OnceLock<Bytes> = OnceLock::new();
    let byte = |i: usize| u8::try_from((i ^ (i >> 8).wrapping_mul(31) ^ (i >> 16)) & 0xff).expect("masked");
    WHOLE.get_or_init(|| (0..20 << 20).map(byte).collect()).slice(..len)
}

/// All that a read gives.
pub(crate) async fn read(
    storage: &Storage,
    at: &Location,
    info: &ObjectInfo,
    range: std::ops::Range<u64>,
) -> Result<Bytes, StorageError> {
    let mut stream = storage.read(at, info, range);
    let mut whole = Vec::new();
    while let Some(part) = stream.next().await {
        whole.extend_from_slice(&part?);
    }
    Ok(whole.into())
}

/// Waits for something that goes on in the background.
pub(crate) async fn until(what: &str, done: impl Fn() -> bool) {
    let waiting = async {
        while !done() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.expect(what);
}

/// An error as a terminal shows it.
pub(crate) fn lines(error: StorageError) -> String {
    Failure::from(error).lines()
}
