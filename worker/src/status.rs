//! The loopback status: what the worker is doing, as JSON for the agent, and its metrics.

use std::sync::Arc;

use axum::{Json, Router, extract::State, routing::get};
use reelmill_api::status::WorkerStatus;
use reelmill_daemon::Metrics;

use crate::desk::Desk;

/// `GET /status` and `GET /metrics`.
pub fn router(desk: Arc<Desk>, metrics: &Metrics) -> Router {
    Router::new().route("/status", get(status)).with_state(desk).merge(metrics.router())
}

async fn status(State(desk): State<Arc<Desk>>) -> Json<WorkerStatus> {
    Json(desk.status())
}
