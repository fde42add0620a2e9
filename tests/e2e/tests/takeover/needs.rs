//! Tasks that need more than a node has.

use std::{process::Command, time::Duration};

use reelmill_api::{ErrorKind, Event, EventBody, JobId, Lane, Priority, settle::UNABLE_RETRY};
use reelmill_e2e::{Farm, QueueKind, until};
use reelmill_lab::{
    media,
    programs::{Running, ffmpeg, script},
};
use reelmill_queue::NewMessage;

use crate::{QUICK, end, lane_is_empty, on_both_queues, slow_farm, whole_and_alone, worker};

/// A preset for a file as large as its source.
const LARGE: &str = "large";
/// Where its tasks wait whose source is larger than full HD.
const WAITING: &str = "reelmill-needs-large-h264_8bit_uhd";

/// A farm with that preset and a source that is a little larger than full HD.
async fn farm_with_a_large_source(kind: QueueKind) -> (Farm, String, String) {
    let (farm, small) = slow_farm(kind).await;
    let text = "name = \"large\"\ndescription = \"for tests\"\n\
                [video]\ncodec = \"h264\"\neffort = \"superfast\"\nmax_frame_rate = 60\n\
                [audio]\ncodec = \"aac\"\nbitrate_bps = 64000\nsample_rate = 48000\nchannels = 2\n\
                [[files]]\nname = \"large\"\ncontainer = \"mp4\"\ncrf = 30\nmax_bps = 4000000\n";
    std::fs::write(farm.folder.path().join("presets/large.toml"), text).expect("a preset is written");
    let words =
        "-f lavfi -i testsrc2=size=2048x1152:rate=10:duration=1 -c:v libx264 -preset ultrafast -pix_fmt yuv420p l.mp4";
    let input = farm.upload(&media::make(farm.folder.path(), words), "in/large.mp4");
    (farm, small, input)
}

/// A worker whose ffmpeg encodes no picture of more than full HD when it is asked to prove it, and no HEVC.
fn unable(farm: &Farm) -> Command {
    let folder = farm.folder.path().canonicalize().expect("our folder");
    let program = folder.join("ffmpeg");
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in *4096x2304*|*8192x4352*|*libx265*) echo unable >&2; exit 1;; esac\nexec {} \"$@\"\n",
        ffmpeg().display()
    );
    if !program.exists() {
        script(&program, &text);
    }
    let config = folder.join("worker.toml");
    std::fs::write(&config, format!("[media]\nreadable = [\"{}\"]\n", folder.display())).expect("a configuration");
    let mut worker = worker(farm, "unable");
    worker.arg("--config").arg(config).env("REELMILL_FFMPEG", program);
    worker.env("PRESET", "quick,large").env("HWACCEL", "none").env("REELMILL_CACHE_FOLDER", folder.join("proven"));
    worker
}

fn able(farm: &Farm) -> Command {
    let mut able = worker(farm, "able");
    able.env("PRESET", "large").env("HWACCEL", "none").env("SPOOL_FOLDER", farm.folder.path().join("spool"));
    able
}

async fn begun(farm: &Farm, job: JobId) -> Vec<String> {
    let events = farm.events().await.into_iter();
    events.filter(|e| e.job == job && matches!(e.body, EventBody::Started)).map(|e| e.node).collect()
}

async fn ready(farm: &Farm, lane: &Lane) -> u64 {
    farm.queue.depth(lane).await.expect("the queue answers").ready
}

async fn a_large_task_waits_for_an_able_node(kind: QueueKind) {
    let (farm, small, large) = farm_with_a_large_source(kind).await;
    let waiting: Lane = WAITING.parse().expect("a lane");
    let job = farm.submit(&large, LARGE).await;
    let first = Running::start(unable(&farm));
    let over = |event: &Event| matches!(event.body, EventBody::Failed { .. } | EventBody::Done { .. });
    let EventBody::Failed { failure, retry_in_seconds } = farm.wait_for(job, "its end there", over).await.body else {
        panic!("it was done by a node that cannot")
    };
    assert_eq!((failure.kind, retry_in_seconds), (ErrorKind::NoCapability, Some(0)), "{failure:?}");
    assert_eq!(failure.missing.map(|missing| missing.to_string()).as_deref(), Some("h264_8bit_uhd"));
    assert!(
        failure.message.ends_with(&format!("it waits on lane {WAITING} for a node that can")),
        "{}",
        failure.message
    );
    until("it on that lane", async || (ready(&farm, &waiting).await == 1).then_some(())).await;
    assert_eq!(ready(&farm, &farm.lane(LARGE)).await, 0, "it is moved, not copied");
    // It goes on with what it can, and comes back as one that knows.
    let next = farm.submit(&small, QUICK).await;
    assert_eq!(whole_and_alone(&farm, next).await.1, "unable");
    drop(first);
    let _again = Running::start(unable(&farm));
    let next = farm.submit(&small, QUICK).await;
    whole_and_alone(&farm, next).await;
    assert_eq!(begun(&farm, job).await, ["unable"], "nobody who cannot takes it again");
    assert_eq!(ready(&farm, &waiting).await, 1);
    let _able = Running::start(able(&farm));
    let done = farm.wait_for(job, "its output", |event| matches!(event.body, EventBody::Done { .. })).await;
    assert_eq!((done.node.as_str(), done.attempt.number()), ("able", 1), "what no node could try is not counted");
    until("an empty lane", async || (ready(&farm, &waiting).await == 0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_needs_more_than_a_node_has_waits_for_one_that_has_it() {
    on_both_queues(a_large_task_waits_for_an_able_node).await;
}

/// A worker that died after it had put the task on its new lane, and before it had taken it off the old one.
async fn a_task_is_moved_once(kind: QueueKind) {
    let (farm, small, large) = farm_with_a_large_source(kind).await;
    let (own, waiting) = (farm.lane(LARGE), WAITING.parse::<Lane>().expect("a lane"));
    let job = farm.submit(&large, LARGE).await;
    let lasting = Duration::from_secs(600);
    let leased = farm.queue.lease(std::slice::from_ref(&own), lasting, lasting).await.expect("the queue answers");
    let leased = leased.expect("the task");
    let dedupe_key = Some(format!("{job}-{}", leased.message_id));
    let message = NewMessage { body: leased.body, priority: Priority::Normal, delay: Duration::ZERO, dedupe_key };
    farm.queue.publish(&waiting, &message).await.expect("the queue takes it");
    farm.queue.retry_after(&leased.receipt, Duration::ZERO).await.expect("it is ours");
    let _worker = Running::start(unable(&farm));
    let moved = async || {
        let depth = farm.queue.depth(&own).await.expect("the queue answers");
        (depth.ready + depth.delayed + depth.leased.unwrap_or(0) == 0).then_some(())
    };
    until("an empty lane", moved).await;
    let next = farm.submit(&small, QUICK).await;
    whole_and_alone(&farm, next).await;
    assert_eq!(ready(&farm, &waiting).await, 1, "it is there once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_moved_by_a_worker_that_dies_is_there_once() {
    on_both_queues(a_task_is_moved_once).await;
}

async fn a_codec_that_no_lane_names_waits_for_an_able_node(kind: QueueKind) {
    let (farm, small, _) = farm_with_a_large_source(kind).await;
    let job = farm.submit_with(&small, QUICK, r#"{"video":{"codec":"hevc"}}"#).await;
    let mut draining = unable(&farm);
    draining.arg("--drain");
    let mut first = Running::start(draining);
    let over = |event: &Event| matches!(event.body, EventBody::Failed { .. } | EventBody::Done { .. });
    let EventBody::Failed { failure, retry_in_seconds } = farm.wait_for(job, "its end there", over).await.body else {
        panic!("it was done by a node that cannot")
    };
    assert_eq!(
        (failure.kind, retry_in_seconds),
        (ErrorKind::NoCapability, Some(UNABLE_RETRY.as_secs())),
        "{failure:?}"
    );
    assert!(failure.message.ends_with("; it waits for a node that can"), "{}", failure.message);
    assert_eq!(end(&mut first).await, Some(0), "what a node cannot do is not for it to wait for");
    let depth = farm.queue.depth(&farm.lane(QUICK)).await.expect("the queue answers");
    assert_eq!((depth.ready + depth.delayed, depth.dead), (1, 0), "{depth:?}");
    let mut able = able(&farm);
    able.env("PRESET", QUICK);
    let _able = Running::start(able);
    let done = farm.wait_for(job, "its output", |event| matches!(event.body, EventBody::Done { .. })).await;
    assert_eq!((done.node.as_str(), done.attempt.number()), ("able", 1), "what no node could try is not counted");
    lane_is_empty(&farm).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_a_node_cannot_do_for_whatever_reason_waits_for_one_that_can() {
    on_both_queues(a_codec_that_no_lane_names_waits_for_an_able_node).await;
}
