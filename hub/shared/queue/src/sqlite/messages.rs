//! What happens to messages in the file: each change is one transaction, whose time is taken under the write lock.

use std::{sync::PoisonError, time::Duration};

use reelmill_api::{AttemptNumber, Lane, Priority};
use sqlx::{Sqlite, Transaction};
use uuid::Uuid;

use super::{SqliteQueue, begin, now_ms};
use crate::{
    DEDUPE_MEMORY, DeadLetter, Depth, Leased, NewMessage, Published, QueueError, Receipt,
    time::{from_millis, millis},
};

/// Unix milliseconds in a statement: as it is when the statement has taken the write lock, so that it is not older than
/// any that was written before. Such a statement is a transaction of its own, and asks the file once instead of thrice.
macro_rules! now {
    () => {
        "CAST(round(unixepoch('subsec') * 1000) AS INTEGER)"
    };
}

/// The first ready message of a lane with the priority in that parameter.
macro_rules! first_of {
    ($priority:literal) => {
        concat!(
            "(SELECT seq FROM messages WHERE lane = ?3 AND priority = ",
            $priority,
            " AND visible_at <= ",
            now!(),
            " ORDER BY place, seq LIMIT 1)"
        )
    };
}

const CLAIM: &str = concat!(
    "UPDATE messages SET nonce = ?1, visible_at = ",
    now!(),
    " + ?2, attempts = attempts + 1 WHERE seq = coalesce(",
    first_of!("?4"),
    ", ",
    first_of!("?5"),
    ", ",
    first_of!("?6"),
    ") RETURNING id, attempts, body"
);

/// Whether the message was there, and the receipt held it where there was one.
type Held = Result<bool, sqlx::Error>;

impl SqliteQueue {
    /// The answer to a call that needed the lease.
    pub(super) fn held(&self, receipt: &Receipt, doing: &str, held: Held) -> Result<(), QueueError> {
        match held.map_err(self.failed(format!("{doing} on lane {}", receipt.lane)))? {
            true => Ok(()),
            false => Err(QueueError::LeaseLost { lane: receipt.lane.clone() }),
        }
    }

    pub(super) async fn insert(&self, lane: &Lane, message: &NewMessage) -> Result<Published, sqlx::Error> {
        let mut writers = self.file.writers().await?;
        let (mut tx, now) = begin(&mut writers).await?;
        if let Some(key) = &message.dedupe_key {
            sqlx::query("DELETE FROM dedupe WHERE expires <= ?").bind(now).execute(&mut *tx).await?;
            let fresh = sqlx::query("INSERT OR IGNORE INTO dedupe (lane, key, expires) VALUES (?, ?, ?)")
                .bind(lane.as_str())
                .bind(key)
                .bind(now + millis(DEDUPE_MEMORY))
                .execute(&mut *tx)
                .await?;
            if fresh.rows_affected() == 0 {
                return Ok(Published::Duplicate);
            }
        }
        let ready_at = now + millis(message.delay);
        sqlx::query(
            "INSERT INTO messages (id, lane, priority, place, visible_at, published_at, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(Uuid::now_v7().to_string())
        .bind(lane.as_str())
        .bind(rank(message.priority))
        .bind(ready_at)
        .bind(ready_at)
        .bind(now)
        .bind(&message.body)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        self.file.bell.ring();
        Ok(Published::Stored)
    }

    pub(super) async fn claim(&self, lane: &Lane, lasting: Duration) -> Result<Option<Leased>, sqlx::Error> {
        if !self.is_lively(lane) && !self.has_ready(lane).await? {
            return Ok(None);
        }
        let nonce = Uuid::new_v4().to_string();
        let [first, second, third] = self.turns.next(lane).map(rank);
        // To its last row, so that it is known to be committed.
        let claimed: Vec<(String, AttemptNumber, Vec<u8>)> = sqlx::query_as(CLAIM)
            .bind(&nonce)
            .bind(millis(lasting))
            .bind(lane.as_str())
            .bind(first)
            .bind(second)
            .bind(third)
            .fetch_all(&mut self.file.writers().await?.lasting)
            .await?;
        self.note(lane, !claimed.is_empty());
        Ok(claimed.into_iter().next().map(|(message_id, attempt, body)| Leased {
            receipt: Receipt::new(lane, &message_id, &nonce),
            lane: lane.clone(),
            message_id,
            attempt,
            body,
        }))
    }

    /// A look without the lock: waiting workers must not keep those out that have something to write.
    async fn has_ready(&self, lane: &Lane) -> Result<bool, sqlx::Error> {
        let ready: Option<i64> =
            sqlx::query_scalar("SELECT 1 FROM messages WHERE lane = ? AND visible_at <= ? LIMIT 1")
                .bind(lane.as_str())
                .bind(now_ms())
                .fetch_optional(&self.file.reader)
                .await?;
        Ok(ready.is_some())
    }

    fn is_lively(&self, lane: &Lane) -> bool {
        self.lively.lock().unwrap_or_else(PoisonError::into_inner).contains(lane)
    }

    /// Notes whether a claim found something.
    fn note(&self, lane: &Lane, found: bool) {
        let mut lively = self.lively.lock().unwrap_or_else(PoisonError::into_inner);
        if found {
            lively.insert(lane.clone());
            drop(lively);
            self.turns.taken(lane);
        } else {
            lively.remove(lane);
        }
    }

    pub(super) async fn prolong(&self, receipt: &Receipt, lasting: Duration) -> Held {
        let (id, nonce) = receipt.parts();
        let prolong = concat!(
            "UPDATE messages SET visible_at = ",
            now!(),
            " + ?1 WHERE id = ?2 AND nonce = ?3 AND visible_at > ",
            now!()
        );
        let done = sqlx::query(prolong)
            .bind(millis(lasting))
            .bind(id)
            .bind(nonce)
            .execute(&mut self.file.writers().await?.fleeting)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Ends a message. If a power cut undoes that, it is delivered once more, as after a worker that died before this.
    pub(super) async fn remove(&self, receipt: &Receipt) -> Held {
        let (id, nonce) = receipt.parts();
        let remove = concat!("DELETE FROM messages WHERE id = ?1 AND nonce = ?2 AND visible_at > ", now!());
        let done = sqlx::query(remove).bind(id).bind(nonce).execute(&mut self.file.writers().await?.fleeting).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Gives the message back for after `delay`, with `uncounted` of its deliveries forgotten.
    pub(super) async fn give_back(&self, receipt: &Receipt, delay: Duration, uncounted: i64) -> Held {
        let (id, nonce) = receipt.parts();
        let mut writers = self.file.writers().await?;
        let (mut tx, now) = begin(&mut writers).await?;
        let done = sqlx::query(
            "UPDATE messages SET nonce = NULL, visible_at = ?, attempts = attempts - ?
             WHERE id = ? AND nonce = ? AND visible_at > ?",
        )
        .bind(now + millis(delay))
        .bind(uncounted)
        .bind(id)
        .bind(nonce)
        .bind(now)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        self.file.bell.ring();
        Ok(done.rows_affected() == 1)
    }

    pub(super) async fn bury(&self, receipt: &Receipt, reason: &str) -> Held {
        let (id, nonce) = receipt.parts();
        let mut writers = self.file.writers().await?;
        let (mut tx, now) = begin(&mut writers).await?;
        let kept = sqlx::query(
            "INSERT INTO dead (id, lane, priority, reason, attempts, died_at, body)
             SELECT id, lane, priority, ?, attempts, ?, body FROM messages WHERE id = ? AND nonce = ? AND visible_at > ?",
        )
        .bind(reason)
        .bind(now)
        .bind(id)
        .bind(nonce)
        .bind(now)
        .execute(&mut *tx)
        .await?;
        if kept.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query("DELETE FROM messages WHERE id = ?").bind(id).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(true)
    }

    pub(super) async fn count(&self, lane: &Lane) -> Result<Depth, sqlx::Error> {
        let now = now_ms();
        let (ready, delayed, leased, oldest, dead): (i64, i64, i64, Option<i64>, i64) = sqlx::query_as(
            "SELECT count(*) FILTER (WHERE visible_at <= ?1),
                    count(*) FILTER (WHERE visible_at > ?1 AND nonce IS NULL),
                    count(*) FILTER (WHERE visible_at > ?1 AND nonce IS NOT NULL),
                    min(published_at) FILTER (WHERE visible_at <= ?1),
                    (SELECT count(*) FROM dead WHERE lane = ?2)
             FROM messages WHERE lane = ?2",
        )
        .bind(now)
        .bind(lane.as_str())
        .fetch_one(&self.file.reader)
        .await?;
        Ok(Depth {
            ready: ready.unsigned_abs(),
            delayed: delayed.unsigned_abs(),
            leased: Some(leased.unsigned_abs()),
            dead: dead.unsigned_abs(),
            oldest_ready: oldest.map(|published_at| from_millis(now - published_at)),
        })
    }

    /// Puts a dead letter at the end of its line.
    pub(super) async fn revive(&self, lane: &Lane, id: &str) -> Held {
        let mut writers = self.file.writers().await?;
        let (mut tx, now) = begin(&mut writers).await?;
        sqlx::query(
            "INSERT INTO messages (id, lane, priority, place, visible_at, published_at, body)
             SELECT id, lane, priority, ?1, ?1, ?1, body FROM dead WHERE lane = ?2 AND id = ?3",
        )
        .bind(now)
        .bind(lane.as_str())
        .bind(id)
        .execute(&mut *tx)
        .await?;
        let revived = unbury(tx, lane, id).await;
        self.file.bell.ring();
        revived
    }

    /// Removes a dead letter.
    pub(super) async fn discard(&self, lane: &Lane, id: &str) -> Held {
        let mut writers = self.file.writers().await?;
        let (tx, _) = begin(&mut writers).await?;
        unbury(tx, lane, id).await
    }

    pub(super) async fn buried(&self, lane: &Lane, limit: usize) -> Result<Vec<DeadLetter>, sqlx::Error> {
        let rows: Vec<(String, Vec<u8>, String, AttemptNumber)> =
            sqlx::query_as("SELECT id, body, reason, attempts FROM dead WHERE lane = ? ORDER BY seq LIMIT ?")
                .bind(lane.as_str())
                .bind(i64::try_from(limit).unwrap_or(i64::MAX))
                .fetch_all(&self.file.reader)
                .await?;
        let letter = |(message_id, body, reason, attempts)| DeadLetter { message_id, body, reason, attempts };
        Ok(rows.into_iter().map(letter).collect())
    }
}

/// Removes a dead letter and ends the transaction; whether there was one.
async fn unbury(mut tx: Transaction<'_, Sqlite>, lane: &Lane, id: &str) -> Held {
    let gone = sqlx::query("DELETE FROM dead WHERE lane = ? AND id = ?")
        .bind(lane.as_str())
        .bind(id)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(gone.rows_affected() > 0)
}

fn rank(priority: Priority) -> i64 {
    match priority {
        Priority::Low => 0,
        Priority::Normal => 1,
        Priority::High => 2,
    }
}
