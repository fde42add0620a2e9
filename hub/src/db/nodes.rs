//! Node rows: what nodes said of themselves.

use super::{Db, DbError};
use crate::fleet::{Changes, Known};

impl Db {
    /// All nodes that are kept. A row of another version is passed over: the broker tells it again.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn nodes(&self) -> Result<Vec<Known>, DbError> {
        let rows: Vec<(String,)> =
            sqlx::query_as("SELECT known FROM nodes ORDER BY node").fetch_all(&self.pool).await?;
        Ok(rows.iter().filter_map(|(known,)| serde_json::from_str(known).ok()).collect())
    }

    /// Stores what changed, all of it or nothing.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn store_nodes(&self, changes: &Changes) -> Result<(), DbError> {
        let mut tx = self.write().await?;
        for known in &changes.store {
            let json = serde_json::to_string(known).expect("a node holds only texts, numbers and lists");
            sqlx::query("INSERT INTO nodes (node, known) VALUES ($1, $2) ON CONFLICT (node) DO UPDATE SET known = $2")
                .bind(known.node.node.as_str())
                .bind(json)
                .execute(&mut *tx)
                .await?;
        }
        for node in &changes.remove {
            sqlx::query("DELETE FROM nodes WHERE node = $1").bind(node.as_str()).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nodes_come_back_as_they_were_stored() {
        let folder = tempfile::tempdir().expect("a folder");
        let db = Db::open(&folder.path().join("hub.sqlite")).await.expect("a database");
        let known = |name: &str| Known::named(name.parse().expect("a name"));
        let mut hot = known("orin-3");
        hot.node.reasons = vec!["hot".parse().expect("a text")];
        let changes = Changes { store: vec![known("orin-4"), hot.clone()], remove: Vec::new() };
        db.store_nodes(&changes).await.expect("stored");
        assert_eq!(db.nodes().await.expect("read"), [hot.clone(), known("orin-4")]);
        let changes = Changes { store: vec![known("orin-3")], remove: vec!["orin-4".parse().expect("a name")] };
        db.store_nodes(&changes).await.expect("stored");
        assert_eq!(db.nodes().await.expect("read"), [known("orin-3")]);
    }
}
