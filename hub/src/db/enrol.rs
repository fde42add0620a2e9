//! Rows of enrolment: tokens, nodes that were taken in, their certificates, and nodes that ask.

use std::collections::BTreeSet;

use jiff::Timestamp;
use reelmill_api::{
    NodeId,
    enrol::{JoinToken, PairingCode},
    fleet::Sha256,
    preset::Tag,
};
use sqlx::{FromRow, Row as _, Sqlite, Transaction, sqlite::SqliteRow};

use super::{Db, DbError};
use crate::ca::{Issued, Revoked, Serial};

/// What a token lets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The token's digest.
    pub sha256: Sha256,
    /// The tags that it gives; none: those that the node wishes.
    pub tags: Vec<Tag>,
    /// The only name that it gives; a node that has it now is replaced.
    pub node: Option<NodeId>,
    /// The only machine that it lets in.
    pub serial: Option<String>,
    /// Until when.
    pub expires_at: Timestamp,
    /// The key of the node that used it.
    pub used_by: Option<String>,
}

/// A node that was taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub node: NodeId,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// When it was taken in.
    pub enrolled_at: Timestamp,
    /// Until when its newest certificate is good; absent when it was put out.
    pub good_until: Option<Timestamp>,
}

impl Member {
    /// Whether it was put out of the farm.
    pub fn is_put_out(&self) -> bool {
        self.good_until.is_none()
    }
}

/// A certificate as it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Whose.
    pub node: NodeId,
    /// The certificate.
    pub pem: String,
    /// Until when it is good.
    pub not_after: Timestamp,
    /// Whether it was revoked.
    pub revoked: bool,
}

/// A node that asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asking {
    /// The digest of its public key.
    pub key: String,
    /// What it shows.
    pub code: PairingCode,
    /// The name that it would like, or was given.
    pub node: NodeId,
    /// The tags that it would like, or was given.
    pub tags: Vec<Tag>,
    /// What it says of its machine.
    pub serial: Option<String>,
    /// What it says of its board.
    pub board: Option<String>,
    /// Where it asks from.
    pub address: String,
    /// When it asked last.
    pub seen: Timestamp,
    /// What an operator has said.
    pub verdict: Option<Verdict>,
}

/// What an operator says of a node that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may come in, if nobody has its name.
    Approved,
    /// It may come in, in the place of who has its name.
    Replaces,
    /// It may not.
    Denied,
}

impl Verdict {
    const ALL: [Self; 3] = [Self::Approved, Self::Replaces, Self::Denied];

    /// Its word in the database.
    fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Replaces => "replaces",
            Self::Denied => "denied",
        }
    }

    fn of(word: &str) -> Result<Self, DbError> {
        let found = Self::ALL.into_iter().find(|verdict| verdict.as_str() == word);
        found.ok_or_else(|| corrupt(format!("the verdict {word:?}")))
    }
}

fn corrupt(e: impl std::fmt::Display) -> DbError {
    DbError::Corrupt(e.to_string())
}

fn time(seconds: i64) -> Result<Timestamp, DbError> {
    Timestamp::from_second(seconds).map_err(corrupt)
}

fn tags(json: &str) -> Result<Vec<Tag>, DbError> {
    serde_json::from_str(json).map_err(corrupt)
}

fn json(tags: &[Tag]) -> String {
    serde_json::to_string(tags).expect("a list of texts")
}

fn node(text: &str) -> Result<NodeId, DbError> {
    text.parse().map_err(corrupt)
}

fn token_of(row: &SqliteRow) -> Result<Token, DbError> {
    let bound: Option<String> = row.try_get("node")?;
    Ok(Token {
        sha256: row.try_get::<String, _>("sha256")?.try_into().map_err(corrupt)?,
        tags: tags(row.try_get("tags")?)?,
        node: bound.as_deref().map(node).transpose()?,
        serial: row.try_get("serial")?,
        expires_at: time(row.try_get("expires_at")?)?,
        used_by: row.try_get("used_by")?,
    })
}

fn certificate_of(row: &SqliteRow) -> Result<Certificate, DbError> {
    Ok(Certificate {
        node: node(row.try_get("node")?)?,
        pem: row.try_get("pem")?,
        not_after: time(row.try_get("not_after")?)?,
        revoked: row.try_get::<Option<i64>, _>("revoked_at")?.is_some(),
    })
}

fn member_of(row: &SqliteRow) -> Result<Member, DbError> {
    let good_until: Option<i64> = row.try_get("good_until")?;
    Ok(Member {
        node: node(row.try_get("node")?)?,
        tags: tags(row.try_get("tags")?)?,
        enrolled_at: time(row.try_get("enrolled_at")?)?,
        good_until: good_until.map(time).transpose()?,
    })
}

fn asking_of(row: &SqliteRow) -> Result<Asking, DbError> {
    let verdict: Option<String> = row.try_get("verdict")?;
    Ok(Asking {
        key: row.try_get("key")?,
        code: row.try_get::<String, _>("code")?.parse().map_err(corrupt)?,
        node: node(row.try_get("node")?)?,
        tags: tags(row.try_get("tags")?)?,
        serial: row.try_get("serial")?,
        board: row.try_get("board")?,
        address: row.try_get("address")?,
        seen: time(row.try_get("seen")?)?,
        verdict: verdict.as_deref().map(Verdict::of).transpose()?,
    })
}

/// A member with the end of its newest certificate that was not revoked.
const MEMBER: &str = "SELECT node, tags, enrolled_at, (SELECT max(not_after) FROM certificates c
                      WHERE c.node = members.node AND revoked_at IS NULL) AS good_until FROM members";

impl Db {
    /// Begins to judge a node; nobody else can until the end.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn enrolling(&self) -> Result<Enrolling, DbError> {
        Ok(Enrolling { tx: self.write().await? })
    }

    /// All tokens, the ones that expire last first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn tokens(&self) -> Result<Vec<Token>, DbError> {
        let rows = sqlx::query("SELECT * FROM join_tokens ORDER BY expires_at DESC").fetch_all(&self.pool).await?;
        rows.iter().map(token_of).collect()
    }

    /// Takes tokens back whose digest begins so; how many there were.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn revoke_token(&self, begins: &str) -> Result<u64, DbError> {
        let gone = sqlx::query("DELETE FROM join_tokens WHERE substr(sha256, 1, length($1)) = $1").bind(begins);
        Ok(gone.execute(&self.pool).await?.rows_affected())
    }

    /// All nodes that were taken in, by name.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn members(&self) -> Result<Vec<Member>, DbError> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!("{MEMBER} ORDER BY node"))).fetch_all(&self.pool).await?;
        rows.iter().map(member_of).collect()
    }

    /// Nodes that were put out of the farm.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn put_out(&self) -> Result<BTreeSet<NodeId>, DbError> {
        Ok(self.members().await?.into_iter().filter(Member::is_put_out).map(|member| member.node).collect())
    }

    /// All nodes that ask, by when they asked last.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn asking(&self) -> Result<Vec<Asking>, DbError> {
        let rows = sqlx::query("SELECT * FROM pending ORDER BY seen DESC").fetch_all(&self.pool).await?;
        rows.iter().map(asking_of).collect()
    }

    /// All certificates that were revoked.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn revoked(&self) -> Result<Vec<Revoked>, DbError> {
        type Found = (Vec<u8>, i64);
        let rows: Vec<Found> =
            sqlx::query_as("SELECT serial, revoked_at FROM certificates WHERE revoked_at IS NOT NULL ORDER BY seq")
                .fetch_all(&self.pool)
                .await?;
        let revoked = |(serial, at): Found| {
            let serial: [u8; 16] = serial.try_into().map_err(|_| corrupt("a serial number"))?;
            Ok(Revoked { serial: Serial::from(serial), at: time(at)? })
        };
        rows.into_iter().map(revoked).collect()
    }
}

/// A judgement under way, in one transaction.
pub struct Enrolling {
    tx: Transaction<'static, Sqlite>,
}

impl Enrolling {
    /// Ends it; what was done is on the disk.
    ///
    /// # Errors
    /// If the database fails; then nothing was done.
    pub async fn commit(self) -> Result<(), DbError> {
        Ok(self.tx.commit().await?)
    }

    /// Keeps a new token.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn add_token(&mut self, token: &Token) -> Result<(), DbError> {
        sqlx::query("INSERT INTO join_tokens (sha256, tags, node, serial, expires_at) VALUES ($1, $2, $3, $4, $5)")
            .bind(token.sha256.to_string())
            .bind(json(&token.tags))
            .bind(token.node.as_ref().map(NodeId::as_str))
            .bind(&token.serial)
            .bind(token.expires_at.as_second())
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    /// What is known of a token.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn token(&mut self, token: &JoinToken) -> Result<Option<Token>, DbError> {
        let sha256 = Sha256::of(token.expose().as_bytes()).to_string();
        let found = sqlx::query("SELECT * FROM join_tokens WHERE sha256 = $1").bind(sha256);
        found.fetch_optional(&mut *self.tx).await?.as_ref().map(token_of).transpose()
    }

    /// Notes who used a token.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn use_token(&mut self, token: &Token, key: &Sha256) -> Result<(), DbError> {
        let used = sqlx::query("UPDATE join_tokens SET used_by = $1 WHERE sha256 = $2");
        used.bind(key.to_string()).bind(token.sha256.to_string()).execute(&mut *self.tx).await?;
        Ok(())
    }

    /// The newest certificate of a key.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn newest_of_key(&mut self, key: &Sha256) -> Result<Option<Certificate>, DbError> {
        let found = sqlx::query("SELECT * FROM certificates WHERE key = $1 ORDER BY seq DESC LIMIT 1");
        let row = found.bind(key.to_string()).fetch_optional(&mut *self.tx).await?;
        row.as_ref().map(certificate_of).transpose()
    }

    /// The certificate of that digest.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn certificate(&mut self, sha256: &Sha256) -> Result<Option<Certificate>, DbError> {
        let found = sqlx::query("SELECT * FROM certificates WHERE sha256 = $1").bind(sha256.to_string());
        found.fetch_optional(&mut *self.tx).await?.as_ref().map(certificate_of).transpose()
    }

    /// Keeps a new certificate.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn add_certificate(&mut self, node: &NodeId, key: &Sha256, issued: &Issued) -> Result<(), DbError> {
        sqlx::query(
            "INSERT INTO certificates (sha256, serial, node, key, pem, not_after) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(issued.sha256.to_string())
        .bind(issued.serial.bytes().as_slice())
        .bind(node.as_str())
        .bind(key.to_string())
        .bind(&issued.pem)
        .bind(issued.not_after.as_second())
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    /// The node of that name, if one was taken in.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn member(&mut self, node: &NodeId) -> Result<Option<Member>, DbError> {
        let found = sqlx::query(sqlx::AssertSqlSafe(format!("{MEMBER} WHERE node = $1"))).bind(node.as_str());
        found.fetch_optional(&mut *self.tx).await?.as_ref().map(member_of).transpose()
    }

    /// Takes a node in, or another one in its place.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn admit(&mut self, node: &NodeId, tags: &[Tag], now: Timestamp) -> Result<(), DbError> {
        self.revoke(node, now).await?;
        sqlx::query("INSERT OR REPLACE INTO members (node, tags, enrolled_at) VALUES ($1, $2, $3)")
            .bind(node.as_str())
            .bind(json(tags))
            .bind(now.as_second())
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    /// Revokes all certificates of a node; how many there were.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn revoke(&mut self, node: &NodeId, now: Timestamp) -> Result<u64, DbError> {
        let gone = sqlx::query("UPDATE certificates SET revoked_at = $1 WHERE node = $2 AND revoked_at IS NULL");
        Ok(gone.bind(now.as_second()).bind(node.as_str()).execute(&mut *self.tx).await?.rows_affected())
    }

    /// Revokes what a node had for other keys before the certificate of that digest; how many there were.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn outdate(&mut self, by: &Sha256, now: Timestamp) -> Result<u64, DbError> {
        let gone = sqlx::query(
            "UPDATE certificates SET revoked_at = $1 FROM (SELECT node, seq, key FROM certificates WHERE sha256 = $2) AS new
             WHERE certificates.node = new.node AND certificates.seq < new.seq AND certificates.key != new.key
             AND revoked_at IS NULL",
        );
        Ok(gone.bind(now.as_second()).bind(by.to_string()).execute(&mut *self.tx).await?.rows_affected())
    }

    /// The asking node of that key.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn asking(&mut self, key: &Sha256) -> Result<Option<Asking>, DbError> {
        let found = sqlx::query("SELECT * FROM pending WHERE key = $1").bind(key.to_string());
        found.fetch_optional(&mut *self.tx).await?.as_ref().map(asking_of).transpose()
    }

    /// The asking nodes that show a code; more than one only where somebody forges.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn asking_with(&mut self, code: &PairingCode) -> Result<Vec<Asking>, DbError> {
        let found = sqlx::query("SELECT * FROM pending WHERE code = $1").bind(code.to_string());
        found.fetch_all(&mut *self.tx).await?.iter().map(asking_of).collect()
    }

    /// Keeps an asking node as it is now.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn put_asking(&mut self, asking: &Asking) -> Result<(), DbError> {
        sqlx::query(
            "INSERT OR REPLACE INTO pending (key, code, node, tags, serial, board, address, seen, verdict)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(&asking.key)
        .bind(asking.code.to_string())
        .bind(asking.node.as_str())
        .bind(json(&asking.tags))
        .bind(&asking.serial)
        .bind(&asking.board)
        .bind(&asking.address)
        .bind(asking.seen.as_second())
        .bind(asking.verdict.map(Verdict::as_str))
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    /// Forgets an asking node.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn forget_asking(&mut self, key: &Sha256) -> Result<(), DbError> {
        sqlx::query("DELETE FROM pending WHERE key = $1").bind(key.to_string()).execute(&mut *self.tx).await?;
        Ok(())
    }

    /// Forgets nodes that have been silent for too long, longer where an operator has said something of them; how many are left
    /// of whom none has, and how many of these ask from that address.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn crowd(
        &mut self,
        address: &str,
        silent_since: Timestamp,
        decided_silent_since: Timestamp,
    ) -> Result<(u32, u32), DbError> {
        let old = sqlx::query("DELETE FROM pending WHERE seen < CASE WHEN verdict IS NULL THEN $1 ELSE $2 END")
            .bind(silent_since.as_second())
            .bind(decided_silent_since.as_second());
        old.execute(&mut *self.tx).await?;
        let counted =
            sqlx::query("SELECT count(*), count(*) FILTER (WHERE address = $1) FROM pending WHERE verdict IS NULL")
                .bind(address);
        Ok(FromRow::from_row(&counted.fetch_one(&mut *self.tx).await?)?)
    }
}
