//! The hub's HTTP side: the API under `/v1`, the metrics and the page.

mod events;
mod guard;
mod health;
mod jobs;
mod lanes;
mod letters;
mod nodes;
mod output;
mod pages;
mod problem;
mod range;
mod targets;
mod uploads;

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    middleware,
    routing::{get, post, put},
};
use jiff::Timestamp;
use reelmill_api::{Lane, Location, QueueName, S3Location, location::BadLocation, problem::Problem};
use reelmill_daemon::Metrics;
use reelmill_queue::SharedQueue;
use reelmill_storage::Storage;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{admission::Terms, db::Db, feed::Feed, fleet::Nodes, gauges::Gauges};
use problem::Refusal;

/// What the handlers work with.
pub struct App {
    /// Jobs.
    pub db: Db,
    /// Who watches them.
    pub feed: Feed,
    /// The fleet's nodes.
    pub nodes: Nodes,
    /// Wakes the outbox.
    pub added: Arc<Notify>,
    /// The queue, for its state only; tasks go through the outbox.
    pub queue: SharedQueue,
    /// Its name.
    pub queue_name: QueueName,
    /// The stores.
    pub storage: Storage,
    /// What is offered.
    pub terms: Terms,
    /// Where uploads go.
    pub input_bucket: String,
    /// The metrics.
    pub gauges: Gauges,
    /// Ends event streams, which have no end of their own.
    pub stop: CancellationToken,
}

impl App {
    /// A place in the bucket of uploads.
    fn upload_place(&self, key: &str) -> Result<Location, BadLocation> {
        S3Location::new(&self.input_bucket, key).map(Location::S3)
    }

    /// All lanes that this farm may have.
    fn lanes(&self) -> Vec<Lane> {
        lanes::all(&self.queue_name, &self.terms.presets)
    }
}

/// All routes, behind the guard.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/jobs", post(jobs::submit).get(jobs::list))
        .route("/v1/jobs/{id}", get(jobs::show).delete(jobs::stop))
        .route("/v1/jobs/{id}/cancel", post(jobs::cancel))
        .route("/v1/jobs/{id}/events", get(events::of_job))
        .route("/v1/jobs/{id}/output/{*path}", get(output::file))
        .route("/v1/lanes", get(lanes::list))
        .route("/v1/lanes/{lane}/pause", post(lanes::pause))
        .route("/v1/lanes/{lane}/resume", post(lanes::resume))
        .route("/v1/dead-letters", get(letters::list))
        .route("/v1/dead-letters/{lane}/{message}", get(letters::show).delete(letters::drop))
        .route("/v1/dead-letters/{lane}/{message}/retry", post(letters::retry))
        .route("/v1/events", get(events::of_all))
        .route("/v1/events/nodes", get(nodes::changes))
        .route("/v1/nodes", get(nodes::list))
        .route("/v1/nodes/{node}", get(nodes::show))
        .route("/v1/targets", get(targets::list))
        .route("/v1/presets", get(jobs::presets))
        .route("/v1/uploads/{name}", put(uploads::store))
        .route("/v1/health", get(health::health))
        .route("/metrics", get(metrics))
        .merge(pages::routes())
        .fallback(|| async { Refusal::not_found("there is nothing at this address") })
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn(guard::guard))
        .with_state(app)
}

async fn wrong_method() -> Refusal {
    Problem::new(405, "wrong-method", "wrong method", "this address does not take that method").into()
}

async fn metrics(State(app): State<Arc<App>>) -> Result<Metrics, Refusal> {
    let always = lanes::always(&app.queue_name, &app.terms.presets);
    Ok(app.gauges.measure(&app.db, &app.nodes, (&app.queue, &app.lanes(), &always), Timestamp::now()).await?)
}

/// JSON with its media type.
fn json<T: serde::Serialize>(value: &T) -> ([(http::HeaderName, &'static str); 1], Vec<u8>) {
    let body = serde_json::to_vec(value).expect("what the API shows holds only text, numbers and lists");
    ([(http::header::CONTENT_TYPE, "application/json")], body)
}
