//! What an event or a wish makes of a job: pure functions.

use reelmill_api::{
    Event, EventBody, JobState,
    job::{Job, JobChange},
};

/// The job after `event`, or `None` where it changes nothing: what a worker says of an attempt that a later one has
/// replaced, and what it says after the end. The exception is a publication, which is a fact whoever made it.
pub fn apply(job: &Job, event: &Event, now: &str) -> Option<Job> {
    let done = matches!(event.body, EventBody::Done { .. });
    let overtaken = event.attempt.number() < job.attempt;
    let state = job.state.after(event.body.change());
    let over = job.state == JobState::Done || job.state.is_final() && state != JobState::Done;
    if over || overtaken && !done {
        return None;
    }
    let mut next = Job { state, updated_at: now.to_owned(), ..job.clone() };
    next.attempt = next.attempt.max(event.attempt.number());
    match &event.body {
        EventBody::Started => next.progress = None,
        EventBody::Progress { progress } => next.progress = Some(*progress),
        EventBody::Done { report } => {
            next.attempt = event.attempt.number();
            next.progress = None;
            next.failure = None;
            next.report = Some((**report).clone());
        }
        EventBody::Failed { failure, .. } => {
            next.progress = None;
            next.failure = Some(failure.clone());
        }
    }
    Some(next)
}

/// The job after somebody's wish, or `None` where it changes nothing. A job that is tried again counts its attempts from
/// the beginning, as its message does.
pub fn wish(job: &Job, change: JobChange, now: &str) -> Option<Job> {
    let state = job.state.after(change);
    let attempt = if change == JobChange::TriedAgain { 0 } else { job.attempt };
    let next = Job { state, attempt, progress: None, updated_at: now.to_owned(), ..job.clone() };
    (job.state != JobState::Done && (state, attempt) != (job.state, job.attempt)).then_some(next)
}

#[cfg(test)]
mod tests {
    use reelmill_api::{AttemptId, ErrorKind, Failure, Progress};

    use super::*;
    use crate::sample;

    fn event(attempt: u32, body: EventBody) -> Event {
        Event { job: sample::job().id, attempt: AttemptId::new(attempt, 7), node: "node-1".to_owned(), body }
    }

    fn progress(frame: u64) -> EventBody {
        EventBody::Progress { progress: Progress { frame, frames_expected: 100, ..Progress::default() } }
    }

    fn failed(retry_in_seconds: Option<u64>) -> EventBody {
        EventBody::Failed { failure: Failure::new(ErrorKind::Infrastructure, "the store is away"), retry_in_seconds }
    }

    fn done() -> EventBody {
        EventBody::Done { report: Box::new(sample::report(&sample::job())) }
    }

    /// The job in a few words after all these events.
    fn check(events: &[(u32, EventBody)], want: &str) {
        let mut job = sample::job();
        for (attempt, body) in events {
            job = apply(&job, &event(*attempt, body.clone()), "later").unwrap_or(job);
        }
        let frame = job.progress.map_or_else(String::new, |p| format!(" frame {}", p.frame));
        let failure = if job.failure.is_some() { " failure" } else { "" };
        let report = if job.report.is_some() { " report" } else { "" };
        let got = format!("{} attempt {}{frame}{failure}{report}", job.state.as_str(), job.attempt);
        assert_eq!(got, want, "after {events:?}");
    }

    #[test]
    fn a_job_follows_its_events_and_ignores_what_comes_late() {
        check(&[], "queued attempt 0");
        check(&[(1, EventBody::Started)], "running attempt 1");
        check(&[(1, EventBody::Started), (1, progress(40))], "running attempt 1 frame 40");
        check(&[(1, progress(40)), (1, done())], "done attempt 1 report");
        check(&[(1, progress(40)), (1, failed(Some(5)))], "queued attempt 1 failure");
        check(&[(1, failed(Some(5))), (2, progress(3))], "running attempt 2 frame 3 failure");
        check(&[(1, failed(Some(5))), (2, progress(3)), (2, done())], "done attempt 2 report");
        check(&[(2, progress(3)), (1, progress(90))], "running attempt 2 frame 3");
        check(&[(2, progress(3)), (1, failed(None))], "running attempt 2 frame 3");
        check(&[(2, progress(3)), (1, done())], "done attempt 1 report");
        check(&[(1, failed(None)), (1, progress(9))], "failed attempt 1 failure");
        check(&[(1, failed(None)), (1, done())], "done attempt 1 report");
        check(&[(1, done()), (2, progress(9)), (2, failed(None))], "done attempt 1 report");
    }

    #[test]
    fn an_event_told_twice_changes_nothing_more() {
        let once = apply(&sample::job(), &event(1, done()), "later").expect("a change");
        assert_eq!(apply(&once, &event(1, done()), "later still"), None);
    }

    /// The job in a few words after what a worker told and what somebody wished.
    fn check_wishes(steps: &[Result<(u32, EventBody), JobChange>], want: &str) {
        let mut job = sample::job();
        for step in steps {
            let next = match step {
                Ok((attempt, body)) => apply(&job, &event(*attempt, body.clone()), "later"),
                Err(change) => wish(&job, *change, "later"),
            };
            job = next.unwrap_or(job);
        }
        assert_eq!(format!("{} attempt {}", job.state.as_str(), job.attempt), want, "after {steps:?}");
        assert!(!job.state.is_final() || job.progress.is_none());
    }

    #[test]
    fn a_job_that_was_canceled_past_the_hub_is_canceled_here_too() {
        let failure = Failure::new(ErrorKind::Canceled, "the job was canceled");
        let canceled = EventBody::Failed { failure, retry_in_seconds: None };
        check(&[(1, progress(9)), (1, canceled.clone())], "canceled attempt 1 failure");
        check(&[(1, canceled), (1, progress(9))], "canceled attempt 1 failure");
    }

    #[test]
    fn what_somebody_wishes_is_obeyed_until_the_output_is_published() {
        use JobChange::{CalledOff, TriedAgain};
        let running = || Ok((2, progress(40)));
        check_wishes(&[Err(CalledOff)], "canceled attempt 0");
        check_wishes(&[running(), Err(CalledOff), Err(CalledOff)], "canceled attempt 2");
        check_wishes(&[running(), Err(CalledOff), running(), Ok((2, failed(None)))], "canceled attempt 2");
        check_wishes(
            &[running(), Err(CalledOff), Ok((2, failed(Some(5)))), Ok((3, progress(1)))],
            "canceled attempt 2",
        );
        check_wishes(&[running(), Err(CalledOff), Ok((2, done()))], "done attempt 2");
        check_wishes(&[Ok((1, done())), Err(CalledOff), Err(TriedAgain)], "done attempt 1");
        check_wishes(&[Ok((5, failed(None))), Err(CalledOff)], "failed attempt 5");
        check_wishes(&[Ok((5, failed(None))), Err(TriedAgain)], "queued attempt 0");
        check_wishes(&[Ok((5, failed(None))), Err(TriedAgain), Ok((1, progress(9)))], "running attempt 1");
        check_wishes(&[running(), Err(CalledOff), Err(TriedAgain), Ok((1, done()))], "done attempt 1");
    }
}
