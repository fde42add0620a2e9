//! Server-sent events: one job until it ends, or all jobs.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::{Path, State},
    response::{
        Sse,
        sse::{Event, KeepAlive},
    },
};
use futures::{Stream, StreamExt, stream};
use reelmill_api::job::Job;

use super::{App, jobs, problem::Refusal};
use crate::{
    db::DbError,
    feed::{Heard, Watch},
};

/// The name of every event of a job.
const NAME: &str = "job";
/// A comment so often keeps the connection through proxies and finds out that the client is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How soon a client that lost the stream comes back.
const RETRY: Duration = Duration::from_secs(1);

/// One job: how it stands now, then each change, until its end.
pub(super) async fn of_job(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    // Watch before reading, so that no change falls between.
    let watch = app.feed.watch();
    let job = jobs::find(&app, &id).await?;
    Ok(sse(stream::unfold(JobStream { app, watch, last: job, sent: false }, JobStream::next)))
}

/// All jobs: each change from now on, without reports. It ends when the reader cannot keep up; who comes back should
/// read the list anew.
pub(super) async fn of_all(State(app): State<Arc<App>>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let watch = app.feed.watch();
    sse(stream::unfold((app, watch), |(app, mut watch)| async {
        loop {
            let Heard::Changed(id) = heard(&app, &mut watch).await else { return None };
            match app.db.job(&id).await {
                Ok(Some(job)) => return Some((Job { report: None, ..job }, (app, watch))),
                Ok(None) => {}
                Err(e) => return failed(&e),
            }
        }
    }))
}

/// The state of a job's stream.
struct JobStream {
    app: Arc<App>,
    watch: Watch,
    last: Job,
    sent: bool,
}

impl JobStream {
    async fn next(mut self) -> Option<(Job, Self)> {
        if !self.sent {
            self.sent = true;
            return Some((self.last.clone(), self));
        }
        while !self.last.state.is_final() {
            match heard(&self.app, &mut self.watch).await {
                Heard::Changed(id) if id != self.last.id => continue,
                Heard::Changed(_) | Heard::Missed => {}
                Heard::Ended => return None,
            }
            match self.app.db.job(&self.last.id).await {
                Ok(Some(job)) if job != self.last => {
                    self.last = job.clone();
                    return Some((job, self));
                }
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(e) => return failed(&e),
            }
        }
        None
    }
}

async fn heard(app: &App, watch: &mut Watch) -> Heard {
    tokio::select! {
        () = app.stop.cancelled() => Heard::Ended,
        heard = watch.next() => heard,
    }
}

fn failed<T>(error: &DbError) -> Option<T> {
    log::error!("an event stream ends: {error}");
    None
}

fn sse(jobs: impl Stream<Item = Job> + Send + 'static) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    live(jobs.map(|job| (NAME, serde_json::to_string(&job).expect("a job holds only text, numbers and lists"))))
}

/// Named events, each with its data, to a client that comes back when it loses them.
pub(super) fn live(
    events: impl Stream<Item = (&'static str, String)> + Send + 'static,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let events = events.map(|(name, data)| Ok(Event::default().event(name).retry(RETRY).data(data)));
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}
