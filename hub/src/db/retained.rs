//! Rows of what the hub's own broker retains.

use super::{Db, DbError};
use crate::broker::{Changes, Kept};

impl Db {
    /// All that is retained.
    ///
    /// # Errors
    /// If the database fails, or holds a message that cannot be read.
    pub async fn retained(&self) -> Result<Vec<Kept>, DbError> {
        let rows: Vec<(String,)> = sqlx::query_as("SELECT kept FROM retained").fetch_all(&self.pool).await?;
        let kept = rows.iter().map(|(kept,)| serde_json::from_str(kept).map_err(|e| DbError::Corrupt(e.to_string())));
        kept.collect()
    }

    /// Stores what changed, all of it or nothing.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn store_retained(&self, changes: &Changes) -> Result<(), DbError> {
        let mut tx = self.write().await?;
        for kept in &changes.store {
            let json = serde_json::to_string(kept).expect("a message holds only texts, numbers and lists");
            sqlx::query(
                "INSERT INTO retained (topic, kept) VALUES ($1, $2) ON CONFLICT (topic) DO UPDATE SET kept = $2",
            )
            .bind(&kept.topic)
            .bind(json)
            .execute(&mut *tx)
            .await?;
        }
        for topic in &changes.remove {
            sqlx::query("DELETE FROM retained WHERE topic = $1").bind(topic).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}
