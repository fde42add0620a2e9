//! The loopback status: what the worker is doing, as JSON for the agent, and its metrics.

use std::sync::Arc;

use axum::{Json, Router, extract::State, routing::get};
use reelmill_api::status::WorkerStatus;
use reelmill_daemon::Metrics;

use crate::{desk::Desk, drain::Drain};

/// `GET /status` and `GET /metrics`.
pub fn router(desk: Arc<Desk>, drain: Arc<Drain>, metrics: &Metrics) -> Router {
    Router::new().route("/status", get(status)).with_state((desk, drain)).merge(metrics.router())
}

async fn status(State((desk, drain)): State<(Arc<Desk>, Arc<Drain>)>) -> Json<WorkerStatus> {
    let node_busy = if drain.is_on() { Some(drain.is_node_busy().await) } else { None };
    Json(WorkerStatus { node_busy, ..desk.status() })
}
