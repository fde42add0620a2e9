//! Whatever becomes of a worker, its task is done by another, once, and what is published is whole and stays as it is; and
//! whatever workers are told of their tasks, they heed.

mod admission;
mod cancel;
mod death;
mod delivery;
mod draining;
mod end;
mod moving;
mod needs;
mod outage;
mod pause;
mod standstill;

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
};

use reelmill_api::{AttemptId, JobId, status::WorkerStatus};
use reelmill_e2e::{Farm, QueueKind, output::Output, until};
use reelmill_lab::{
    media,
    programs::Running,
    redis::Redis,
    s3::{Pace, Server},
};

/// A preset that costs little.
const QUICK: &str = "quick";
/// Frames of the source.
const FRAMES: usize = 150;

/// A farm whose line is so slow that a source takes seconds to be read, however fast it is encoded; and a source.
async fn slow_farm(kind: QueueKind) -> (Farm, String) {
    let pace = Pace { bytes_per_second: Some(250_000), ..Pace::default() };
    let farm = Farm::start_with(Server::start_with(None, pace).await, kind).await;
    farm.add_preset(QUICK, &[("90p", 160, 90)]);
    let words = "-f lavfi -i testsrc2=size=320x180:rate=25:duration=6 -f lavfi -i sine=duration=6 -c:v libx264 \
                 -preset ultrafast -pix_fmt yuv420p -b:v 1500k -minrate 1500k -maxrate 1500k -bufsize 500k -nal-hrd cbr \
                 -c:a aac -movflags +faststart a.mp4";
    let input = farm.upload(&media::make(farm.folder.path(), words), "in/a.mp4");
    (farm, input)
}

/// The same with either queue, at once: most of the time is spent in waiting.
async fn on_both_queues<F: Future<Output = ()>>(check: impl Fn(QueueKind) -> F) {
    tokio::join!(check(QueueKind::Sqlite), check(QueueKind::Redis(Redis::start())));
}

/// A worker's command, with a name of its own.
fn worker(farm: &Farm, name: &str) -> Command {
    let mut worker = farm.worker();
    worker.env("REELMILL_NODE", name);
    worker
}

/// Waits until segments are in the store, and checks that nothing is published yet.
async fn in_the_middle(farm: &Farm, job: JobId) {
    let segments = || farm.output_files(job).iter().filter(|f| f.contains("/90p/seg_")).count();
    until("the first segments", async || (segments() >= 2).then_some(())).await;
    unpublished(farm, job);
}

/// Waits for a worker's end; its exit code.
async fn end(worker: &mut Running) -> Option<i32> {
    until("the worker's end", async || worker.has_ended().then_some(())).await;
    worker.wait()
}

/// What a worker says of itself at its status port; `None` while it does not answer.
fn status(port: u16) -> Option<WorkerStatus> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(b"GET /status HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}

fn unpublished(farm: &Farm, job: JobId) {
    let files = farm.output_files(job);
    assert!(!files.contains("master.m3u8") && !files.contains("reelmill.json"), "{files:?}");
}

/// Waits for the end, and checks that the output is whole and the only one: its attempt, and the node that made it.
async fn whole_and_alone(farm: &Farm, job: JobId) -> (AttemptId, String) {
    let output = Output::in_the_end(farm, job).await;
    output.is_true();
    assert_eq!(output.videos[0].track.packets.len(), FRAMES, "frame count equal to the source's");
    let attempt = output.report.attempt.clone();
    assert!(output.master.variants.iter().all(|(_, uri)| uri.starts_with(&attempt.to_string())), "one attempt's");
    assert_eq!(farm.attempts(job), std::slice::from_ref(&attempt), "nothing of another attempt is left");
    assert_eq!(farm.published(job).await, std::slice::from_ref(&attempt), "no other attempt was told to be published");
    (attempt, output.report.node)
}

/// Every byte of an output is as it was.
fn untouched(farm: &Farm, job: JobId, before: &BTreeMap<String, Vec<u8>>) {
    let now = farm.output_bytes(job);
    assert_eq!(now.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>(), "nothing was added or removed");
    for (name, bytes) in before {
        let (was, is) = (String::from_utf8_lossy(bytes), String::from_utf8_lossy(&now[name]));
        let differ = was.lines().zip(is.lines()).find(|(was, is)| was != is);
        assert!(now[name] == *bytes, "{name} was changed: {differ:?}");
    }
}

/// Nothing waits and nothing is leased any more.
async fn lane_is_empty(farm: &Farm) {
    until("an empty lane", async || {
        let depth = farm.queue.depth(&farm.lane(QUICK)).await.expect("the queue answers");
        assert_eq!(depth.dead, 0);
        (depth.ready + depth.delayed + depth.leased.unwrap_or(0) == 0).then_some(())
    })
    .await;
}
