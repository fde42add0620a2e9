//! `GET /v1/health`: whether the hub and what it stands on answer, and which does not.

use std::{sync::Arc, time::Duration};

use axum::{extract::State, response::IntoResponse};
use http::StatusCode;
use reelmill_api::{Location, S3Location};
use reelmill_storage::Access;
use serde::Serialize;

use super::{App, json};

/// A part that does not answer within this is not well.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Serialize)]
struct Health {
    ok: bool,
    parts: Vec<Part>,
}

#[derive(Serialize)]
struct Part {
    name: &'static str,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// What is wrong with a part, and what to do.
type Trouble = (String, Option<String>);

/// 200 if all is well, else 503; the body says which.
pub(super) async fn health(State(app): State<Arc<App>>) -> impl IntoResponse {
    let (database, queue, store) =
        tokio::join!(within(PATIENCE, database(&app)), within(PATIENCE, queue(&app)), within(PATIENCE, store(&app)),);
    let parts = vec![part("database", database), part("queue", queue), part("store", store)];
    let ok = parts.iter().all(|part| part.ok);
    let status = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, json(&Health { ok, parts }))
}

fn part(name: &'static str, found: Result<(), Trouble>) -> Part {
    match found {
        Ok(()) => Part { name, ok: true, detail: None, hint: None },
        Err((detail, hint)) => Part { name, ok: false, detail: Some(detail), hint },
    }
}

async fn within(patience: Duration, asked: impl Future<Output = Result<(), Trouble>>) -> Result<(), Trouble> {
    let silent = || Err((format!("no answer within {} s", patience.as_secs()), None));
    tokio::time::timeout(patience, asked).await.unwrap_or_else(|_| silent())
}

async fn database(app: &App) -> Result<(), Trouble> {
    app.db.ping().await.map_err(|e| (e.to_string(), None))
}

async fn queue(app: &App) -> Result<(), Trouble> {
    let found = app.queue.depth(&app.queue_name.intake()).await;
    found.map(|_| ()).map_err(|e| (e.to_string(), Some("is the queue server running?".to_owned())))
}

async fn store(app: &App) -> Result<(), Trouble> {
    for bucket in [&app.input_bucket, &app.terms.output_bucket] {
        let place = S3Location::new(bucket, "").map(Location::S3).map_err(|e| (e.to_string(), None))?;
        let found = app.storage.check(&place, Access::Read).await;
        found.map_err(|e| (e.to_string(), e.hint()))?;
    }
    Ok(())
}
