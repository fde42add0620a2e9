//! Jobs on the queue: what can never be done becomes a dead letter at once, with its reason and an event that says the
//! same; what may pass is tried again.

use std::{fs, os::unix::fs::symlink, time::Duration};

use reelmill_api::{ErrorKind, JobId, Lane, Priority, Task, preset::Settings, settle::FIRST_RETRY};
use reelmill_lab::{media, programs::Nobody, s3::BUCKET};
use reelmill_queue::NewMessage;

use crate::{
    desk::{Desk, QUICK},
    sources,
};

/// A job on the farm's queue and what must become of it.
struct Case {
    job: JobId,
    kind: ErrorKind,
    want: String,
}

impl Desk {
    async fn case(&self, input: &str, kind: ErrorKind, want: impl Into<String>) -> Case {
        Case { job: self.farm.submit(input, QUICK).await, kind, want: want.into() }
    }

    /// Puts a job with an output and a preset of its own choice on the lane of a preset that is served.
    async fn odd_case(&self, input: &str, output: Option<&str>, preset: &str, want: &str) -> Case {
        let job = JobId::new(uuid::Uuid::new_v4());
        let task = Task {
            job,
            input: input.parse().expect("a location"),
            output: output.map(|at| at.parse().expect("a location")),
            preset: preset.parse().expect("a preset's name"),
            settings: Settings::default(),
            priority: Priority::Normal,
            tried: 0,
        };
        self.put(&self.farm.lane(QUICK), &task.to_message()).await;
        Case { job, kind: ErrorKind::BadRequest, want: want.to_owned() }
    }

    async fn put(&self, lane: &Lane, body: &[u8]) {
        let priority = Priority::Normal;
        let message = NewMessage { body: body.to_vec(), priority, delay: Duration::ZERO, dedupe_key: None };
        self.farm.queue.publish(lane, &message).await.expect("the queue takes it");
    }

    /// All of them are dead letters with these reasons, each told by an event, and nothing else has changed.
    async fn check_dead(&self, cases: Vec<Case>) {
        let before = self.everything();
        let _worker = self.start_worker(|_| ());
        let mut wanted = Vec::new();
        for case in cases {
            assert_eq!(self.failed(case.job).await, (case.kind, case.want.clone(), None));
            wanted.push(case.want);
        }
        let lane = self.farm.lane(QUICK);
        let until = tokio::time::Instant::now() + Duration::from_secs(60);
        while self.dead_letters(&lane).await.len() < wanted.len() && tokio::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut reasons = self.dead_letters(&lane).await;
        reasons.sort();
        wanted.sort();
        assert_eq!(reasons, wanted);
        assert_eq!(self.everything(), before);
        assert_eq!(self.farm.store.unfinished_uploads(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_sources_are_dead_letters_with_a_reason() {
    let desk = Desk::new().await;
    sources::make(&desk.path(""));
    let mut cases = Vec::new();
    for bad in sources::ALL {
        let input = desk.farm.upload(&desk.path(bad.name), bad.name);
        let want = format!("cannot use s3://BUCKET/{} as a source: {}", bad.name, bad.why);
        cases.push(desk.case(&input, ErrorKind::BadSource, want).await);
    }
    desk.check_dead(cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_cannot_be_met_are_dead_letters_with_a_reason() {
    let desk = Desk::new().await;
    let clip = desk.farm.upload(&media::clip(), "clip.mp4");
    fs::create_dir(desk.path("roots")).expect("our folder");
    fs::copy(media::clip(), desk.path("secret.mp4")).expect("our folder");
    symlink(desk.path("secret.mp4"), desk.path("roots/link.mp4")).expect("our folder");
    symlink(desk.path(""), desk.path("roots/up")).expect("our folder");
    let master = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n720p/index.m3u8\n";
    fs::create_dir(desk.farm.store.folder.join("taken")).expect("our folder");
    fs::write(desk.farm.store.folder.join("taken/master.m3u8"), master).expect("our folder");
    let request = ErrorKind::BadRequest;
    let outside = |shown: &str| {
        format!(
            "cannot read {shown}: DESK/secret.mp4 is under no folder that may be read\n\
             hint: add its folder to the roots that may be read"
        )
    };
    let cases = vec![
        desk.case(
            &format!("s3://{BUCKET}/none.mp4"),
            request,
            "cannot read s3://BUCKET/none.mp4: no such object in bucket media-test\n\
             hint: list what is there with `aws --endpoint-url STORE s3 ls s3://BUCKET/`",
        )
        .await,
        desk.case(
            "s3://no-such-bucket/a.mp4",
            request,
            "cannot read s3://no-such-bucket/a.mp4: the store at STORE has no bucket no-such-bucket\n\
             hint: check its spelling, or make it with `aws --endpoint-url STORE s3 mb s3://no-such-bucket`",
        )
        .await,
        desk.case(&desk.file("secret.mp4"), request, outside("file://DESK/secret.mp4")).await,
        desk.case(&desk.file("roots/link.mp4"), request, outside("file://DESK/roots/link.mp4")).await,
        desk.case(&desk.file("roots/up/secret.mp4"), request, outside("file://DESK/roots/up/secret.mp4")).await,
        desk.case(
            &desk.file("roots/none.mp4"),
            request,
            "cannot read file://DESK/roots/none.mp4: no such file\nhint: list what is there with `ls -l DESK/roots`",
        )
        .await,
        desk.odd_case(&clip, None, "nope", "there is no preset `nope`\nhint: known presets: archive-dnxhr, archive-prores, hls-ladder, hls-ladder-4k, hls-ladder-av1, hls-ladder-hevc, live-hls, \
         proxy, quick, social-square, social-vertical").await,
        desk.odd_case(
            &clip,
            Some(&format!("s3://{BUCKET}/taken")),
            QUICK,
            "s3://BUCKET/taken already holds the published output of another program\n\
             hint: choose another destination, or remove what is there",
        )
        .await,
        desk.odd_case(
            &clip,
            Some(&desk.file("elsewhere")),
            QUICK,
            "cannot write file://DESK/elsewhere/master.m3u8: DESK/elsewhere/master.m3u8 is under no folder that may be \
             written\n\
             hint: add its folder to the roots that may be written",
        )
        .await,
        desk.odd_case(
            &clip,
            Some("s3://no-such-bucket/out"),
            QUICK,
            "cannot read s3://no-such-bucket/out/master.m3u8: the store at STORE has no bucket no-such-bucket\n\
             hint: check its spelling, or make it with `aws --endpoint-url STORE s3 mb s3://no-such-bucket`",
        )
        .await,
    ];
    desk.check_dead(cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_no_jobs_are_dead_letters_with_a_reason() {
    let desk = Desk::new().await;
    let lane = reelmill_api::QueueName::default().intake();
    let hint = r#"hint: the smallest job is {"input":"s3://bucket/key","preset":"hls-ladder"}"#;
    let cases = [
        ("not json", "it is no whole JSON, see line 1 column 2"),
        ("", "it is no whole JSON, see line 1 column 0"),
        (r#"{"input":"s3://media/a.mp4"}"#, "missing field `preset`"),
        (
            r#"{"input":"/etc/passwd","preset":"quick"}"#,
            "`/etc/passwd` is not a location: it must start with s3:// or file://",
        ),
        (
            r#"{"input":"s3://media/../a","preset":"quick"}"#,
            "`s3://media/../a` has a key with an empty part, `.`, `..` or a control character",
        ),
        (
            r#"{"input":"file:///srv/../etc/passwd","preset":"quick"}"#,
            "`/srv/../etc/passwd` must name an absolute path without `..`",
        ),
        (
            r#"{"input":"s3://media/a.mp4","preset":"../x"}"#,
            "`../x` cannot name a preset: use up to 40 lower-case letters, digits and hyphens, starting with a letter",
        ),
        (
            r#"{"input":"s3://media/a.mp4","preset":"quick","ouptut":"s3://media/b"}"#,
            "unknown field `ouptut`, expected one of `input`, `preset`, `output`, `priority`, `settings`, `id`",
        ),
    ];
    for (body, _) in &cases {
        desk.put(&lane, body.as_bytes()).await;
    }
    let before = desk.everything();
    let _worker = desk.start_worker(|_| ());
    let until = tokio::time::Instant::now() + Duration::from_secs(60);
    while desk.dead_letters(&lane).await.len() < cases.len() && tokio::time::Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let letters = desk.farm.queue.dead_letters(&lane, 100).await.expect("the queue answers");
    let mut got: Vec<_> =
        letters.iter().map(|l| (String::from_utf8_lossy(&l.body).into_owned(), l.reason.clone())).collect();
    let mut want: Vec<_> = cases
        .map(|(body, why)| (body.to_owned(), format!("the message on reelmill is not a job: {why}\n{hint}")))
        .into();
    got.sort();
    want.sort();
    assert_eq!(got, want);
    assert_eq!(desk.everything(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_is_tried_again() {
    let desk = Desk::new().await;
    let clip = desk.farm.upload(&media::clip(), "clip.mp4");
    let before = desk.everything();
    let nobody = Nobody::there();
    let port = nobody.port();
    let job = desk.farm.submit(&clip, QUICK).await;
    let _worker = desk.start_worker(|worker| {
        worker.env("S3_ENDPOINT_URL", format!("http://127.0.0.1:{port}"));
    });
    let want = format!(
        "cannot read s3://BUCKET/{job}/master.m3u8: cannot reach the store at http://127.0.0.1:{port}: connection refused\n\
         hint: is the store running, and is S3_ENDPOINT_URL right?"
    );
    assert_eq!(desk.failed(job).await, (ErrorKind::Infrastructure, want, Some(FIRST_RETRY.as_secs())));
    assert_eq!(desk.dead_letters(&desk.farm.lane(QUICK)).await, Vec::<String>::new());
    assert_eq!(desk.everything(), before);
}
