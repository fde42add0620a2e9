//! `GET /metrics`: a registry as OpenMetrics text.

use std::sync::Arc;

use axum::{Router, http::header::CONTENT_TYPE, response::IntoResponse, routing::get};
pub use prometheus_client;
use prometheus_client::{encoding::text::encode, registry::Registry};

/// The media type of OpenMetrics text.
pub const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A program's metrics. Clones share them.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Registry>);

impl Metrics {
    /// The metrics of a registry in which everything is registered.
    pub fn new(registry: Registry) -> Self {
        Self(Arc::new(registry))
    }

    /// All metrics as text, now.
    pub fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.0).expect("a string takes all that is written to it");
        text
    }

    /// A router with `GET /metrics`.
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        let metrics = self.clone();
        Router::new().route("/metrics", get(move || async move { metrics.into_response() }))
    }
}

impl IntoResponse for Metrics {
    fn into_response(self) -> axum::response::Response {
        ([(CONTENT_TYPE, OPENMETRICS)], self.text()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;
    use tokio_util::sync::CancellationToken;

    use super::*;

    #[tokio::test]
    async fn answers_with_openmetrics_text() {
        let mut registry = Registry::default();
        let published: Counter = Counter::default();
        registry.register("reelmill_tasks_published", "Tasks published", published.clone());
        let metrics = Metrics::new(registry);
        let stop = CancellationToken::new();
        let listener = crate::http::bind(([127, 0, 0, 1], 0).into()).await.expect("a free port");
        let at = listener.local_addr().expect("it is bound");
        let server = tokio::spawn(crate::http::serve(listener, metrics.router(), stop.clone()));
        published.inc();
        let answer = crate::http::tests::get(at, "/metrics").await;
        stop.cancel();
        server.await.expect("no panic").expect("served to the end");
        assert!(answer.contains(&format!("content-type: {OPENMETRICS}\r\n")), "{answer}");
        let body = answer.split_once("\r\n\r\n").expect("a head and a body").1;
        assert_eq!(
            body,
            "# HELP reelmill_tasks_published Tasks published.\n# TYPE reelmill_tasks_published counter\n\
             reelmill_tasks_published_total 1\n# EOF\n"
        );
    }
}
