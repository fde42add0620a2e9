//! Damaged sources through one worker, a few at a time, each judged as it ends and then cleared away.

use std::{
    collections::HashMap,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use reelmill_api::{ErrorKind, Event, EventBody, Failure, JobId, Report, rendition::Track};
use reelmill_lab::{programs::Running, s3::BUCKET};
use reelmill_queue::Cursor;

use super::{Clips, Tally};
use crate::Farm;

/// Sources that wait or are worked on at once.
const AT_ONCE: usize = 12;
/// Nothing at all may end for so long: longer than a probe, a stall and a decode together may take.
const LONGEST_SILENCE: Duration = Duration::from_secs(240);

/// One worker and the damaged sources that it is given.
pub struct Bout<'a> {
    farm: &'a Farm,
    worker: &'a mut Running,
    preset: &'a str,
    cursor: Cursor,
    under_way: HashMap<JobId, (String, Instant)>,
    tally: Tally,
}

impl<'a> Bout<'a> {
    /// A bout of this farm's worker, which makes what `preset` says.
    pub fn new(farm: &'a Farm, worker: &'a mut Running, preset: &'a str) -> Self {
        let (cursor, under_way, tally) = (Cursor::default(), HashMap::new(), Tally::default());
        Self { farm, worker, preset, cursor, under_way, tally }
    }

    /// Gives the worker these damaged clips, until all have ended; no new ones after `until`. How many there were, and
    /// what became of them. Panics if the worker ends, nothing ends for long, or an end is not true or not clear.
    pub async fn run(mut self, clips: &Clips, numbers: impl Iterator<Item = u64>, until: Instant) -> (u64, Tally) {
        let mut numbers = numbers.take_while(|_| Instant::now() < until);
        let mut given = 0;
        loop {
            while self.under_way.len() < AT_ONCE
                && let Some(number) = numbers.next()
            {
                self.submit(clips.damaged(number)).await;
                given += 1;
            }
            if self.under_way.is_empty() {
                return (given, self.tally);
            }
            self.take_ends().await;
        }
    }

    async fn submit(&mut self, (name, bytes): (String, Vec<u8>)) {
        std::fs::write(self.farm.store.folder.join(&name), bytes).expect("a source goes into the store");
        let job = self.farm.submit(&format!("s3://{BUCKET}/{name}"), self.preset).await;
        self.under_way.insert(job, (name, Instant::now()));
    }

    async fn take_ends(&mut self) {
        let silence = Instant::now();
        loop {
            assert!(!self.worker.has_ended(), "the worker is gone, with these under way: {:?}", self.under_way);
            assert!(silence.elapsed() < LONGEST_SILENCE, "nothing ends: {:?}", self.under_way);
            let events = self.farm.queue.events(&self.cursor, Duration::from_millis(500)).await.expect("an answer");
            self.cursor = events.next;
            let before = self.under_way.len();
            for body in events.bodies {
                self.take(serde_json::from_slice(&body).expect("an event"));
            }
            if self.under_way.len() < before {
                return;
            }
        }
    }

    fn take(&mut self, event: Event) {
        if matches!(event.body, EventBody::Started)
            && let Some((_, since)) = self.under_way.get_mut(&event.job)
        {
            *since = Instant::now();
        }
        if !matches!(event.body, EventBody::Done { .. } | EventBody::Failed { .. }) {
            return;
        }
        // A later attempt at one that was put off.
        let Some((name, since)) = self.under_way.remove(&event.job) else { return };
        self.tally.took(&name, since.elapsed());
        let folder = self.farm.output_folder(event.job);
        match event.body {
            EventBody::Done { report } => {
                is_true(&name, &report, &folder);
                self.tally.published += 1;
            }
            EventBody::Failed { failure, retry_in_seconds } => {
                is_clear(&name, &failure);
                let files = self.farm.output_files(event.job);
                let published = files.iter().any(|file| !file.contains('/'));
                assert!(!published, "{name}: {}: {files:?}", failure.lines());
                self.tally.failed(&name, &failure.message, retry_in_seconds.is_none());
                if retry_in_seconds.is_some() {
                    // Another attempt needs the source.
                    return;
                }
            }
            _ => unreachable!("it is an end"),
        }
        let _ = std::fs::remove_dir_all(folder);
        let _ = std::fs::remove_file(self.farm.store.folder.join(name));
    }
}

/// A refusal has a kind that can be of a source or a machine, and a sentence that helps.
fn is_clear(name: &str, Failure { kind, message, hint, .. }: &Failure) {
    assert!(matches!(kind, ErrorKind::BadSource | ErrorKind::Infrastructure), "{name}: {kind}: {message}");
    assert!(message.len() > 20 && message.len() < 4000 && !message.contains('\n'), "{name}: {message}");
    assert!(*kind != ErrorKind::BadSource || hint.is_some(), "{name}: {message}");
}

/// All renditions can be decoded from the first byte to the last without a complaint, and hold what the report says.
fn is_true(name: &str, report: &Report, folder: &Path) {
    assert!(folder.join("master.m3u8").is_file() && folder.join("reelmill.json").is_file(), "{name}");
    for rendition in &report.renditions {
        let at = folder.join(report.attempt.to_string()).join(&rendition.name);
        let segments = (0..rendition.segments).map(reelmill_api::layout::segment);
        let files = std::iter::once("init.mp4".to_owned()).chain(segments);
        let parts: Vec<_> = files.map(|file| std::fs::read(at.join(file)).expect("it is listed")).collect();
        let whole = at.join("whole.mp4");
        std::fs::write(&whole, parts.concat()).expect("it is written");
        let frames = decoded(name, &whole);
        if matches!(rendition.track, Track::Video { .. }) {
            assert_eq!(frames, rendition.samples, "{name}: frames of {}", rendition.name);
        }
    }
}

/// How many frames or packets of sound can be decoded; there must be no complaint.
fn decoded(name: &str, file: &Path) -> u64 {
    let ran = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-xerror", "-i"])
        .arg(file)
        .args(["-map", "0", "-fps_mode", "passthrough", "-f", "framecrc", "-"])
        .output()
        .expect("ffmpeg is installed");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && said.is_empty(), "{name}: {}: {said}", file.display());
    String::from_utf8_lossy(&ran.stdout).lines().filter(|line| !line.starts_with('#')).count() as u64
}
