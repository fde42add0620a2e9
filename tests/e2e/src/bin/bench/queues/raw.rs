//! The servers' own commands by their raw clients, with nothing in between: what a queue on them costs at least.

use std::time::Duration;

use redis::{AsyncCommands as _, aio::MultiplexedConnection, streams::StreamReadOptions, streams::StreamReadReply};
use reelmill_lab::queues::Kind;
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::notes::Noting;

const STREAM: &str = "raw";
const GROUP: &str = "bench";
/// How often the file is looked at while it is empty.
const POLL: Duration = Duration::from_millis(1);

/// A raw client of one kind of queue.
pub(super) enum Raw {
    /// A stream with a group.
    Redis(MultiplexedConnection),
    /// A table of messages.
    Sqlite(SqlitePool),
}

impl Raw {
    /// Whether there is one for that kind.
    pub(super) fn is_there(kind: Kind) -> bool {
        matches!(kind, Kind::Redis | Kind::Sqlite)
    }

    /// Connects.
    pub(super) async fn open(kind: Kind, url: &str) -> Self {
        match kind {
            Kind::Redis => {
                let client = redis::Client::open(url).expect("an address");
                // A read that blocks has no other limit than its own.
                let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
                let connection = client.get_multiplexed_async_connection_with_config(&config);
                let mut connection = connection.await.expect("it answers");
                // All but the first find it there.
                let _: Result<(), _> = connection.xgroup_create_mkstream(STREAM, GROUP, "0").await;
                Self::Redis(connection)
            }
            Kind::Sqlite => {
                let options = url.parse::<SqliteConnectOptions>().expect("an address").create_if_missing(true);
                let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
                let options = options.busy_timeout(Duration::from_secs(30));
                let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.expect("it opens");
                let table = "CREATE TABLE IF NOT EXISTS raw (seq INTEGER PRIMARY KEY, taken INTEGER, body BLOB)";
                sqlx::raw_sql(table).execute(&pool).await.expect("a table");
                Self::Sqlite(pool)
            }
            Kind::RabbitMq | Kind::Nats | Kind::Sqs => unreachable!("whoever asks has asked is_there"),
        }
    }

    /// Publishes one message.
    pub(super) async fn publish(&self, body: &str) {
        match self {
            Self::Redis(connection) => {
                let _: String = connection.clone().xadd(STREAM, "*", &[("body", body)]).await.expect("stored");
            }
            Self::Sqlite(pool) => {
                let insert = sqlx::query("INSERT INTO raw (body) VALUES (?)").bind(body.as_bytes());
                insert.execute(pool).await.expect("stored");
            }
        }
    }

    /// Takes messages and removes them, for ever.
    pub(super) async fn consume(self, name: usize, noting: &Noting) {
        match self {
            Self::Redis(mut connection) => loop {
                let options = StreamReadOptions::default().group(GROUP, name).count(1).block(2000);
                let read: Option<StreamReadReply> =
                    connection.xread_options(&[STREAM], &[">"], &options).await.expect("an answer");
                for entry in read.into_iter().flat_map(|read| read.keys).flat_map(|key| key.ids) {
                    noting.note(&entry.get::<Vec<u8>>("body").expect("a body"));
                    let mut done = redis::pipe();
                    done.xack(STREAM, GROUP, &[&entry.id]).ignore().xdel(STREAM, &[&entry.id]).ignore();
                    done.exec_async(&mut connection).await.expect("it was ours");
                }
            },
            Self::Sqlite(pool) => loop {
                let claim = "UPDATE raw SET taken = 1 WHERE seq = \
                             (SELECT seq FROM raw WHERE taken IS NULL ORDER BY seq LIMIT 1) RETURNING seq, body";
                let taken: Option<(i64, Vec<u8>)> =
                    sqlx::query_as(claim).fetch_optional(&pool).await.expect("an answer");
                let Some((seq, body)) = taken else {
                    tokio::time::sleep(POLL).await;
                    continue;
                };
                noting.note(&body);
                sqlx::query("DELETE FROM raw WHERE seq = ?").bind(seq).execute(&pool).await.expect("it was ours");
            },
        }
    }
}
