//! `/v1/dead-letters`: messages that are not tried again, and what an operator does with them.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Path, Query, State, rejection::QueryRejection},
    response::IntoResponse,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::{StreamExt, stream};
use reelmill_api::{
    JobId, Lane, Notice, Task,
    job::{Job, JobChange},
    queues::{Encoding, Letter, LetterBody, LetterList},
};
use reelmill_queue::DeadLetter;
use serde::Deserialize;

use super::{App, json, lanes, problem::Refusal};
use crate::{clock, feed::Heard};

/// Letters listed unless asked otherwise, and at most.
const LIMIT: (usize, usize) = (50, 500);
/// Letters of a lane that are looked through for one, the oldest.
const LOOKED_AT: usize = 1000;
/// How long the news that a job failed may take to come here after its dead letter.
const NEWS: Duration = Duration::from_secs(5);

/// How the list is narrowed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    lane: Option<String>,
    job: Option<JobId>,
    limit: Option<usize>,
}

/// Lists dead letters without their bodies, lane by lane, the oldest first.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<impl IntoResponse, Refusal> {
    let hint = || format!("take lane=NAME, job=UUID, and limit=1 to {}", LIMIT.1);
    let Query(query) = query.map_err(|e| Refusal::bad_query(e.body_text(), hint()))?;
    let limit = query.limit.unwrap_or(LIMIT.0);
    if !(1..=LIMIT.1).contains(&limit) {
        return Err(Refusal::bad_query(format!("limit={limit} is out of range"), hint()));
    }
    let lanes = match &query.lane {
        Some(name) => vec![lanes::find(&app, name, &[].into())?],
        None => app.lanes(),
    };
    let at_once = if query.job.is_some() { LOOKED_AT } else { limit };
    let mut dead_letters = Vec::new();
    let mut found = stream::iter(lanes).map(|lane| listed(&app, lane, at_once)).buffered(lanes::AT_ONCE);
    while let Some(letters) = found.next().await {
        dead_letters.extend(letters?.into_iter().filter(|letter| query.job.is_none() || letter.job == query.job));
        if dead_letters.len() >= limit {
            break;
        }
    }
    dead_letters.truncate(limit);
    Ok(json(&LetterList { dead_letters }))
}

/// Shows one, with its body.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Path((lane, message)): Path<(String, String)>,
) -> Result<impl IntoResponse, Refusal> {
    let (lane, letter) = find(&app, &lane, &message).await?;
    Ok(json(&Letter { body: Some(body(&letter.body)), ..shown(&lane, &letter) }))
}

/// Removes one for good, and shows what it was.
pub(super) async fn drop(
    State(app): State<Arc<App>>,
    Path((lane, message)): Path<(String, String)>,
) -> Result<impl IntoResponse, Refusal> {
    let (lane, letter) = find(&app, &lane, &message).await?;
    let dropped = app.queue.drop_dead(&lane, &message).await;
    if !dropped.map_err(|e| Refusal::queue("drop a dead letter", &e))? {
        return Err(gone(&lane));
    }
    log::info!("dead letter {message} of lane {lane} is dropped");
    Ok(json(&Letter { body: Some(body(&letter.body)), ..shown(&lane, &letter) }))
}

/// Puts one back on its lane as if it had never been delivered; its job waits again, also if it was canceled.
pub(super) async fn retry(
    State(app): State<Arc<App>>,
    Path((lane, message)): Path<(String, String)>,
) -> Result<impl IntoResponse, Refusal> {
    let (lane, letter) = find(&app, &lane, &message).await?;
    let letter = shown(&lane, &letter);
    let failed = |e| Refusal::queue("retry a dead letter", &e);
    let changed = match letter.job {
        Some(job) => {
            app.queue.withdraw(&Notice::Canceled(job)).await.map_err(failed)?;
            waits_again(&app, &job).await?
        }
        None => None,
    };
    // The job first: its next worker may begin at once.
    let put_back = app.queue.retry_dead(&lane, &message).await;
    if !matches!(put_back, Ok(true))
        && let Some((was, is)) = &changed
    {
        app.db.take_back(was, is).await?;
        app.feed.tell(is.id);
    }
    if !put_back.map_err(failed)? {
        return Err(gone(&lane));
    }
    log::info!("dead letter {message} of lane {lane} is tried again");
    Ok(json(&letter))
}

/// Has the job wait again, if it is known here. How it was and is.
async fn waits_again(app: &App, id: &JobId) -> Result<Option<(Job, Job)>, Refusal> {
    let news = async {
        // Watch before reading, so that no change falls between.
        let mut watch = app.feed.watch();
        while app.db.job(id).await?.is_some_and(|job| !job.state.is_final()) {
            if watch.next().await == Heard::Ended {
                break;
            }
        }
        Ok::<_, Refusal>(())
    };
    // Late, it would be taken for news of the attempt that comes.
    match tokio::time::timeout(NEWS, news).await {
        Ok(heard) => heard?,
        Err(_) => log::warn!("job {id} is tried again, and nobody told that it had failed"),
    }
    let changed = app.db.wish(id, JobChange::TriedAgain, &clock::now()).await?;
    app.feed.tell(*id);
    Ok(changed)
}

async fn find(app: &App, lane: &str, message: &str) -> Result<(Lane, DeadLetter), Refusal> {
    let lane = lanes::find(app, lane, &[].into())?;
    let letters = of_lane(app, &lane, LOOKED_AT).await?;
    let found = letters.into_iter().find(|letter| letter.message_id == message);
    found.map(|letter| (lane.clone(), letter)).ok_or_else(|| gone(&lane))
}

async fn listed(app: &App, lane: Lane, limit: usize) -> Result<Vec<Letter>, Refusal> {
    let letters = of_lane(app, &lane, limit).await?;
    Ok(letters.iter().map(|letter| shown(&lane, letter)).collect())
}

async fn of_lane(app: &App, lane: &Lane, limit: usize) -> Result<Vec<DeadLetter>, Refusal> {
    let letters = app.queue.dead_letters(lane, limit).await;
    letters.map_err(|e| Refusal::queue(&format!("show the dead letters of lane {lane}"), &e))
}

fn gone(lane: &Lane) -> Refusal {
    let hint = format!("GET /v1/dead-letters?lane={lane} lists them; of a lane, the oldest {LOOKED_AT} can be reached");
    Refusal::not_found_but(format!("lane {lane} has no dead letter of that id"), hint)
}

fn shown(lane: &Lane, letter: &DeadLetter) -> Letter {
    let task = Task::from_message(&letter.body, lane.as_str(), &letter.message_id);
    Letter {
        lane: lane.clone(),
        message_id: letter.message_id.clone(),
        job: task.ok().map(|task| task.job),
        attempts: letter.attempts,
        reason: letter.reason.clone(),
        bytes: letter.body.len() as u64,
        body: None,
    }
}

fn body(bytes: &[u8]) -> LetterBody {
    match std::str::from_utf8(bytes) {
        Ok(text) => LetterBody { body: text.to_owned(), encoding: Encoding::Utf8 },
        Err(_) => LetterBody { body: STANDARD.encode(bytes), encoding: Encoding::Base64 },
    }
}
