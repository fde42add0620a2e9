//! SQLite: insert; claim and delete, each on the disk before it returns.

use std::time::Duration;

use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::queues::notes::Noting;

/// How often the file is looked at while it is empty.
const POLL: Duration = Duration::from_millis(1);

pub(in super::super) struct Table(SqlitePool);

impl Table {
    pub(super) async fn open(url: &str) -> Self {
        let options = url.parse::<SqliteConnectOptions>().expect("an address").create_if_missing(true);
        let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
        let options = options.busy_timeout(Duration::from_secs(30));
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.expect("it opens");
        let table = "CREATE TABLE IF NOT EXISTS raw (seq INTEGER PRIMARY KEY, taken INTEGER, body BLOB)";
        sqlx::raw_sql(table).execute(&pool).await.expect("a table");
        Self(pool)
    }

    pub(super) async fn publish(&self, body: &str) {
        let insert = sqlx::query("INSERT INTO raw (body) VALUES (?)").bind(body.as_bytes());
        insert.execute(&self.0).await.expect("stored");
    }

    pub(super) async fn consume(self, noting: &Noting) {
        let Self(pool) = self;
        loop {
            let claim = "UPDATE raw SET taken = 1 WHERE seq = \
                         (SELECT seq FROM raw WHERE taken IS NULL ORDER BY seq LIMIT 1) RETURNING seq, body";
            let taken: Option<(i64, Vec<u8>)> = sqlx::query_as(claim).fetch_optional(&pool).await.expect("an answer");
            let Some((seq, body)) = taken else {
                tokio::time::sleep(POLL).await;
                continue;
            };
            noting.note(&body);
            sqlx::query("DELETE FROM raw WHERE seq = ?").bind(seq).execute(&pool).await.expect("it was ours");
        }
    }
}
