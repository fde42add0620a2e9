//! Live sources, sent by a real ffmpeg: what viewers find is whole at every moment, whatever becomes of the source and of
//! the worker.

use std::process::Command;

use reelmill_api::{EventBody, JobId};
use reelmill_e2e::{
    Farm,
    live::{Sender, Sending, Watcher, Window},
    until,
};
use reelmill_lab::programs::{Running, free_port};
use rustix::process::Signal;

/// A live preset with segments of a second.
const LIVE: &str = "live-quick";

async fn farm() -> Farm {
    let farm = Farm::start().await;
    let text = "name = \"live-quick\"\ndescription = \"for tests\"\nrequires = [\"lan\"]\ndamage = \"tolerate\"\n\
                [video]\ncodec = \"h264\"\neffort = \"ultrafast\"\nmax_frame_rate = 30\n\
                [audio]\ncodec = \"aac\"\nbitrate_bps = 64000\nsample_rate = 48000\nchannels = 2\n\
                [live]\nsegment_seconds = 1\nwindow = 5\n\
                [[live.rungs]]\nname = \"180p\"\nlong_side = 320\nshort_side = 180\ncrf = 28\nmax_bps = 500000\n\
                [[live.rungs]]\nname = \"90p\"\nlong_side = 160\nshort_side = 90\ncrf = 28\nmax_bps = 200000\n";
    std::fs::write(farm.folder.path().join("presets/live-quick.toml"), text).expect("a preset is written");
    farm
}

fn worker(farm: &Farm, name: &str) -> Command {
    let mut worker = farm.worker();
    worker.env("REELMILL_NODE", name).env("TAGS", "lan").env("PRESET", LIVE);
    worker
}

fn window(farm: &Farm, job: JobId, rendition: &str) -> Option<Window> {
    let text = std::fs::read_to_string(farm.output_folder(job).join(rendition).join("index.m3u8")).ok()?;
    Window::read(&text)
}

/// Waits until that many segments were ever listed.
async fn listed(farm: &Farm, job: JobId, segments: u64) -> Window {
    until(&format!("segment {segments}"), async || window(farm, job, "180p").filter(|w| w.last() >= segments)).await
}

fn wish_the_end(farm: &Farm, job: JobId) {
    std::fs::write(farm.output_folder(job).join("stop"), "stop\n").expect("the store takes it");
}

async fn report(farm: &Farm, job: JobId) -> Box<reelmill_api::Report> {
    let ended = |body: &EventBody| matches!(body, EventBody::Done { .. });
    let event = farm.wait_for(job, "the end", |e| ended(&e.body)).await;
    let EventBody::Done { report } = event.body else { unreachable!("just matched") };
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_miss_no_segment_while_the_source_drops_and_the_worker_dies() {
    let farm = farm().await;
    let port = free_port();
    let sender = Sender::start(Sending::Srt, port);
    let job = farm.submit(&format!("srt://127.0.0.1:{port}"), LIVE).await;
    let watcher = Watcher::start(farm.output_folder(job));
    let mut first = Running::start(worker(&farm, "first"));
    let last = listed(&farm, job, 4).await.last();

    sender.drop_out();
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    sender.come_back();
    let back = listed(&farm, job, last + 4).await;
    assert!(back.breaks as u64 + back.discontinuities >= 1, "{back:?}");

    first.kill();
    let last = window(&farm, job, "180p").expect("it stays").last();
    let mut second = Running::start(worker(&farm, "second"));
    let taken_over = listed(&farm, job, last + 3).await;
    assert!(taken_over.files.iter().any(|file| file.starts_with("../a2-")), "{taken_over:?}");

    wish_the_end(&farm, job);
    let report = report(&farm, job).await;
    assert_eq!(
        (report.attempt.number(), report.node.as_str(), report.input.to_string()),
        (2, "second", format!("srt://127.0.0.1:{port}"))
    );
    let names: Vec<_> = report.renditions.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(names, ["180p", "90p", "audio"]);
    let windows = ["180p", "90p", "audio"].map(|name| window(&farm, job, name).expect("it stays"));
    for one in &windows {
        assert!(one.ended && one.seconds.iter().all(|s| *s < 1.5), "{one:?}");
        assert_eq!(
            (one.first, one.discontinuities, one.breaks),
            (windows[0].first, windows[0].discontinuities, windows[0].breaks)
        );
    }
    assert_eq!(report.renditions[0].segments, windows[0].last(), "the report counts all of both workers");
    let seen = watcher.seen();
    assert!(seen.complaints.is_empty() && seen.looked > 100, "{seen:?}");
    second.signal(Signal::TERM);
    assert_eq!(until("the end", async || second.has_ended().then(|| second.wait())).await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_told_to_end_hands_the_stream_on() {
    let farm = farm().await;
    let port = free_port();
    let _sender = Sender::start(Sending::SrtCalling, port);
    let job = farm.submit(&format!("srt://127.0.0.1:{port}?mode=listener"), LIVE).await;
    let watcher = Watcher::start(farm.output_folder(job));
    let mut first = Running::start(worker(&farm, "first"));
    let last = listed(&farm, job, 3).await.last();
    first.signal(Signal::TERM);
    assert_eq!(
        until("the end", async || first.has_ended().then(|| first.wait())).await,
        Some(0),
        "it hands the task back"
    );
    let _second = Running::start(worker(&farm, "second"));
    let handed_on = listed(&farm, job, last + 3).await;
    assert!(
        handed_on.files.iter().any(|file| file.starts_with("../a1-")),
        "what is handed back is not counted: {handed_on:?}"
    );
    wish_the_end(&farm, job);
    assert_eq!(report(&farm, job).await.node, "second");
    assert!(watcher.seen().complaints.is_empty(), "{:?}", watcher.seen());
}

/// Has the queue's file do something to itself, behind its driver's back.
async fn queue_does(farm: &Farm, sql: &'static str) {
    let file = sqlx::SqlitePool::connect(farm.queue_url()).await.expect("the queue's file");
    sqlx::raw_sql(sql).execute(&file).await.expect(sql);
    file.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_nobody_could_be_told_of_is_told_by_the_next_delivery() {
    let farm = farm().await;
    let port = free_port();
    let _sender = Sender::start(Sending::Srt, port);
    let job = farm.submit(&format!("srt://127.0.0.1:{port}"), LIVE).await;
    let said = farm.folder.path().join("said");
    let mut first = worker(&farm, "first");
    first.stderr(std::fs::File::create(&said).expect("our folder"));
    let _worker = Running::start(first);
    listed(&farm, job, 2).await;
    queue_does(&farm, "CREATE TRIGGER deaf BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'deaf'); END").await;
    wish_the_end(&farm, job);
    until("the end", async || window(&farm, job, "180p").filter(|window| window.ended)).await;
    // The lease is nobody's then, and runs out.
    let again = || std::fs::read_to_string(&said).expect("it was written").contains("was stopped before");
    until("another delivery", async || again().then_some(())).await;
    queue_does(&farm, "DROP TRIGGER deaf").await;
    assert_eq!(report(&farm, job).await.attempt.number(), 1, "the stream is not begun again");
    let settled = async || {
        let depth = farm.queue.depth(&farm.lane(LIVE)).await.expect("the queue answers");
        (depth.ready + depth.delayed + depth.leased.unwrap_or(0) == 0).then_some(depth.dead)
    };
    assert_eq!(until("an empty lane", settled).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn rtmp_is_taken_too() {
    let farm = farm().await;
    let port = free_port();
    let _sender = Sender::start(Sending::Rtmp, port);
    let job = farm.submit(&format!("rtmp://127.0.0.1:{port}/live/x"), LIVE).await;
    let watcher = Watcher::start(farm.output_folder(job));
    let _worker = Running::start(worker(&farm, "first"));
    listed(&farm, job, 3).await;
    wish_the_end(&farm, job);
    let report = report(&farm, job).await;
    assert_eq!((report.source.container.as_str(), report.renditions.len()), ("nut", 3));
    assert!(watcher.seen().complaints.is_empty(), "{:?}", watcher.seen());
}
