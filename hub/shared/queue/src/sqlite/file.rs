//! The queue's file: how it is named in an address, made, opened and recognised.

use std::{
    fs::OpenOptions,
    io::ErrorKind,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    ConnectOptions, Connection as _, Sqlite, SqliteConnection, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::{
    sync::{Mutex, MutexGuard},
    time::{Instant, timeout},
};
use url::Url;

use super::bell::Bell;
use crate::QueueError;

/// The schema this build reads and writes.
const SCHEMA_VERSION: i64 = 2;
/// How long a call waits for other processes that write; each write holds the file for some milliseconds.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections that only read: a few, as each is a thread.
const READERS: u32 = 2;

/// The file's connections. One writes, so that a process's own tasks line up instead of fighting over the lock; no pool has
/// it, which asks it before and after each use whether it is well, and each question is a thread's turn.
pub(super) struct File {
    writers: Mutex<Writers>,
    pub(super) reader: SqlitePool,
    pub(super) bell: Bell,
}

/// The connections that write, one at a time.
pub(super) struct Writers {
    /// What it has committed is on the disk.
    pub(super) lasting: SqliteConnection,
    /// What it has committed is seen by all, and is on the disk with what is written next to last: a power cut may undo it. For what
    /// is the same when it is done again.
    pub(super) fleeting: SqliteConnection,
    options: Box<SqliteConnectOptions>,
}

impl Writers {
    /// The first of the two, in no transaction. A full disk and the like make SQLite undo a transaction by itself; sqlx goes on to
    /// believe in it, and begins no other on that connection.
    pub(super) async fn lasting(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        if self.lasting.is_in_transaction() {
            // One that was called off is undone first.
            self.lasting.ping().await?;
        }
        if self.lasting.is_in_transaction() {
            self.lasting = self.options.connect().await?;
        }
        Ok(&mut self.lasting)
    }
}

impl File {
    /// The connections that write, when this process's other tasks have written.
    pub(super) async fn writers(&self) -> Result<MutexGuard<'_, Writers>, sqlx::Error> {
        timeout(BUSY_TIMEOUT * 2, self.writers.lock()).await.map_err(|_| sqlx::Error::PoolTimedOut)
    }
}

/// The address of the queue in the file at `path`, whatever characters the path holds.
pub fn sqlite_url(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let url = Url::from_file_path(&absolute).map_or_else(|()| format!("file://{}", path.display()), String::from);
    url.replacen("file://", "sqlite://", 1)
}

/// The path in `sqlite:///absolute/path` (percent-encoded where needed) or `sqlite:relative`.
pub(super) fn path_of(url: &str) -> Result<PathBuf, QueueError> {
    let rest = url.strip_prefix("sqlite:").unwrap_or(url);
    let bad = |why: &str| QueueError::BadAddress {
        message: format!("cannot use `{url}` as a queue: {why}"),
        hint: "write sqlite:///absolute/path/queue.sqlite".to_owned(),
    };
    let path = match rest.strip_prefix("//") {
        Some(absolute) if absolute.starts_with('/') => {
            let parsed = Url::parse(&format!("file://{absolute}")).map_err(|e| bad(&e.to_string()))?;
            if parsed.query().is_some() || parsed.fragment().is_some() {
                return Err(bad("it holds `?` or `#`, which a path must write as %3F and %23"));
            }
            parsed.to_file_path().map_err(|()| bad("it names no path"))?
        }
        Some(_) => return Err(bad("a path after `sqlite://` begins with a third slash")),
        None => PathBuf::from(rest),
    };
    match path.to_str() {
        None | Some("") => Err(bad("it names no file")),
        Some(":memory:") => Err(bad("a queue in memory cannot be shared between processes")),
        Some(_) => Ok(path),
    }
}

/// Opens the file, made if it is missing, and brings it to this build's schema.
pub(super) async fn open(path: &Path) -> Result<File, QueueError> {
    create(path)?;
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        // SQLite does not wait for others while it turns a new file to WAL, so the wait is ours.
        match try_open(path).await {
            Err(e) if is_busy(&e) && Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(e) => return Err(refusal(path, &e.to_string())),
            Ok(Opened::Ready(file)) => return Ok(file),
            Ok(Opened::Foreign(why)) => return Err(refusal(path, why)),
        }
    }
}

/// Makes the file before SQLite does, closed to other users; its journal gets the same rights.
fn create(path: &Path) -> Result<(), QueueError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o660).open(path) {
        Ok(_) => Ok(()),
        Err(_) if path.is_dir() => Err(refusal(path, "it is a directory")),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(refusal(path, &e.to_string())),
    }
}

enum Opened {
    Ready(File),
    Foreign(&'static str),
}

async fn try_open(path: &Path) -> Result<Opened, sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        // A task that was taken in must survive a power cut.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        // A waiting worker looks twenty times a second; nobody wants to read of it.
        .log_statements(log::LevelFilter::Trace);
    let mut lasting = options.connect().await?;
    if let Some(why) = migrate(&mut lasting).await? {
        return Ok(Opened::Foreign(why));
    }
    let fleeting = options.clone().synchronous(SqliteSynchronous::Normal).connect().await?;
    let readers = SqlitePoolOptions::new().max_connections(READERS).acquire_timeout(BUSY_TIMEOUT * 2);
    let reader = readers.test_before_acquire(false).connect_with(options.clone()).await?;
    let writers = Mutex::new(Writers { lasting, fleeting, options: Box::new(options) });
    Ok(Opened::Ready(File { writers, reader, bell: Bell::on(path) }))
}

/// Brings the file to this build's schema, or says why it is not ours to touch.
async fn migrate(writer: &mut SqliteConnection) -> Result<Option<&'static str>, sqlx::Error> {
    const VERSION: &str = "PRAGMA user_version";
    // A file that is ready needs no write, so that whoever holds it meanwhile keeps nobody from starting.
    if sqlx::query_scalar::<_, i64>(VERSION).fetch_one(&mut *writer).await? == SCHEMA_VERSION {
        return Ok(None);
    }
    let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
    let version: i64 = sqlx::query_scalar(VERSION).fetch_one(&mut *tx).await?;
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(&mut *tx).await?;
    match version {
        SCHEMA_VERSION => Ok(None),
        0 if tables == 0 => {
            sqlx::raw_sql(include_str!("schema.sql")).execute(&mut *tx).await?;
            finish(tx).await
        }
        1 => {
            sqlx::raw_sql(include_str!("to_2.sql")).execute(&mut *tx).await?;
            finish(tx).await
        }
        0 => Ok(Some("the file holds another program's tables")),
        _ => Ok(Some("the file was made by a newer Reelmill")),
    }
}

async fn finish(mut tx: Transaction<'_, Sqlite>) -> Result<Option<&'static str>, sqlx::Error> {
    sqlx::raw_sql("PRAGMA user_version = 2").execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(None)
}

/// Whether the file was merely in use.
fn is_busy(e: &sqlx::Error) -> bool {
    // SQLITE_BUSY and SQLITE_LOCKED, whatever their extended part.
    let code = e.as_database_error().and_then(|e| e.code()).and_then(|c| c.parse::<u32>().ok());
    code.is_some_and(|c| matches!(c & 0xff, 5 | 6))
}

fn refusal(path: &Path, why: &str) -> QueueError {
    QueueError::BadAddress {
        message: format!("cannot open the queue in {}: {why}", path.display()),
        hint: "give a path in a folder that exists and that this user may write to".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_path_in_an_address() {
        for (url, path) in [
            ("sqlite:///var/lib/q.sqlite", "/var/lib/q.sqlite"),
            ("sqlite:///a%20b/50%25.sqlite", "/a b/50%.sqlite"),
            ("sqlite:q.sqlite", "q.sqlite"),
            ("sqlite:/q.sqlite", "/q.sqlite"),
        ] {
            assert_eq!(path_of(url).expect(url), Path::new(path));
        }
    }

    #[test]
    fn refuses_an_address_that_names_no_file() {
        for url in
            ["sqlite:", "sqlite://", "sqlite://q.sqlite", "sqlite::memory:", "sqlite:///q?mode=ro", "sqlite:///q#1"]
        {
            let error = path_of(url).expect_err(url);
            assert!(error.hint().is_some_and(|h| h.contains("sqlite:///absolute")), "{error}");
        }
    }

    #[tokio::test]
    async fn a_file_that_another_holds_can_be_opened() {
        let folder = tempfile::TempDir::new().expect("a temporary folder");
        let path = folder.path().join("q.sqlite");
        let first = open(&path).await.expect("a new file");
        let mut writers = first.writers().await.expect("nobody writes");
        let held = writers.lasting.begin_with("BEGIN IMMEDIATE").await.expect("nobody else writes");
        open(&path).await.expect("it is ready");
        held.rollback().await.expect("it was ours");
    }

    #[test]
    fn an_address_made_from_a_path_leads_back_to_it() {
        for path in ["/tmp/a b/50%/q?#.sqlite", "/q"] {
            assert_eq!(path_of(&sqlite_url(Path::new(path))).expect(path), Path::new(path));
        }
    }
}
