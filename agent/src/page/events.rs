//! Server-sent events: the last minutes at first, then every look at the node. Nothing is made while nobody listens.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{StatusCode, header::RETRY_AFTER},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures::{Stream, StreamExt as _, stream};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::App;
use crate::desk::{Desk, Point, Sample};

/// So many may listen at once; each costs a copy of every look. Others can still read `/api/status`.
const MOST: usize = 16;
/// A comment so often keeps the line through proxies, where looks are rare, and finds out who is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How soon a browser that lost the line comes back.
const RETRY: Duration = Duration::from_secs(2);

/// Who listens.
#[derive(Clone)]
pub(super) struct Listeners {
    places: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Listeners {
    pub(super) fn new(stop: CancellationToken) -> Self {
        Self { places: Arc::new(Semaphore::new(MOST)), stop }
    }
}

/// The curves so far, each point a row.
#[derive(Serialize)]
struct History<'a> {
    columns: [&'static str; Point::COLUMNS.len()],
    points: Vec<&'a [Option<f64>]>,
}

pub(super) async fn stream(State(app): State<App>) -> Response {
    match app.events.places.clone().try_acquire_owned() {
        Ok(place) => Sse::new(looks(&app.desk, place, app.events.stop.clone()))
            .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
            .into_response(),
        Err(_) => {
            let why = "too many listen already; read /api/status instead\n";
            (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "10")], why).into_response()
        }
    }
}

/// The history, the newest look, and every look from then on. A listener that is slow misses looks, never memory.
fn looks(
    desk: &Desk,
    place: OwnedSemaphorePermit,
    stop: CancellationToken,
) -> impl Stream<Item = Result<Event, Infallible>> + use<> {
    // Watch before reading, so that no look falls between; one that comes twice is told by its time.
    let mut watch = desk.watch();
    watch.mark_changed();
    let points = desk.history();
    let history = History { columns: Point::COLUMNS, points: points.iter().map(Point::figures).collect() };
    let first = Event::default().event("history").retry(RETRY).data(json(&history));
    let next = stream::unfold((watch, place), |(mut watch, place)| async {
        let sample = changed(&mut watch).await?;
        Some((Event::default().event("status").data(json(&*sample)), (watch, place)))
    });
    stream::once(async { first }).chain(next).take_until(stop.cancelled_owned()).map(Ok)
}

async fn changed(watch: &mut watch::Receiver<Arc<Sample>>) -> Option<Arc<Sample>> {
    watch.changed().await.ok()?;
    Some(watch.borrow_and_update().clone())
}

/// A value as JSON on one line.
pub(super) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("what the page tells has only text, numbers and lists")
}
