//! The status page: what the desk holds, for a person as one page, for programs as JSON, events and metrics. It only
//! tells; nothing on the node can be changed here.

mod events;
mod guard;
mod serve;

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::header::{CONTENT_TYPE, HeaderName},
    middleware,
    response::{Html, IntoResponse},
    routing::get,
};
use tokio_util::sync::CancellationToken;

pub use self::{guard::Guard, serve::serve};
use crate::{desk::Desk, metrics};

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
    events: events::Listeners,
}

/// All routes, behind the guard. Event streams end with `stop`.
pub fn router(desk: Arc<Desk>, guard: Guard, stop: CancellationToken) -> Router {
    let page = Router::new()
        .route("/", get(|| async { Html(PAGE) }))
        .route("/api/status", get(status))
        .route("/api/events", get(events::stream))
        .route("/metrics", get(metrics_text));
    let page = ASSETS.into_iter().fold(page, |router, (path, media_type, content)| {
        router.route(path, get(move || async move { ([(CONTENT_TYPE, media_type)], content) }))
    });
    page.layer(middleware::from_fn_with_state(Arc::new(guard), guard::guard))
        .with_state(App { desk, events: events::Listeners::new(stop) })
}

async fn status(State(app): State<App>) -> impl IntoResponse {
    typed("application/json", events::json(&*app.desk.newest()))
}

async fn metrics_text(State(app): State<App>) -> impl IntoResponse {
    typed(metrics::CONTENT_TYPE, metrics::render(&app.desk.newest().snapshot))
}

fn typed(media_type: &'static str, body: String) -> ([(HeaderName, &'static str); 1], String) {
    ([(CONTENT_TYPE, media_type)], body)
}
