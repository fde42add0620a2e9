//! A job and a report for tests.

use reelmill_api::{
    AttemptId, JobId, JobState, MediaFacts, Priority, Rational, Rendition, Report,
    job::Job,
    rendition::{DynamicRange, Track},
    report::Timings,
};
use uuid::Uuid;

/// A job that was just admitted.
pub(crate) fn job() -> Job {
    let id = JobId::new(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001));
    Job {
        id,
        state: JobState::Queued,
        input: "s3://media-ingest/a.mp4".parse().expect("a literal"),
        output: format!("s3://media-output/{id}/").parse().expect("a literal"),
        preset: "hls-ladder".parse().expect("a literal"),
        priority: Priority::Normal,
        created_at: "2025-01-02T03:04:05.000Z".to_owned(),
        updated_at: "2025-01-02T03:04:05.000Z".to_owned(),
        attempt: 0,
        progress: None,
        failure: None,
        report: None,
    }
}

/// What a worker would report of it.
pub(crate) fn report(job: &Job) -> Report {
    let video = Track::Video {
        width: 1280,
        height: 720,
        frame_rate: Rational::whole(25).expect("not zero"),
        dynamic_range: DynamicRange::Sdr,
    };
    Report {
        job: job.id,
        attempt: AttemptId::new(1, 7),
        node: "node-1".to_owned(),
        reelmill: "0.1.0".to_owned(),
        engine: "software (ffmpeg 5.1.9)".to_owned(),
        preset: job.preset.clone(),
        input: job.input.clone(),
        output: job.output.clone(),
        entry: job.output.join("master.m3u8").expect("a plain name"),
        source: MediaFacts {
            container: "mov,mp4".to_owned(),
            duration_seconds: Some(5.0),
            bytes: 1_000,
            video: None,
            audio: vec![],
            subtitles: vec![],
            timecode: None,
            others: vec![],
        },
        renditions: vec![Rendition {
            name: "720p".to_owned(),
            codecs: "avc1.64001f".to_owned(),
            track: video,
            segments: 2,
            samples: 125,
            duration_seconds: 5.0,
            average_bps: 1_000_000,
            peak_bps: 1_200_000,
            bytes: 625_000,
        }],
        storyboard: None,
        changes: vec![],
        checks: vec![],
        timings: Timings::default(),
    }
}
