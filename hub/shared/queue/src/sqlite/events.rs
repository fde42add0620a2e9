//! Events in the file: a table that is pruned as it grows.

use std::sync::atomic::Ordering;

use super::{SqliteQueue, begin, now_us};
use crate::{Cursor, EVENTS_KEPT, EVENTS_PER_READ, Events};

/// How many events one process emits between two prunings.
const PRUNE_EVERY: u64 = 256;
/// What a cursor of this driver begins with. A cursor of another one means a reader that was moved here.
const CURSOR: &str = "sqlite:";

impl SqliteQueue {
    pub(super) async fn append_event(&self, body: &[u8]) -> Result<(), sqlx::Error> {
        let mut writers = self.file.writers().await?;
        let (mut tx, _) = begin(&mut writers).await?;
        sqlx::query(
            "INSERT INTO events (queue, id, body)
             SELECT ?1, max(?2, coalesce(max(id), 0) + 1), ?3 FROM events WHERE queue = ?1",
        )
        .bind(self.farm.as_str())
        .bind(now_us())
        .bind(body)
        .execute(&mut *tx)
        .await?;
        if self.emitted.fetch_add(1, Ordering::Relaxed).is_multiple_of(PRUNE_EVERY) {
            sqlx::query(
                "DELETE FROM events WHERE queue = ?1 AND id <= (
                    SELECT id FROM events WHERE queue = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
            )
            .bind(self.farm.as_str())
            .bind(EVENTS_KEPT.cast_signed())
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        self.file.bell.ring();
        Ok(())
    }

    pub(super) async fn read_events(&self, after: &Cursor) -> Result<Events, sqlx::Error> {
        let from: i64 = after.0.strip_prefix(CURSOR).and_then(|id| id.parse().ok()).unwrap_or(0);
        let rows: Vec<(i64, Vec<u8>)> =
            sqlx::query_as("SELECT id, body FROM events WHERE queue = ? AND id > ? ORDER BY id LIMIT ?")
                .bind(self.farm.as_str())
                .bind(from)
                .bind(EVENTS_PER_READ)
                .fetch_all(&self.file.reader)
                .await?;
        let next = rows.last().map_or_else(|| after.clone(), |(id, _)| Cursor(format!("{CURSOR}{id}")));
        Ok(Events { bodies: rows.into_iter().map(|(_, body)| body).collect(), next })
    }
}
