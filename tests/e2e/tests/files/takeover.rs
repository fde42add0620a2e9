//! Whatever becomes of a worker, its files are made by another, once, and what is published is whole and stays as it is.

use std::{path::PathBuf, process::Command};

use reelmill_api::{EventBody, JobId, Report, rendition::Track};
use reelmill_e2e::{
    Farm, judge,
    processes::{children, freeze},
    until,
};
use reelmill_lab::{
    fault::{Fault, Op},
    media,
    programs::Running,
    s3::{Pace, Server},
};
use rustix::process::Signal;

/// A preset that costs little.
const QUICK: &str = "quick-file";
/// Frames of the source.
const FRAMES: u64 = 150;

/// A farm whose line is so slow that a source takes seconds to be read, however fast it is encoded; and a source.
async fn slow_farm() -> (Farm, String) {
    let pace = Pace { bytes_per_second: Some(400_000), ..Pace::default() };
    let farm = Farm::start_with(Server::start_with(None, pace).await, reelmill_e2e::QueueKind::Sqlite).await;
    std::fs::set_permissions(farm.folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("ours");
    let text = format!(
        "name = \"{QUICK}\"\ndescription = \"for tests\"\n\
         [video]\ncodec = \"h264\"\neffort = \"superfast\"\nmax_frame_rate = 60\n\
         [audio]\ncodec = \"aac\"\nbitrate_bps = 64000\nsample_rate = 48000\n\
         [[files]]\nname = \"clip\"\ncontainer = \"mp4\"\nframe = {{ width = 160, height = 90, fit = \"inside\" }}\ncrf = 28\n"
    );
    std::fs::write(farm.folder.path().join(format!("presets/{QUICK}.toml")), text).expect("a preset");
    let words = "-f lavfi -i testsrc2=size=320x180:rate=25:duration=6 -f lavfi -i sine=duration=6 -c:v libx264 \
                 -preset ultrafast -pix_fmt yuv420p -b:v 1500k -minrate 1500k -maxrate 1500k -bufsize 500k -nal-hrd cbr \
                 -c:a aac -movflags +faststart a.mp4";
    let input = farm.upload(&media::make(farm.folder.path(), words), "in/a.mp4");
    (farm, input)
}

fn spool(farm: &Farm) -> PathBuf {
    farm.folder.path().join("spool")
}

/// A worker's command, with a name of its own and the same spool as the others.
fn worker(farm: &Farm, name: &str) -> Command {
    let mut worker = farm.worker();
    worker.env("REELMILL_NODE", name).env("SPOOL_FOLDER", spool(farm));
    // What it does not serve, it need not prove.
    worker.env("PRESET", QUICK);
    worker
}

/// Waits until the file grows on the disk, and checks that nothing is published yet.
async fn in_the_middle(farm: &Farm, job: JobId) {
    let grows = || {
        let runs = std::fs::read_dir(spool(farm)).into_iter().flatten().flatten();
        runs.into_iter().any(|run| run.path().join("clip.mp4").metadata().is_ok_and(|m| m.len() > 0))
    };
    until("a file in the spool", async || grows().then_some(())).await;
    unpublished(farm, job);
}

fn unpublished(farm: &Farm, job: JobId) {
    let files = farm.output_files(job);
    assert!(files.is_empty(), "{files:?}");
}

async fn end(worker: &mut Running) -> Option<i32> {
    until("the worker's end", async || worker.has_ended().then_some(())).await;
    worker.wait()
}

/// Waits for the end, and checks that the output is whole and the only one.
async fn whole_and_alone(farm: &Farm, job: JobId) -> Report {
    let done = farm.wait_for(job, "the end", |e| matches!(e.body, EventBody::Done { .. })).await;
    let EventBody::Done { report } = done.body else { unreachable!("just chosen") };
    let found = std::fs::read(farm.output_folder(job).join("reelmill.json")).expect("the report is there");
    let found: Report = serde_json::from_slice(&found).expect("a report");
    assert_eq!(found, *report, "what was told is what is published");
    let Track::File { path, .. } = &found.renditions[0].track else { panic!("no file: {found:?}") };
    assert_eq!(found.entry, found.output.join(path).expect("a place"));
    let file = farm.output_folder(job).join(path);
    judge::decodes(&file);
    let streams = judge::ffprobe(&file, "-show_streams");
    assert_eq!(streams["streams"][0]["nb_frames"], FRAMES.to_string(), "frame count equal to the source's");
    assert_eq!(farm.attempts(job), std::slice::from_ref(&found.attempt), "nothing of another attempt is left");
    assert_eq!(farm.published(job).await, std::slice::from_ref(&found.attempt), "no other attempt was told to be it");
    assert_eq!(farm.store.unfinished_uploads(), 0);
    found
}

fn spool_is_empty(farm: &Farm) {
    assert_eq!(std::fs::read_dir(spool(farm)).expect("the spool").count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_in_the_middle_costs_time_and_nothing_else() {
    let (farm, input) = slow_farm().await;
    let job = farm.submit(&input, QUICK).await;
    let mut first = Running::start(worker(&farm, "first"));
    in_the_middle(&farm, job).await;
    let _second = Running::start(worker(&farm, "second"));
    let media = children(first.pid());
    assert!(media.iter().any(|p| p.name == "ffmpeg"), "a media process is at work: {media:?}");
    first.kill();
    unpublished(&farm, job);
    let over = async || (!media.iter().any(reelmill_e2e::processes::Process::is_alive)).then_some(());
    until("the end of the dead worker's media processes", over).await;
    let report = whole_and_alone(&farm, job).await;
    assert_eq!((report.attempt.number(), report.node.as_str()), (2, "second"));
    spool_is_empty(&farm);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_wakes_up_after_its_lease_publishes_nothing() {
    let (farm, input) = slow_farm().await;
    let job = farm.submit(&input, QUICK).await;
    let mut first = Running::start(worker(&farm, "first"));
    in_the_middle(&farm, job).await;
    freeze(&first).await;
    let _second = Running::start(worker(&farm, "second"));
    let report = whole_and_alone(&farm, job).await;
    assert_eq!((report.attempt.number(), report.node.as_str()), (2, "second"));
    let before = farm.output_bytes(job);
    first.signal(Signal::CONT);
    first.signal(Signal::TERM);
    assert_eq!(end(&mut first).await, Some(0), "it ends as one that has nothing more to do");
    assert_eq!(farm.output_bytes(job), before, "not a byte has changed");
    spool_is_empty(&farm);
}

/// The worst moment: the file is stored, and the order to put the report is on its way.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_comes_after_anothers_changes_nothing() {
    let (farm, input) = slow_farm().await;
    farm.store.plan.add_for(Op::Put, "/reelmill.json", 1, Fault::Stall);
    let job = farm.submit(&input, QUICK).await;
    let mut hasty = worker(&farm, "first");
    hasty.env("S3_STALL_SECONDS", "1");
    let mut first = Running::start(hasty);
    until("the commit", async || farm.store.plan.unmet().is_empty().then_some(())).await;
    freeze(&first).await;
    let _second = Running::start(worker(&farm, "second"));
    assert_eq!(whole_and_alone(&farm, job).await.node, "second");
    let before = farm.output_bytes(job);
    first.signal(Signal::CONT);
    first.signal(Signal::TERM);
    assert_eq!(end(&mut first).await, Some(0));
    assert_eq!(farm.output_bytes(job), before, "not a byte has changed");
    assert_eq!(whole_and_alone(&farm, job).await.node, "second");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_delivered_twice_is_published_once() {
    let (farm, input) = slow_farm().await;
    let job = farm.submit(&input, QUICK).await;
    farm.submit_as(job, &input, QUICK).await;
    let _workers = [Running::start(worker(&farm, "first")), Running::start(worker(&farm, "second"))];
    let told = async |wanted: fn(&EventBody) -> bool| {
        farm.events().await.iter().filter(|e| e.job == job && wanted(&e.body)).count()
    };
    until("two ends", async || (told(|body| matches!(body, EventBody::Done { .. })).await == 2).then_some(())).await;
    assert_eq!(told(|body| matches!(body, EventBody::Failed { .. })).await, 0, "neither failed");
    whole_and_alone(&farm, job).await;
    let before = farm.output_bytes(job);
    farm.submit_as(job, &input, QUICK).await;
    until("a third end", async || (told(|body| matches!(body, EventBody::Done { .. })).await == 3).then_some(())).await;
    assert_eq!(farm.output_bytes(job), before, "not a byte has changed");
    spool_is_empty(&farm);
}
