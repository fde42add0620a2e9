//! The hub's database: jobs, the outbox of their tasks, and how far the queue's events were read.

mod cursor;
pub mod enrol;
mod jobs;
mod nodes;
mod outbox;
mod retained;

use std::{path::Path, time::Duration};

use sqlx::{
    Connection as _, Sqlite, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

pub use jobs::{Failing, Filter, Submitted};
pub use outbox::Outgoing;

/// What makes each version of the schema from the one before it.
const SCHEMA: [&str; 3] = [include_str!("db/schema.sql"), include_str!("db/fleet.sql"), include_str!("db/enrol.sql")];
/// How long a writer waits for another; far longer than any transaction here lasts.
const BUSY_TIMEOUT: Duration = Duration::from_secs(20);
/// Readers beside the one writer that SQLite allows.
const CONNECTIONS: u32 = 6;

/// Why the database could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The file was written by a later version.
    #[error("the database has schema version {found}, this program knows {}", SCHEMA.len())]
    TooNew {
        /// The file's version.
        found: i64,
    },
    /// A row holds what this program never writes.
    #[error("the database holds a row that cannot be read: {0}")]
    Corrupt(String),
    /// SQLite failed.
    #[error("the database failed: {0}")]
    Sqlite(#[from] sqlx::Error),
}

/// The open database.
#[derive(Clone, Debug)]
pub struct Db {
    pool: SqlitePool,
}

impl Db {
    /// Opens the file, making it and its tables where they are missing.
    ///
    /// # Errors
    /// If it cannot be opened, or is of a later version.
    pub async fn open(path: &Path) -> Result<Self, DbError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A job that was answered with 201 must survive a power cut.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            // A full disk and the like make SQLite undo a transaction by itself; sqlx goes on to believe in it, and begins no other
            // on that connection. One that was called off is undone before this is asked.
            .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
            .connect_with(options)
            .await?;
        let db = Self { pool };
        db.migrate().await?;
        Ok(db)
    }

    /// Whether it answers.
    ///
    /// # Errors
    /// If it does not.
    pub async fn ping(&self) -> Result<(), DbError> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    /// Closes it; what is written is on the disk.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn migrate(&self) -> Result<(), DbError> {
        let mut tx = self.write().await?;
        let (found,): (i64,) = sqlx::query_as("PRAGMA user_version").fetch_one(&mut *tx).await?;
        let missing = usize::try_from(found).ok().and_then(|found| SCHEMA.get(found..));
        let missing = missing.ok_or(DbError::TooNew { found })?;
        if missing.is_empty() {
            return Ok(());
        }
        for step in missing {
            sqlx::raw_sql(*step).execute(&mut *tx).await?;
        }
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("PRAGMA user_version = {}", SCHEMA.len()))).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// A transaction that holds the write lock from its start, so that it never fails half way for want of it.
    async fn write(&self) -> Result<Transaction<'static, Sqlite>, DbError> {
        Ok(self.pool.begin_with("BEGIN IMMEDIATE").await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn refuses_a_database_of_a_later_version_and_leaves_it_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("hub.sqlite");
        let db = Db::open(&path).await.expect("a new database");
        sqlx::raw_sql("PRAGMA user_version = 9").execute(&db.pool).await.expect("a later version");
        db.close().await;
        let error = Db::open(&path).await.expect_err("a later version");
        assert_eq!(error.to_string(), "the database has schema version 9, this program knows 3");
    }

    #[tokio::test]
    async fn a_database_of_an_earlier_version_is_taken_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("hub.sqlite");
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let old = SqlitePool::connect_with(options).await.expect("a file");
        sqlx::raw_sql(SCHEMA[0]).execute(&old).await.expect("the first schema");
        sqlx::raw_sql("PRAGMA user_version = 1; INSERT INTO cursor VALUES (1, '7')")
            .execute(&old)
            .await
            .expect("a row");
        old.close().await;
        let db = Db::open(&path).await.expect("it is taken over");
        assert_eq!((db.cursor().await.expect("kept").as_str(), db.nodes().await.expect("new").len()), ("7", 0));
        db.close().await;
        Db::open(&path).await.expect("once");
    }

    #[tokio::test]
    async fn a_job_comes_back_whole_and_events_are_applied_once() {
        use reelmill_api::{AttemptId, Event, EventBody, Progress, Task};

        let folder = tempfile::tempdir().expect("a folder");
        let db = Db::open(&folder.path().join("hub.sqlite")).await.expect("a database");
        let job = crate::sample::job();
        let task: Task = serde_json::from_value(serde_json::json!({
            "job": job.id, "input": job.input, "preset": job.preset,
        }))
        .expect("a task");
        assert_eq!(db.submit(&job, &task).await.expect("stored"), Submitted::Admitted(job.clone()));
        assert_eq!(db.job(&job.id).await.expect("read").as_ref(), Some(&job));

        let event = |body| Event { job: job.id, attempt: AttemptId::new(1, 7), node: "n".to_owned(), body };
        let report = crate::sample::report(&job);
        let progress = EventBody::Progress { progress: Progress { frame: 7, ..Progress::default() } };
        let events = [event(progress), event(EventBody::Done { report: Box::new(report.clone()) })];
        let states = |jobs: Vec<reelmill_api::job::Job>| jobs.iter().map(|j| j.state.as_str()).collect::<Vec<_>>();
        assert_eq!(states(db.apply(&events, "2", "later").await.expect("applied")), ["running", "done"]);
        assert_eq!(states(db.apply(&events, "2", "later").await.expect("applied")), Vec::<&str>::new());
        assert_eq!(db.cursor().await.expect("read"), "2");
        assert_eq!(db.job(&job.id).await.expect("read").and_then(|j| j.report), Some(report));
        let listed = db.jobs(Filter { state: None, limit: 10 }).await.expect("read");
        assert_eq!(listed.iter().map(|j| j.report.is_some()).collect::<Vec<_>>(), [false]);
    }

    /// A full disk makes SQLite undo a transaction by itself.
    #[tokio::test]
    async fn a_database_that_was_full_goes_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let db = Db::open(&folder.path().join("hub.sqlite")).await.expect("a database");
        let mut job = crate::sample::job();
        let mut submit = async || {
            job.id = reelmill_api::JobId::new(uuid::Uuid::now_v7());
            let task = serde_json::json!({"job": job.id, "input": job.input, "preset": job.preset});
            db.submit(&job, &serde_json::from_value(task).expect("a task")).await.map(|_| job.id)
        };
        // A limit on the file's size, which is a connection's own.
        let tell = async |pragma: &'static str| {
            let mut all = Vec::new();
            for _ in 0..CONNECTIONS {
                all.push(db.pool.acquire().await.expect("nobody else has one"));
            }
            for connection in &mut all {
                sqlx::raw_sql(pragma).execute(&mut **connection).await.expect("a pragma");
            }
        };
        let mut stored = Vec::new();
        tell("PRAGMA max_page_count = 40").await;
        let full = loop {
            match submit().await {
                Ok(id) => stored.push(id),
                Err(full) => break full,
            }
            assert!(stored.len() < 1000, "it is never full");
        };
        assert!(full.to_string().contains("full"), "{full}");
        for _ in 0..10 {
            tell("PRAGMA max_page_count = 40").await;
            let error = submit().await.expect_err("there is no room").to_string();
            assert!(error.contains("full"), "{error}");
        }
        tell("PRAGMA max_page_count = 1000000").await;
        for _ in 0..10 {
            stored.push(submit().await.expect("there is room"));
        }
        for id in stored {
            assert!(db.job(&id).await.expect("an answer").is_some(), "what was taken is there");
        }
    }

    #[tokio::test]
    async fn names_the_sources_that_fail_again_and_again() {
        use reelmill_api::{AttemptId, ErrorKind, Event, EventBody, Failure, Progress, Task};

        /// A source, when its job was last told of, and what was told.
        type Told = (&'static str, &'static str, Vec<(u32, EventBody)>);

        let folder = tempfile::tempdir().expect("a folder");
        let db = Db::open(&folder.path().join("hub.sqlite")).await.expect("a database");
        let failed = |retry_in_seconds| EventBody::Failed {
            failure: Failure::new(ErrorKind::BadSource, "no picture"),
            retry_in_seconds,
        };
        let progress = || EventBody::Progress { progress: Progress::default() };
        // One that was given up at once, thrice; one that is tried the fourth time; one that failed long ago; one that failed
        // and then did not; one that failed twice.
        let told: [Told; 7] = [
            ("s3://ingest/bad", "2026-11-22T10:00:00.000Z", vec![(1, failed(None))]),
            ("s3://ingest/bad", "2026-11-22T10:00:01.000Z", vec![(1, failed(None))]),
            ("s3://ingest/bad", "2026-11-22T10:00:02.000Z", vec![(1, failed(None))]),
            ("s3://ingest/slow", "2026-11-22T10:00:00.000Z", vec![(3, failed(Some(5))), (4, progress())]),
            ("s3://ingest/old", "2026-11-20T10:00:00.000Z", vec![(5, failed(None))]),
            (
                "s3://ingest/good",
                "2026-11-22T10:00:00.000Z",
                vec![
                    (4, failed(Some(5))),
                    (5, EventBody::Done { report: Box::new(crate::sample::report(&crate::sample::job())) }),
                ],
            ),
            ("s3://ingest/twice", "2026-11-22T10:00:00.000Z", vec![(2, failed(Some(5)))]),
        ];
        for (at, (input, now, events)) in told.into_iter().enumerate() {
            let id = uuid::Uuid::from_u128(at as u128 + 1);
            let input = input.parse().expect("a location");
            let job = reelmill_api::job::Job { id: reelmill_api::JobId::new(id), input, ..crate::sample::job() };
            let task = serde_json::json!({"job": job.id, "input": job.input, "preset": job.preset});
            db.submit(&job, &serde_json::from_value::<Task>(task).expect("a task")).await.expect("stored");
            for (attempt, body) in events {
                let attempt = AttemptId::new(attempt, 7);
                let event = Event { job: job.id, attempt, node: "n".to_owned(), body };
                assert_eq!(db.apply(&[event], "1", now).await.expect("applied").len(), 1);
            }
        }
        let since: jiff::Timestamp = "2026-11-21T12:00:00Z".parse().expect("a time");
        let failing = async |least, most| {
            let found = db.failing(since, least, most).await.expect("read");
            found.into_iter().map(|Failing { source, attempts }| format!("{source} {attempts}")).collect::<Vec<_>>()
        };
        assert_eq!(failing(3, 10).await, ["s3://ingest/bad 3", "s3://ingest/slow 3"]);
        assert_eq!(failing(2, 10).await, ["s3://ingest/bad 3", "s3://ingest/slow 3", "s3://ingest/twice 2"]);
        assert_eq!(failing(2, 1).await, ["s3://ingest/bad 3"]);
    }
}
