//! `/v1/lanes`: which lanes there are, how full each is, and whether it is paused.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    extract::{Path, State},
    response::IntoResponse,
};
use futures::future::try_join_all;
use reelmill_api::{
    Lane, Notice, QueueName,
    preset::Presets,
    queues::{LaneList, LaneState},
};
use reelmill_queue::QueueError;

use super::{App, json, problem::Refusal};

/// All lanes that a farm may have, by name: that of strangers' jobs, and each preset's.
pub(super) fn all(queue: &QueueName, presets: &Presets) -> Vec<Lane> {
    let mut lanes: Vec<Lane> = presets.iter().map(|preset| queue.tasks(&preset.name)).collect();
    lanes.push(queue.intake());
    lanes.sort();
    lanes
}

/// Lists all lanes, by name; also those that nothing is known of but that they are paused.
pub(super) async fn list(State(app): State<Arc<App>>) -> Result<impl IntoResponse, Refusal> {
    let paused = paused(&app).await?;
    let lanes: BTreeSet<Lane> = app.lanes().into_iter().chain(paused.iter().cloned()).collect();
    let states = lanes.into_iter().map(|lane| state(&app, lane, &paused));
    Ok(json(&LaneList { lanes: try_join_all(states).await.map_err(|e| failed(&e))? }))
}

/// Has no task leased from a lane any more. What is in work goes on.
pub(super) async fn pause(State(app): State<Arc<App>>, Path(lane): Path<String>) -> Result<impl IntoResponse, Refusal> {
    let lane = find(&app, &lane, &BTreeSet::new())?;
    let posted = app.queue.post(&Notice::Paused(lane.clone())).await;
    posted.map_err(|e| Refusal::queue(&format!("pause lane {lane}"), &e))?;
    log::info!("lane {lane} is paused");
    shown(&app, lane).await
}

/// Has tasks leased from it again.
pub(super) async fn resume(
    State(app): State<Arc<App>>,
    Path(lane): Path<String>,
) -> Result<impl IntoResponse, Refusal> {
    let lane = find(&app, &lane, &paused(&app).await?)?;
    let withdrawn = app.queue.withdraw(&Notice::Paused(lane.clone())).await;
    withdrawn.map_err(|e| Refusal::queue(&format!("resume lane {lane}"), &e))?;
    log::info!("lane {lane} is not paused");
    shown(&app, lane).await
}

/// The lane of that name, if it is one of the farm's or of these.
pub(super) fn find(app: &App, name: &str, besides: &BTreeSet<Lane>) -> Result<Lane, Refusal> {
    let lanes = app.lanes();
    let found = lanes.iter().chain(besides).find(|lane| lane.as_str() == name);
    found.cloned().ok_or_else(|| {
        let names: Vec<_> = lanes.iter().map(Lane::as_str).collect();
        Refusal::not_found_but("there is no lane of that name", format!("lanes here: {}", names.join(", ")))
    })
}

async fn shown(app: &App, lane: Lane) -> Result<impl IntoResponse + use<>, Refusal> {
    let paused = paused(app).await?;
    Ok(json(&state(app, lane, &paused).await.map_err(|e| failed(&e))?))
}

async fn state(app: &App, lane: Lane, paused: &BTreeSet<Lane>) -> Result<LaneState, QueueError> {
    let depth = app.queue.depth(&lane).await?;
    Ok(LaneState {
        paused: paused.contains(&lane),
        lane,
        ready: depth.ready,
        delayed: depth.delayed,
        leased: depth.leased,
        dead: depth.dead,
        oldest_seconds: depth.oldest_ready.map(|age| age.as_secs_f64()),
    })
}

async fn paused(app: &App) -> Result<BTreeSet<Lane>, Refusal> {
    let notices = app.queue.notices().await.map_err(|e| failed(&e))?;
    let lane = |notice| match notice {
        Notice::Paused(lane) => Some(lane),
        Notice::Canceled(_) => None,
    };
    Ok(notices.into_iter().filter_map(lane).collect())
}

fn failed(error: &QueueError) -> Refusal {
    Refusal::queue("tell how full its lanes are", error)
}
