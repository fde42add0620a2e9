//! The page: files of `hub/ui` as they are, and the player from npm. No data of a job is ever put into HTML here; the
//! page's script asks the API and inserts text.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State},
    response::{Html, IntoResponse},
    routing::get,
};
use http::{StatusCode, header};

use super::{App, jobs};

const JOB_LIST: &str = include_str!("../../ui/index.html");
const QUEUES: &str = include_str!("../../ui/queues.html");
const NODES: &str = include_str!("../../ui/nodes.html");
const ONE_JOB: &str = include_str!("../../ui/job.html");

/// Everything that the pages load: address, media type, content.
const ASSETS: [(&str, &str, &str); 9] = [
    ("/ui/style.css", "text/css; charset=utf-8", include_str!("../../ui/style.css")),
    ("/ui/words.js", JAVASCRIPT, include_str!("../../ui/words.js")),
    ("/ui/list.js", JAVASCRIPT, include_str!("../../ui/list.js")),
    ("/ui/queues.js", JAVASCRIPT, include_str!("../../ui/queues.js")),
    ("/ui/nodes.js", JAVASCRIPT, include_str!("../../ui/nodes.js")),
    ("/ui/storyboard.js", JAVASCRIPT, include_str!("../../ui/storyboard.js")),
    ("/ui/job.js", JAVASCRIPT, include_str!("../../ui/job.js")),
    ("/ui/icon.svg", "image/svg+xml", include_str!("../../ui/icon.svg")),
    ("/ui/hls.min.js", JAVASCRIPT, include_str!(concat!(env!("OUT_DIR"), "/hls.min.js"))),
];
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

pub(super) fn routes() -> Router<Arc<App>> {
    let pages = Router::new()
        .route("/", get(|| async { Html(JOB_LIST) }))
        .route("/queues", get(|| async { Html(QUEUES) }))
        .route("/nodes", get(|| async { Html(NODES) }))
        .route("/jobs/{id}", get(one_job));
    ASSETS.into_iter().fold(pages, |router, (path, media_type, content)| {
        router.route(path, get(move || async move { ([(header::CONTENT_TYPE, media_type)], content) }))
    })
}

/// The same page for every job; its script says so if there is none.
async fn one_job(State(app): State<Arc<App>>, Path(id): Path<String>) -> impl IntoResponse {
    let status = if jobs::find(&app, &id).await.is_ok() { StatusCode::OK } else { StatusCode::NOT_FOUND };
    (status, Html(ONE_JOB))
}
