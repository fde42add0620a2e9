//! `/v1/lanes`: which lanes there are, how full each is, and whether it is paused.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    extract::{Path, State},
    response::IntoResponse,
};
use futures::{StreamExt, TryStreamExt, stream};
use reelmill_api::{
    Lane, Needs, Notice, QueueName,
    preset::{Preset, Presets},
    queues::{LaneList, LaneState},
};
use reelmill_queue::QueueError;

use super::{App, json, problem::Refusal};

/// How many lanes are measured at once.
pub(super) const AT_ONCE: usize = 16;

/// All lanes that a farm may have, by name: that of strangers' jobs, each preset's, and those of tasks that need more than
/// a node must have to serve it.
pub(super) fn all(queue: &QueueName, presets: &Presets) -> Vec<Lane> {
    let mut lanes = always(queue, presets);
    for preset in presets.iter() {
        lanes.extend(Needs::beyond(preset).iter().map(|needs| queue.needing(&preset.name, needs)));
    }
    lanes.sort();
    lanes
}

/// Those of them that are shown even if nothing is on them.
pub(super) fn always(queue: &QueueName, presets: &Presets) -> Vec<Lane> {
    presets.iter().map(|preset| queue.tasks(&preset.name)).chain([queue.intake()]).collect()
}

/// The preset's own lane, of a lane that names needs: who pauses that means all tasks of the preset.
fn own(app: &App, lane: &Lane) -> Option<Lane> {
    let queue = &app.queue_name;
    let names =
        |preset: &&Preset| Needs::beyond(preset).iter().any(|needs| queue.needing(&preset.name, needs) == *lane);
    app.terms.presets.iter().find(names).map(|preset| queue.tasks(&preset.name))
}

/// Lists lanes, by name: of needs only those that something is on or that are paused themselves; also those of which nothing
/// is known but that they are paused.
pub(super) async fn list(State(app): State<Arc<App>>) -> Result<impl IntoResponse, Refusal> {
    let paused = paused(&app).await?;
    let lanes: BTreeSet<Lane> = app.lanes().into_iter().chain(paused.iter().cloned()).collect();
    let states = stream::iter(lanes).map(|lane| state(&app, lane, &paused));
    let mut lanes: Vec<_> = states.buffered(AT_ONCE).try_collect().await.map_err(|e| failed(&e))?;
    let always = always(&app.queue_name, &app.terms.presets);
    lanes.retain(|state| always.contains(&state.lane) || paused.contains(&state.lane) || !is_empty(state));
    Ok(json(&LaneList { lanes }))
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
        let always = always(&app.queue_name, &app.terms.presets);
        let mut names: Vec<_> = always.iter().map(Lane::as_str).collect();
        names.sort_unstable();
        Refusal::not_found_but("there is no lane of that name", format!("lanes here: {}", names.join(", ")))
    })
}

async fn shown(app: &App, lane: Lane) -> Result<impl IntoResponse + use<>, Refusal> {
    let paused = paused(app).await?;
    Ok(json(&state(app, lane, &paused).await.map_err(|e| failed(&e))?))
}

async fn state(app: &App, lane: Lane, paused: &BTreeSet<Lane>) -> Result<LaneState, QueueError> {
    let depth = app.queue.depth(&lane).await?;
    let itself = paused.contains(&lane);
    let paused_with = if itself { None } else { own(app, &lane).filter(|own| paused.contains(own)) };
    Ok(LaneState {
        paused: itself || paused_with.is_some(),
        paused_with,
        lane,
        ready: depth.ready,
        delayed: depth.delayed,
        leased: depth.leased,
        dead: depth.dead,
        oldest_seconds: depth.oldest_ready.map(|age| age.as_secs_f64()),
    })
}

fn is_empty(state: &LaneState) -> bool {
    let LaneState { ready, delayed, leased, dead, .. } = state;
    ready + delayed + leased.unwrap_or(0) + dead == 0
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
