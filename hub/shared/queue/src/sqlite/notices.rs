//! Notices in the file: one row each.

use std::collections::BTreeSet;

use reelmill_api::Notice;

use super::{SqliteQueue, begin, now_ms};
use crate::{CANCELED_MEMORY, time::millis};

impl SqliteQueue {
    pub(super) async fn put_up(&self, notice: &Notice) -> Result<(), sqlx::Error> {
        let mut writers = self.file.writers().await?;
        let (mut tx, now) = begin(&mut writers).await?;
        let expires = match notice {
            Notice::Paused(_) => None,
            Notice::Canceled(_) => Some(now + millis(CANCELED_MEMORY)),
        };
        sqlx::query("DELETE FROM notices WHERE expires <= ?").bind(now).execute(&mut *tx).await?;
        sqlx::query("INSERT OR IGNORE INTO notices (queue, notice, expires) VALUES (?, ?, ?)")
            .bind(self.farm.as_str())
            .bind(notice.to_string())
            .bind(expires)
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }

    pub(super) async fn take_down(&self, notice: &Notice) -> Result<(), sqlx::Error> {
        let mut writers = self.file.writers().await?;
        let (mut tx, _) = begin(&mut writers).await?;
        sqlx::query("DELETE FROM notices WHERE queue = ? AND notice = ?")
            .bind(self.farm.as_str())
            .bind(notice.to_string())
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }

    pub(super) async fn read_notices(&self) -> Result<BTreeSet<Notice>, sqlx::Error> {
        let texts: Vec<String> =
            sqlx::query_scalar("SELECT notice FROM notices WHERE queue = ? AND coalesce(expires > ?, TRUE)")
                .bind(self.farm.as_str())
                .bind(now_ms())
                .fetch_all(&self.file.reader)
                .await?;
        // One of a newer Reelmill is for others to heed.
        Ok(texts.iter().filter_map(|text| text.parse().ok()).collect())
    }
}
