//! The status page: what the desk holds, for a person as one page, for programs as JSON, events and metrics. It only
//! tells; nothing on the node can be changed here.

mod events;
mod guard;
mod serve;

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{
        StatusCode,
        header::{CONTENT_TYPE, HeaderName},
    },
    middleware,
    response::{Html, IntoResponse, Response},
    routing::get,
};
use reelmill_daemon::metrics::OPENMETRICS;
use tokio_util::sync::CancellationToken;

pub use self::{guard::Guard, serve::serve};
use crate::{config::LoopbackUrl, desk::Desk, metrics, worker_status};

/// Everything that the page loads: address, media type, content.
const ASSETS: [(&str, &str, &str); 6] = [
    ("/style.css", "text/css; charset=utf-8", include_str!("page/style.css")),
    ("/script.js", JAVASCRIPT, include_str!("page/script.js")),
    ("/parts.js", JAVASCRIPT, include_str!("page/parts.js")),
    ("/curve.js", JAVASCRIPT, include_str!("page/curve.js")),
    ("/words.js", JAVASCRIPT, include_str!("page/words.js")),
    ("/icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
];
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const PAGE: &str = include_str!("page/index.html");

/// What the handlers work with.
#[derive(Clone)]
struct App {
    desk: Arc<Desk>,
    worker: LoopbackUrl,
    events: events::Listeners,
}

/// All routes, behind the guard; `worker` is where the worker tells its status. Event streams end with `stop`.
pub fn router(desk: Arc<Desk>, worker: LoopbackUrl, guard: Guard, stop: CancellationToken) -> Router {
    let page = Router::new()
        .route("/", get(|| async { Html(PAGE) }))
        .route("/api/status", get(status))
        .route("/api/events", get(events::stream))
        .route("/metrics", get(metrics_text))
        .route("/metrics/worker", get(worker_metrics));
    let page = ASSETS.into_iter().fold(page, |router, (path, media_type, content)| {
        router.route(path, get(move || async move { ([(CONTENT_TYPE, media_type)], content) }))
    });
    page.layer(middleware::from_fn_with_state(Arc::new(guard), guard::guard)).with_state(App {
        desk,
        worker,
        events: events::Listeners::new(stop),
    })
}

async fn status(State(app): State<App>) -> impl IntoResponse {
    typed("application/json", events::json(&*app.desk.newest()))
}

async fn metrics_text(State(app): State<App>) -> impl IntoResponse {
    typed(metrics::CONTENT_TYPE, metrics::render(&app.desk.newest().snapshot))
}

/// The worker's own metrics, which it shows on loopback only.
async fn worker_metrics(State(app): State<App>) -> Response {
    match worker_status::metrics(&app.worker).await {
        Ok(text) => typed(OPENMETRICS, text).into_response(),
        Err(why) => (StatusCode::BAD_GATEWAY, format!("{why}\n")).into_response(),
    }
}

fn typed(media_type: &'static str, body: String) -> ([(HeaderName, &'static str); 1], String) {
    ([(CONTENT_TYPE, media_type)], body)
}
