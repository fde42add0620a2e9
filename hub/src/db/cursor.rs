//! The one cursor row.

use sqlx::{Sqlite, Transaction};

use super::{Db, DbError};

pub(super) async fn store(tx: &mut Transaction<'_, Sqlite>, position: &str) -> Result<(), DbError> {
    sqlx::query("INSERT INTO cursor (one, position) VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET position = $1")
        .bind(position)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

impl Db {
    /// How far the queue's events were read; empty before the first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn cursor(&self) -> Result<String, DbError> {
        let row: Option<(String,)> = sqlx::query_as("SELECT position FROM cursor").fetch_optional(&self.pool).await?;
        Ok(row.map(|(position,)| position).unwrap_or_default())
    }
}
