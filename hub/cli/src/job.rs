//! A job on a farm, followed to its end.

use std::{pin::pin, time::Duration};

use futures::StreamExt;
use reelmill_api::{JobId, JobState, job::Job};

use crate::{
    exit::{DONE, FAILED},
    hub::Hub,
    render,
    screen::{self, Meter, Screen},
};

/// How long to wait before a stream that broke is opened again.
const AGAIN: Duration = Duration::from_millis(500);
/// So many failures in a row to hear anything of the job mean that the hub is gone.
const TRIES: u32 = 20;

/// Follows a job, through restarts of the hub, until nothing more will happen to it.
pub(crate) async fn follow(hub: &Hub, id: JobId, screen: &Screen, heading: &str) -> anyhow::Result<Job> {
    let mut meter = screen.meter(heading);
    let mut seen = Seen::default();
    let mut failures = 0;
    loop {
        match listen(hub, id, &mut meter, &mut seen, screen).await {
            Heard::Final(job) => return Ok(*job),
            Heard::Something => failures = 0,
            Heard::Nothing(error) if failures == TRIES => return Err(error),
            Heard::Nothing(_) => failures += 1,
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// What one stream of events told.
enum Heard {
    Final(Box<Job>),
    Something,
    Nothing(anyhow::Error),
}

async fn listen(hub: &Hub, id: JobId, meter: &mut Meter, seen: &mut Seen, screen: &Screen) -> Heard {
    let mut jobs = match hub.events(id).await {
        Ok(jobs) => pin!(jobs),
        Err(error) => return Heard::Nothing(error),
    };
    let mut heard = Heard::Nothing(anyhow::anyhow!("the hub tells nothing of job {id}"));
    while let Some(told) = jobs.next().await {
        let job = match told {
            Ok(job) => job,
            Err(error) if matches!(heard, Heard::Nothing(_)) => return Heard::Nothing(error),
            Err(_) => return heard,
        };
        if let Some(progress) = job.progress.as_ref().filter(|_| job.state == JobState::Running) {
            meter.show(progress);
        }
        if let Some(line) = seen.news(&job) {
            screen.note(&line);
        }
        if job.state.is_final() {
            return Heard::Final(Box::new(job));
        }
        heard = Heard::Something;
    }
    heard
}

/// The attempt whose failure was told last.
#[derive(Default)]
struct Seen(u32);

impl Seen {
    /// A line if an attempt failed that will be followed by another.
    fn news(&mut self, job: &Job) -> Option<String> {
        let failure = job.failure.as_ref().filter(|_| job.state == JobState::Queued && job.attempt > self.0)?;
        self.0 = job.attempt;
        let why = reelmill_daemon::report::visible(&failure.message);
        Some(format!("attempt {} failed and will be repeated: {why}", job.attempt))
    }
}

/// Tells how a job ended, and the exit code that says so.
pub(crate) fn tell_end(job: &Job, screen: &Screen) -> u8 {
    match (&job.report, &job.failure) {
        (Some(report), _) if job.state == JobState::Done => screen::print(&render::report(report)),
        (None, _) if job.state == JobState::Done => screen::print("done\n"),
        _ if job.state == JobState::Canceled => screen.note("the job was canceled"),
        (_, Some(failure)) => screen.error(failure),
        (_, None) => screen.note("error: the job failed, and the hub does not say why"),
    }
    if job.state == JobState::Done { DONE } else { FAILED }
}

#[cfg(test)]
mod tests {
    use reelmill_api::{ErrorKind, Failure};

    use super::*;

    fn job(state: JobState, attempt: u32, failure: Option<&str>) -> Job {
        Job {
            id: JobId::from_message("q", "1"),
            state,
            input: "s3://media/a".parse().expect("a location"),
            output: "s3://media/out".parse().expect("a location"),
            preset: "hls-ladder".parse().expect("a name"),
            priority: reelmill_api::Priority::Normal,
            created_at: String::new(),
            updated_at: String::new(),
            attempt,
            progress: None,
            failure: failure.map(|why| Failure::new(ErrorKind::Infrastructure, why)),
            report: None,
        }
    }

    #[test]
    fn each_failed_attempt_is_told_once() {
        let mut seen = Seen::default();
        let mut news = |state, attempt, failure| seen.news(&job(state, attempt, failure));
        assert_eq!(news(JobState::Queued, 0, None), None);
        let line = "attempt 1 failed and will be repeated: the store is away";
        assert_eq!(news(JobState::Queued, 1, Some("the store is away")).as_deref(), Some(line));
        assert_eq!(news(JobState::Queued, 1, Some("the store is away")), None);
        assert_eq!(news(JobState::Running, 2, Some("the store is away")), None);
        assert_eq!(news(JobState::Failed, 2, Some("the end")), None);
    }

    #[tokio::test]
    async fn follows_through_a_stream_that_breaks() {
        use std::sync::atomic::{AtomicU32, Ordering};
        static ASKED: AtomicU32 = AtomicU32::new(0);
        let event =
            |state| format!("event: job\ndata: {}\n\n", serde_json::to_string(&job(state, 1, None)).expect("data"));
        let answer = move || async move {
            match ASKED.fetch_add(1, Ordering::Relaxed) {
                0 => event(JobState::Running),
                1 => "event: job\ndata: {\n\n".to_owned(),
                _ => event(JobState::Done),
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let at = listener.local_addr().expect("it is bound");
        let router = axum::Router::new().route("/v1/jobs/{id}/events", axum::routing::get(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let hub = Hub::at(crate::hub::parse_address(&format!("http://{at}")).expect("an address"));
        let want = job(JobState::Done, 1, None);
        let got = follow(&hub, want.id, &Screen::stderr(), "a test").await.expect("it is done at last");
        assert_eq!((got, ASKED.load(Ordering::Relaxed)), (want, 3));
    }

    #[test]
    fn the_exit_code_tells_done_from_failed() {
        let screen = Screen::stderr();
        assert_eq!(tell_end(&job(JobState::Done, 1, None), &screen), 0);
        assert_eq!(tell_end(&job(JobState::Failed, 1, Some("x")), &screen), 1);
        assert_eq!(tell_end(&job(JobState::Failed, 1, None), &screen), 1);
        assert_eq!(tell_end(&job(JobState::Canceled, 1, None), &screen), 1);
    }
}
