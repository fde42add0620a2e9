//! Outbox rows: tasks on their way to the queue.

use reelmill_api::{JobId, Task};
use sqlx::{Sqlite, Transaction};

use super::{Db, DbError};

/// A task that waits to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Its place in the outbox.
    pub seq: i64,
    /// The task.
    pub task: Task,
}

pub(super) async fn add(tx: &mut Transaction<'_, Sqlite>, task: &Task) -> Result<(), DbError> {
    let message = String::from_utf8(task.to_message()).expect("JSON is UTF-8");
    sqlx::query("INSERT INTO outbox (job, task) VALUES ($1, $2)")
        .bind(task.job.to_string())
        .bind(message)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Forgets a job's task, if it waits to be published.
pub(super) async fn remove(tx: &mut Transaction<'_, Sqlite>, job: &JobId) -> Result<(), DbError> {
    sqlx::query("DELETE FROM outbox WHERE job = $1").bind(job.to_string()).execute(&mut **tx).await?;
    Ok(())
}

impl Db {
    /// The oldest tasks that wait to be published, of those behind the place `after`; the first is behind 0.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn outgoing(&self, after: i64, limit: u32) -> Result<Vec<Outgoing>, DbError> {
        let rows: Vec<(i64, String)> =
            sqlx::query_as("SELECT seq, task FROM outbox WHERE seq > $1 ORDER BY seq LIMIT $2")
                .bind(after)
                .bind(limit)
                .fetch_all(&self.pool)
                .await?;
        let outgoing = |(seq, task): (i64, String)| {
            let task = serde_json::from_str(&task).map_err(|e| DbError::Corrupt(e.to_string()))?;
            Ok(Outgoing { seq, task })
        };
        rows.into_iter().map(outgoing).collect()
    }

    /// Forgets a task that the queue has taken.
    ///
    /// # Errors
    /// If the database fails; the task will then be published again, which does no harm.
    pub async fn published(&self, outgoing: &Outgoing) -> Result<(), DbError> {
        sqlx::query("DELETE FROM outbox WHERE seq = $1").bind(outgoing.seq).execute(&self.pool).await?;
        Ok(())
    }
}
