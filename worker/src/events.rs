//! Telling of attempts: to the queue's readers of events, or as lines on standard output.

use std::{io::Write as _, sync::Arc, time::Duration};

use reelmill_api::{AttemptId, Event, EventBody, Failure, JobId, Progress, Report};
use reelmill_queue::SharedQueue;
use tokio::sync::watch;

use crate::quiet::{Asked, QuietLog};

/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// Where events go.
#[derive(Clone)]
pub enum Audience {
    /// Everyone who reads the queue's events; and what is said of a queue that takes none.
    Queue(SharedQueue, Arc<QuietLog>),
    /// Whoever started this program.
    Stdout,
}

/// Tells of one attempt.
pub struct Teller {
    audience: Audience,
    job: JobId,
    attempt: AttemptId,
    node: String,
    latest: watch::Sender<Option<Progress>>,
}

impl Teller {
    /// A teller for one attempt.
    pub fn new(audience: Audience, job: JobId, attempt: AttemptId, node: String) -> Self {
        Self { audience, job, attempt, node, latest: watch::Sender::new(None) }
    }

    /// The attempt began.
    pub async fn started(&self) {
        self.tell(EventBody::Started).await;
    }

    /// The output is published. Whether it could be told.
    pub async fn done(&self, report: &Report) -> bool {
        self.tell(EventBody::Done { report: Box::new(report.clone()) }).await
    }

    /// The attempt failed; `retry_in`: until the next one. Whether it could be told.
    pub async fn failed(&self, failure: &Failure, retry_in: Option<Duration>) -> bool {
        let retry_in_seconds = retry_in.map(|d| d.as_secs());
        self.tell(EventBody::Failed { failure: failure.clone(), retry_in_seconds }).await
    }

    /// Notes how far the attempt is; [`Teller::tell_progress`] passes it on.
    pub fn note(&self, progress: Progress) {
        self.latest.send_replace(Some(progress));
    }

    /// Passes progress on while the attempt runs. Never ends.
    pub async fn tell_progress(&self) {
        let mut latest = self.latest.subscribe();
        while latest.changed().await.is_ok() {
            let progress = *latest.borrow_and_update();
            if let Some(progress) = progress {
                self.tell(EventBody::Progress { progress }).await;
                tokio::time::sleep(PROGRESS_EVERY).await;
            }
        }
    }

    /// Tells an event, if it can: one on the way costs nobody the work.
    async fn tell(&self, body: EventBody) -> bool {
        let event = Event { job: self.job, attempt: self.attempt.clone(), node: self.node.clone(), body };
        let line = serde_json::to_vec(&event).expect("an event holds only strings and numbers");
        match &self.audience {
            Audience::Queue(queue, quiet) => quiet.heard(Asked::Event, queue.emit(&line).await).is_ok(),
            Audience::Stdout => print_line(&line),
        }
    }
}

fn print_line(line: &[u8]) -> bool {
    let mut out = std::io::stdout().lock();
    let printed = out.write_all(line).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
    printed.inspect_err(|e| log::warn!("cannot print an event: {e}")).is_ok()
}
