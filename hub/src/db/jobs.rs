//! Job rows.

use jiff::Timestamp;
use reelmill_api::{
    Event, JobId, JobState, Task,
    job::{Job, JobChange},
};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{Row, Sqlite, Transaction, sqlite::SqliteRow};

use super::{Db, DbError, outbox};
use crate::apply;

/// What became of a submitted job.
#[derive(Clone, Debug, PartialEq)]
pub enum Submitted {
    /// It is new and its task is in the outbox.
    Admitted(Job),
    /// The same job was submitted before; this is how it stands.
    Known(Job),
    /// Another job has its id.
    IdTaken,
}

/// Which jobs to list.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter {
    /// Only those in this state.
    pub state: Option<JobState>,
    /// At most so many.
    pub limit: u32,
}

/// A source at which attempts failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// The source.
    pub source: String,
    /// Attempts that failed.
    pub attempts: u32,
}

const BY_ID: &str = "SELECT * FROM jobs WHERE id = $1";

impl Db {
    /// Stores a new job and its task in one transaction, unless its id is known.
    ///
    /// # Errors
    /// If the database fails; then neither is stored.
    pub async fn submit(&self, job: &Job, task: &Task) -> Result<Submitted, DbError> {
        let mut tx = self.write().await?;
        if let Some(known) = fetch(&mut tx, &job.id).await? {
            return Ok(if same_request(&known, job) { Submitted::Known(known) } else { Submitted::IdTaken });
        }
        insert(&mut tx, job).await?;
        outbox::add(&mut tx, task).await?;
        tx.commit().await?;
        Ok(Submitted::Admitted(job.clone()))
    }

    /// The job of that id.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn job(&self, id: &JobId) -> Result<Option<Job>, DbError> {
        let row = sqlx::query(BY_ID).bind(id.to_string()).fetch_optional(&self.pool).await?;
        row.as_ref().map(job_of).transpose()
    }

    /// Jobs, newest first, without their reports.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn jobs(&self, filter: Filter) -> Result<Vec<Job>, DbError> {
        let rows = sqlx::query(
            "SELECT id, state, input, output, preset, priority, created_at, updated_at, attempt, progress, failure,
                    NULL AS report
             FROM jobs WHERE $1 IS NULL OR state = $1 ORDER BY seq DESC LIMIT $2",
        )
        .bind(filter.state.map(JobState::as_str))
        .bind(filter.limit)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(job_of).collect()
    }

    /// How many jobs are in each state; a state without jobs is absent.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn count_by_state(&self) -> Result<Vec<(JobState, i64)>, DbError> {
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT state, count(*) FROM jobs GROUP BY state").fetch_all(&self.pool).await?;
        rows.into_iter().map(|(state, n)| Ok((parse(&state)?, n))).collect()
    }

    /// Sources of which at least `least` attempts have failed, by jobs that something happened to since then; the worst first,
    /// and no more than `most`. What was published in the end has not failed.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn failing(&self, since: Timestamp, least: u32, most: u32) -> Result<Vec<Failing>, DbError> {
        let rows: Vec<(String, u32)> = sqlx::query_as(
            "SELECT input, sum(CASE state WHEN 'running' THEN attempt - 1 ELSE attempt END) AS attempts FROM jobs
             WHERE state IN ('queued', 'running', 'failed') AND failure IS NOT NULL AND updated_at >= $1
             GROUP BY input HAVING attempts >= $2 ORDER BY attempts DESC, input LIMIT $3",
        )
        .bind(format!("{since:.3}"))
        .bind(least)
        .bind(most)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|(source, attempts)| Failing { source, attempts }).collect())
    }

    /// Changes a job as somebody wishes. Returns how it stood and how it stands; the same where the wish changes nothing, and
    /// nothing where there is no such job. What is called off leaves the outbox too.
    ///
    /// # Errors
    /// If the database fails; then nothing was changed.
    pub async fn wish(&self, id: &JobId, change: JobChange, now: &str) -> Result<Option<(Job, Job)>, DbError> {
        let mut tx = self.write().await?;
        let Some(job) = fetch(&mut tx, id).await? else { return Ok(None) };
        let Some(next) = apply::wish(&job, change, now) else { return Ok(Some((job.clone(), job))) };
        update(&mut tx, &next).await?;
        if change == JobChange::CalledOff {
            outbox::remove(&mut tx, id).await?;
        }
        tx.commit().await?;
        Ok(Some((job, next)))
    }

    /// Takes a change back, unless something else changed the job since.
    ///
    /// # Errors
    /// If the database fails; then nothing was changed.
    pub async fn take_back(&self, was: &Job, is: &Job) -> Result<(), DbError> {
        let mut tx = self.write().await?;
        if fetch(&mut tx, &is.id).await?.as_ref() == Some(is) {
            update(&mut tx, was).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// Applies events to their jobs and moves the cursor, all in one transaction, so that no event is applied twice
    /// or lost. Returns the jobs that changed, in order. An event of an unknown job is passed over.
    ///
    /// # Errors
    /// If the database fails; then nothing was applied.
    pub async fn apply(&self, events: &[Event], cursor: &str, now: &str) -> Result<Vec<Job>, DbError> {
        let mut changed = Vec::new();
        let mut tx = self.write().await?;
        for event in events {
            let Some(job) = fetch(&mut tx, &event.job).await? else {
                log::debug!("passed over an event of job {}, which this hub does not know", event.job);
                continue;
            };
            if let Some(job) = apply::apply(&job, event, now) {
                update(&mut tx, &job).await?;
                changed.push(job);
            }
        }
        super::cursor::store(&mut tx, cursor).await?;
        tx.commit().await?;
        Ok(changed)
    }
}

/// Whether two jobs ask for the same.
fn same_request(a: &Job, b: &Job) -> bool {
    (&a.input, &a.output, &a.preset, a.priority) == (&b.input, &b.output, &b.preset, b.priority)
}

async fn fetch(tx: &mut Transaction<'_, Sqlite>, id: &JobId) -> Result<Option<Job>, DbError> {
    let row = sqlx::query(BY_ID).bind(id.to_string()).fetch_optional(&mut **tx).await?;
    row.as_ref().map(job_of).transpose()
}

async fn insert(tx: &mut Transaction<'_, Sqlite>, job: &Job) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO jobs (id, state, input, output, preset, priority, created_at, updated_at, attempt)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(job.id.to_string())
    .bind(job.state.as_str())
    .bind(job.input.to_string())
    .bind(job.output.to_string())
    .bind(job.preset.as_str())
    .bind(json(&job.priority))
    .bind(&job.created_at)
    .bind(&job.updated_at)
    .bind(job.attempt)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn update(tx: &mut Transaction<'_, Sqlite>, job: &Job) -> Result<(), DbError> {
    sqlx::query(
        "UPDATE jobs SET state = $2, updated_at = $3, attempt = $4, progress = $5, failure = $6, report = $7
         WHERE id = $1",
    )
    .bind(job.id.to_string())
    .bind(job.state.as_str())
    .bind(&job.updated_at)
    .bind(job.attempt)
    .bind(job.progress.as_ref().map(json))
    .bind(job.failure.as_ref().map(json))
    .bind(job.report.as_ref().map(json))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn job_of(row: &SqliteRow) -> Result<Job, DbError> {
    let text = |column: &str| row.try_get::<String, _>(column);
    Ok(Job {
        id: parse(&text("id")?)?,
        state: parse(&text("state")?)?,
        input: parse(&text("input")?)?,
        output: parse(&text("output")?)?,
        preset: parse(&text("preset")?)?,
        priority: from_json(&text("priority")?)?,
        created_at: text("created_at")?,
        updated_at: text("updated_at")?,
        attempt: row.try_get("attempt")?,
        progress: optional_json(row, "progress")?,
        failure: optional_json(row, "failure")?,
        report: optional_json(row, "report")?,
    })
}

fn optional_json<T: DeserializeOwned>(row: &SqliteRow, column: &str) -> Result<Option<T>, DbError> {
    row.try_get::<Option<String>, _>(column)?.as_deref().map(from_json).transpose()
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("these hold only strings, numbers and lists")
}

fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, DbError> {
    serde_json::from_str(text).map_err(|e| DbError::Corrupt(e.to_string()))
}

fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, DbError> {
    text.parse().map_err(|e: T::Err| DbError::Corrupt(e.to_string()))
}
