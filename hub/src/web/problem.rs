//! What a client gets when a request is refused: problem+json, and the cause in the log.

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use reelmill_api::problem::{self, Problem};
use reelmill_queue::QueueError;

use crate::db::DbError;

/// A request that was refused.
#[derive(Debug)]
pub(crate) struct Refusal(Box<Problem>);

impl Refusal {
    /// Nothing of that name.
    pub(crate) fn not_found(what: impl Into<String>) -> Self {
        Problem::new(404, "not-found", "not found", what).into()
    }

    /// Nothing of that name, and what there is.
    pub(crate) fn not_found_but(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Problem::new(404, "not-found", "not found", what).hint(hint).into()
    }

    /// A value in the address that cannot be.
    pub(crate) fn bad_query(detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Problem::new(400, "bad-query", "bad query", detail).hint(hint).into()
    }

    /// Something the client can do nothing about; the cause is only logged.
    pub(crate) fn failed(doing: &str, cause: &dyn std::fmt::Display) -> Self {
        log::error!("{doing}: {cause}");
        Problem::new(500, "failed", "the hub failed", format!("the hub could not {doing}"))
            .hint("see the hub's log, then try again")
            .into()
    }

    /// The queue did not do its part; the cause is only logged.
    pub(crate) fn queue(doing: &str, cause: &QueueError) -> Self {
        log::error!("cannot {doing}: {cause}");
        Problem::new(502, "queue-failed", "the queue failed", format!("the queue could not {doing}"))
            .hint("GET /v1/health says whether the queue answers; see the hub's log")
            .into()
    }

    /// The store did not do its part; the cause is only logged.
    pub(crate) fn store(doing: &str, cause: &dyn std::fmt::Display) -> Self {
        log::error!("cannot {doing}: {cause}");
        Problem::new(502, "store-failed", "the store failed", format!("the store could not {doing}"))
            .hint("GET /v1/health says whether the store answers; see the hub's log")
            .into()
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl From<Box<Problem>> for Refusal {
    fn from(problem: Box<Problem>) -> Self {
        Self(problem)
    }
}

impl From<DbError> for Refusal {
    fn from(error: DbError) -> Self {
        Self::failed("use its database", &error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.0).expect("a problem holds only text and a number");
        (status, [(header::CONTENT_TYPE, problem::CONTENT_TYPE)], body).into_response()
    }
}
