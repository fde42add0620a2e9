//! `/v1/jobs` and `/v1/presets`.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Path, Query, State, rejection::QueryRejection},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use reelmill_api::{
    JobId, JobState, Notice, Preset,
    job::{Job, JobChange},
    layout,
    problem::Problem,
};
use reelmill_storage::Condition;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{App, json, problem::Refusal};
use crate::{
    admission, clock,
    db::{Filter, Submitted},
};

/// The longest job in bytes; a real one has a few hundred.
const LONGEST_JOB: usize = 64 * 1024;
/// Jobs listed unless asked otherwise, and at most.
const LIMIT: (u32, u32) = (50, 500);

/// Takes a job.
pub(super) async fn submit(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Result<Response, Refusal> {
    let body = json_body(&headers, body).await?;
    let drawn = JobId::new(Uuid::now_v7());
    let (job, task) = admission::admit(&body, &app.terms, drawn, &clock::now())?;
    let (status, job) = match app.db.submit(&job, &task).await? {
        Submitted::Admitted(job) => {
            log::info!("job {} admitted: {} to {} by {}", job.id, job.input, job.output, job.preset);
            app.added.notify_one();
            app.feed.tell(job.id);
            (StatusCode::CREATED, job)
        }
        Submitted::Known(job) => (StatusCode::OK, job),
        Submitted::IdTaken => return Err(id_taken(&job.id)),
    };
    let location = format!("/v1/jobs/{}", job.id);
    Ok((status, [(header::LOCATION, location)], json(&job)).into_response())
}

fn id_taken(id: &JobId) -> Refusal {
    Problem::new(409, "id-taken", "the id is taken", format!("another job has the id {id}"))
        .pointer("/id")
        .hint("leave `id` out and one is drawn; give it only to make a repeated submission harmless")
        .into()
}

async fn json_body(headers: &HeaderMap, body: Body) -> Result<Bytes, Refusal> {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    let essence = media_type.split(';').next().unwrap_or("").trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Problem::new(415, "not-json", "the body is not JSON", "the request's media type is not JSON")
            .hint("send the header Content-Type: application/json")
            .into());
    }
    to_bytes(body, LONGEST_JOB).await.map_err(|_| {
        Problem::new(413, "too-large", "too large", format!("a job has at most {LONGEST_JOB} bytes")).into()
    })
}

/// How the list is narrowed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    limit: Option<u32>,
    state: Option<JobState>,
}

#[derive(Serialize)]
struct JobList {
    jobs: Vec<Job>,
}

/// Lists jobs, newest first, without their reports.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<impl IntoResponse, Refusal> {
    let hint = || format!("take state=queued, running, done, failed or canceled, and limit=1 to {}", LIMIT.1);
    let Query(query) = query.map_err(|e| Refusal::bad_query(e.body_text(), hint()))?;
    let limit = query.limit.unwrap_or(LIMIT.0);
    if !(1..=LIMIT.1).contains(&limit) {
        return Err(Refusal::bad_query(format!("limit={limit} is out of range"), hint()));
    }
    let jobs = app.db.jobs(Filter { state: query.state, limit }).await?;
    Ok(json(&JobList { jobs }))
}

/// Shows one job.
pub(super) async fn show(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<impl IntoResponse, Refusal> {
    Ok(json(&find(&app, &id).await?))
}

/// Notes the wish to end a live job where its worker looks for it. Repeating it is harmless, and so is one that comes late.
pub(super) async fn stop(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let job = find(&app, &id).await?;
    if !job.input.is_live() {
        let detail = format!("job {} is of a file: it ends by itself", job.id);
        return Err(Problem::new(409, "not-live", "not a live job", detail).into());
    }
    if job.state.is_final() {
        return Ok((StatusCode::OK, json(&job)).into_response());
    }
    let at = job.output.join(layout::LIVE_STOP).map_err(|e| {
        Problem::new(500, "bad-location", "bad location", format!("the output cannot be written to: {e}"))
    })?;
    let wish = Bytes::from_static(b"stop\n");
    match app.storage.put(&at, wish, "text/plain", Condition::Always).await {
        Ok(_) => log::info!("job {} is to end", job.id),
        Err(e) => return Err(Refusal::store("note the wish to stop", &e)),
    }
    Ok((StatusCode::ACCEPTED, json(&job)).into_response())
}

/// Calls a job off. Repeating it is harmless.
pub(super) async fn cancel(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<impl IntoResponse, Refusal> {
    let job = find(&app, &id).await?;
    if matches!(job.state, JobState::Done | JobState::Failed) {
        return Err(is_over(&job));
    }
    let notice = Notice::Canceled(job.id);
    let failed = |e| Refusal::queue(&format!("cancel job {}", job.id), &e);
    // The notice first: a job that is told to be canceled must not be worked on.
    app.queue.post(&notice).await.map_err(failed)?;
    let changed = app.db.wish(&job.id, JobChange::CalledOff, &clock::now()).await?;
    let (was, is) = changed.ok_or_else(unknown)?;
    if is.state != JobState::Canceled {
        app.queue.withdraw(&notice).await.map_err(failed)?;
        return Err(is_over(&is));
    }
    if was != is {
        log::info!("job {} is canceled", is.id);
        app.feed.tell(is.id);
    }
    Ok(json(&is))
}

fn is_over(job: &Job) -> Refusal {
    let (why, hint) = match job.state {
        JobState::Done => ("is done: its output is published", "remove the output if nobody wants it"),
        _ => ("has failed: nobody works on it", "its dead letter can be retried or dropped: GET /v1/dead-letters"),
    };
    Problem::new(409, "job-over", "the job is over", format!("job {} {why}", job.id)).hint(hint).into()
}

/// The job that an address names.
pub(super) async fn find(app: &App, id: &str) -> Result<Job, Refusal> {
    let id: JobId = id.parse().map_err(|_| unknown())?;
    app.db.job(&id).await?.ok_or_else(unknown)
}

fn unknown() -> Refusal {
    Refusal::not_found("there is no job of that id")
}

#[derive(Serialize)]
struct PresetList<'a> {
    presets: Vec<&'a Preset>,
}

/// Lists the presets.
pub(super) async fn presets(State(app): State<Arc<App>>) -> impl IntoResponse {
    json(&PresetList { presets: app.terms.presets.iter().collect() })
}
