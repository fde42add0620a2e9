//! A farm with a worker that runs, and jobs done by it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use reelmill_api::{Event, EventBody, Report};
use reelmill_e2e::Farm;
use reelmill_lab::{media, programs::Running};
use reelmill_queue::Cursor;

/// A farm with one worker.
pub(crate) struct Site {
    pub(crate) farm: Farm,
    pub(crate) worker: Running,
    log: PathBuf,
}

impl Site {
    /// Starts a worker and waits until it is ready.
    pub(crate) fn start(farm: Farm) -> Self {
        let log = farm.folder.path().join("worker.log");
        let file = fs::File::create(&log).expect("a log file");
        let mut command = farm.worker();
        command
            .env("REELMILL_LOG", "debug")
            .env("LEASE_SECONDS", "30")
            .env("STALL_SECONDS", "120")
            .stderr(Stdio::from(file));
        let worker = Running::start(command);
        let site = Self { farm, worker, log };
        reelmill_lab::programs::eventually("the worker", || site.log().contains("status at").then_some(()));
        site
    }

    /// What the worker has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("the log can be read")
    }

    /// Submits a source and waits for its end.
    pub(crate) async fn job(&self, input: &str, preset: &str) -> Report {
        let mut cursor = Cursor::default();
        // Past what earlier jobs told.
        loop {
            let events = self.farm.queue.events(&cursor, Duration::ZERO).await.expect("the queue answers");
            cursor = events.next;
            if events.bodies.is_empty() {
                break;
            }
        }
        let job = self.farm.submit(input, preset).await;
        loop {
            let events = self.farm.queue.events(&cursor, Duration::from_secs(2)).await.expect("the queue answers");
            cursor = events.next;
            for body in events.bodies {
                let event: Event = serde_json::from_slice(&body).expect("an event");
                match event.body {
                    EventBody::Done { report } if event.job == job => return *report,
                    EventBody::Failed { failure, .. } if event.job == job => panic!("{}", failure.lines()),
                    _ => {}
                }
            }
        }
    }
}

/// The clip so many times over, without encoding it anew.
pub(crate) fn looped(folder: &Path, times: u32) -> PathBuf {
    media::make(folder, &format!("-stream_loop {} -i CLIP -c copy looped-{times}.mp4", times - 1))
}
