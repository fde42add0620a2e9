//! What crosses a process border, byte for byte. A change here is a change of protocol and gets a decision record.

mod golden;

use golden::check;
use reelmill_api::{
    AttemptId, Capability, ErrorKind, Event, EventBody, Failure, JobId, JobRequest, JobState, Priority, Progress,
    Rational, Rendition, Report, Task,
    job::Job,
    media::{AudioFacts, Colour, Fields, MediaFacts, Rotation, SubtitleFacts, VideoFacts},
    preset::{Settings, VideoCodec},
    problem::Problem,
    queues::{Encoding, LaneList, LaneState, Letter, LetterBody, LetterList},
    rendition::{DynamicRange, Sound, Track},
    report::{Sheets, Timings},
    status::{RunningTask, WorkerState, WorkerStatus},
};

fn job() -> JobId {
    "018f5b6e-7c1a-7e3b-9d2f-4a5b6c7d8e9f".parse().expect("a job id")
}

fn request() -> JobRequest {
    JobRequest {
        input: "s3://media-ingest/films/a.mp4".parse().expect("a location"),
        preset: "hls-ladder".parse().expect("a name"),
        output: Some("s3://media-output/films/a/".parse().expect("a location")),
        priority: Priority::High,
        settings: serde_json::from_str(r#"{"video":{"effort":"slow"}}"#).expect("settings"),
        id: Some(job()),
    }
}

fn source() -> MediaFacts {
    let video = VideoFacts {
        index: 0,
        codec: "hevc".to_owned(),
        width: 1920,
        height: 1080,
        sample_aspect: Rational::whole(1).expect("not zero"),
        rotation: Rotation::Cw90,
        frame_rate: Rational::new(30000, 1001).expect("not zero"),
        constant_rate: true,
        fields: Fields::Progressive,
        duration_seconds: Some(10.01),
        frames: Some(300),
        starts_at_seconds: 0.0,
        colour: Colour { transfer: Some("bt709".to_owned()), ..Colour::default() },
        pixel_format: "yuv420p".to_owned(),
        hdr: None,
        dolby_vision_profile: None,
    };
    let audio = AudioFacts {
        index: 1,
        codec: "aac".to_owned(),
        channels: 2,
        layout: Some("stereo".to_owned()),
        sample_rate: 48_000,
        language: Some("eng".to_owned()),
        duration_seconds: Some(10.0),
        starts_at_seconds: 0.5,
    };
    MediaFacts {
        container: "mov".to_owned(),
        duration_seconds: Some(10.01),
        bytes: 1_000_000,
        video: Some(video),
        audio: vec![audio],
        subtitles: vec![SubtitleFacts {
            index: 2,
            codec: "subrip".to_owned(),
            text: true,
            language: Some("deu".to_owned()),
            forced: false,
            hearing_impaired: true,
        }],
        timecode: Some("01:00:00:00".to_owned()),
        others: vec!["cover art (mjpeg)".to_owned()],
    }
}

fn rendition(name: &str, codecs: &str, track: Track) -> Rendition {
    Rendition {
        name: name.to_owned(),
        codecs: codecs.to_owned(),
        track,
        segments: 3,
        samples: 300,
        duration_seconds: 10.01,
        average_bps: 2_000_000,
        peak_bps: 2_500_000,
        bytes: 2_502_500,
    }
}

fn report() -> Report {
    let frame_rate = Rational::new(30000, 1001).expect("not zero");
    let sound = Track::Audio { channels: 2, sample_rate: 48_000, language: Some("eng".to_owned()), surround: false };
    let words = Track::Text { language: Some("deu".to_owned()), forced: false, hearing_impaired: true };
    let sheets = Sheets {
        sheets: 1,
        pictures: 3,
        columns: 5,
        rows: 5,
        width: 90,
        height: 160,
        every_seconds: 5.005,
        bytes: 40_960,
    };
    Report {
        job: job(),
        attempt: AttemptId::new(2, 0x7f3c_9d2b),
        node: "orin-3".to_owned(),
        reelmill: "0.1.0".to_owned(),
        engine: "software (ffmpeg 5.1.9)".to_owned(),
        preset: "hls-ladder".parse().expect("a name"),
        input: request().input,
        output: request().output.expect("it has one"),
        entry: "s3://media-output/films/a/master.m3u8".parse().expect("a location"),
        source: source(),
        renditions: vec![
            rendition(
                "720p",
                "avc1.64001f",
                Track::Video { width: 720, height: 1280, frame_rate, dynamic_range: DynamicRange::Sdr },
            ),
            rendition("audio", "mp4a.40.2", sound),
            rendition("text", "wvtt", words),
        ],
        storyboard: Some(sheets),
        changes: vec!["rotated 90".to_owned()],
        checks: vec!["300 frames in every video rendition".to_owned()],
        timings: Timings { probe_seconds: 0.2, encode_seconds: 5.0, speed: 2.002 },
    }
}

fn file_report() -> Report {
    let track = Track::File {
        path: "a2-7f3c9d2b/archive-prores.mov".to_owned(),
        width: 1080,
        height: 1920,
        frame_rate: Rational::new(30000, 1001).expect("not zero"),
        sounds: vec![Sound { channels: 6, sample_rate: 48_000, language: Some("eng".to_owned()) }],
        timecode: Some("01:00:00;00".to_owned()),
    };
    let file = Rendition { segments: 0, ..rendition("archive-prores", "apch,in24", track) };
    Report {
        preset: "archive-prores".parse().expect("a name"),
        entry: "s3://media-output/films/a/a2-7f3c9d2b/archive-prores.mov".parse().expect("a location"),
        renditions: vec![file],
        storyboard: None,
        ..report()
    }
}

fn progress() -> Progress {
    Progress { frame: 100, frames_expected: 300, fps: 50.0, speed: 1.668, eta_seconds: Some(4.0) }
}

fn failure() -> Failure {
    Failure::new(ErrorKind::BadSource, "cannot use s3://media-ingest/a.mp4 as a source: it has no bytes")
        .hint("was the upload finished?")
}

fn event(body: EventBody) -> Event {
    Event { job: job(), attempt: AttemptId::new(2, 0x7f3c_9d2b), node: "orin-3".to_owned(), body }
}

#[test]
fn jobs_and_tasks() {
    check("job-request.json", &request());
    let small =
        JobRequest { output: None, id: None, priority: Priority::Normal, settings: Settings::default(), ..request() };
    check("job-request-smallest.json", &small);
    check("task.json", &Task::of(job(), request()));
    check(
        "job.json",
        &Job {
            id: job(),
            state: JobState::Running,
            input: request().input,
            output: request().output.expect("it has one"),
            preset: request().preset,
            priority: Priority::Normal,
            created_at: "2026-01-02T03:04:05Z".to_owned(),
            updated_at: "2026-01-02T03:05:00Z".to_owned(),
            attempt: 2,
            progress: Some(progress()),
            failure: Some(failure()),
            report: None,
        },
    );
}

#[test]
fn events_and_reports() {
    check("event-started.json", &event(EventBody::Started));
    check("event-progress.json", &event(EventBody::Progress { progress: progress() }));
    check("event-done.json", &event(EventBody::Done { report: Box::new(report()) }));
    check("event-retry.json", &event(EventBody::Failed { failure: failure(), retry_in_seconds: Some(10) }));
    check("event-dead.json", &event(EventBody::Failed { failure: failure(), retry_in_seconds: None }));
    check("reelmill.json", &report());
    check("reelmill-file.json", &file_report());
    assert_eq!((report().is_the_commit(), file_report().is_the_commit()), (false, true));
}

#[test]
fn status_and_problems() {
    let running =
        RunningTask { job: job(), attempt: 2, preset: request().preset, input: request().input, progress: progress() };
    check(
        "worker-status.json",
        &WorkerStatus {
            node: "orin-3".to_owned(),
            reelmill: "0.1.0".to_owned(),
            pid: 4711,
            state: WorkerState::Draining,
            engines: vec!["software (ffmpeg 5.1.9)".to_owned()],
            capabilities: vec![Capability {
                engine: "software".to_owned(),
                codec: VideoCodec::H264,
                depth: 8,
                width: 4096,
                height: 2304,
                speed: 0.5,
            }],
            presets: vec![request().preset],
            concurrency: 1,
            paused: vec!["reelmill-proxy".parse().expect("a lane")],
            running: vec![running],
            node_busy: None,
            published: 7,
            failed: 1,
        },
    );
    let problem = Problem::new(422, "unknown-preset", "Unknown preset", "there is no preset `hls-laddr`");
    check("problem.json", &problem.pointer("/preset").hint("known presets: hls-ladder"));
}

#[test]
fn lanes_and_dead_letters() {
    let lane = |name: &str| name.parse().expect("a lane");
    let full = LaneState {
        lane: lane("reelmill-hls-ladder"),
        paused: true,
        paused_with: None,
        ready: 3,
        delayed: 1,
        leased: Some(2),
        dead: 1,
        oldest_seconds: Some(12.5),
    };
    let empty = LaneState {
        lane: lane("reelmill"),
        paused: false,
        paused_with: None,
        ready: 0,
        delayed: 0,
        leased: None,
        dead: 0,
        oldest_seconds: None,
    };
    check("lanes.json", &LaneList { lanes: vec![empty, full] });
    let letter = Letter {
        lane: lane("reelmill"),
        message_id: "018f5b6e-7c1a-7e3b-9d2f-4a5b6c7d8e9f".to_owned(),
        job: None,
        attempts: 1,
        reason: "the message on reelmill is not a job: it is no whole JSON, see line 1 column 1".to_owned(),
        bytes: 3,
        body: None,
    };
    let list = LetterList { dead_letters: vec![letter.clone(), Letter { job: Some(job()), ..letter.clone() }] };
    check("dead-letters.json", &list);
    let body = |body: &str, encoding| Some(LetterBody { body: body.to_owned(), encoding });
    check("dead-letter.json", &Letter { body: body("{,}", Encoding::Utf8), ..letter.clone() });
    check("dead-letter-bytes.json", &Letter { body: body("/wD/", Encoding::Base64), ..letter });
}
