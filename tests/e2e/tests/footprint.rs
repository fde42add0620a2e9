//! What a job costs the machine that does it: no file at all, and little memory however long the source is.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use reelmill_api::{EventBody, JobId};
use reelmill_e2e::{
    Farm, QueueKind, judge,
    output::Output,
    processes::{Process, children, file_memory, peak_memory},
    until,
};
use reelmill_lab::{
    media,
    programs::Running,
    redis::Redis,
    s3::{BUCKET, Pace, Server},
};

/// What the worker itself may have resident at most, whatever it works on, besides its program's own file: of a debug build,
/// as it is here, that is more than all else. The benchmark `memory` holds the whole of a release build to 64 MB.
const MEMORY: u64 = 36 << 20;
/// Runs the words that follow as a process that may write to no file: the first byte kills it with SIGXFSZ.
const WITHOUT_FILES: &str = "ulimit -f 0 && ulimit -c 0 && exec \"$0\" \"$@\"";

/// The same command without any right to write to files, in a folder of its own.
fn without_files(command: &Command, folder: &Path) -> Command {
    let mut confined = Command::new("/bin/sh");
    confined.args(["-c", WITHOUT_FILES]).arg(command.get_program()).args(command.get_args()).env_clear();
    confined.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    confined.env("TMPDIR", "/nonexistent").current_dir(folder);
    confined
}

/// A farm with a line so slow that a job takes seconds, and nothing of the worker's in files: its queue is a server.
async fn slow_farm() -> Farm {
    let pace = Pace { bytes_per_second: Some(500_000), ..Pace::default() };
    let farm = Farm::start_with(Server::start_with(None, pace).await, QueueKind::Redis(Redis::start())).await;
    farm.add_preset("quick", &[("180p", 320, 180), ("90p", 160, 90)]);
    farm
}

/// The media process at work for a job, once there is one.
async fn media_process(worker: &Running) -> Process {
    until("a media process", async || {
        let reads = |p: &Process| p.words().iter().any(|w| w.ends_with("/in/source"));
        children(worker.pid()).into_iter().find(|p| p.name == "ffmpeg" && reads(p))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_writes_to_no_file() {
    let farm = slow_farm().await;
    let empty = tempfile::TempDir::new().expect("a temporary folder");
    std::fs::set_permissions(empty.path(), std::fs::Permissions::from_mode(0o555)).expect("it is ours");
    // What the proof rests on: such a process cannot write a single byte.
    let mut writer = Command::new("dd");
    writer.args(["if=/dev/zero", "bs=1", "count=1"]).arg(format!("of={}", farm.folder.path().join("x").display()));
    let ended = without_files(&writer, empty.path()).output().expect("a shell");
    assert!(!ended.status.success(), "the limit bites");

    let input = farm.upload(&media::clip(), "in/a.mp4");
    let job = farm.submit(&input, "quick").await;
    let mut worker = without_files(&farm.worker(), empty.path());
    // What was proven of the machine is a file too, and not one of a job's.
    worker.env_remove("REELMILL_CACHE_FOLDER");
    // Where the tests' own output goes may be a file.
    let (said, end) = std::io::pipe().expect("a pipe");
    worker.stderr(end);
    let worker = Running::start(worker);
    std::thread::spawn(move || BufReader::new(said).lines().map_while(Result::ok).for_each(|line| eprintln!("{line}")));
    let media = media_process(&worker).await;
    assert_eq!(media.limit("Max file size"), Some(("0".to_owned(), "0".to_owned())));
    let mut looks = 0;
    while media.is_alive() {
        // Programs and libraries are read, and those of a process that just began are still open.
        for file in media.writable_files() {
            let shown = file.display().to_string();
            let harmless = ["pipe:", "socket:", "anon_inode:", "/dev/null"].iter().any(|kind| shown.starts_with(kind));
            assert!(harmless, "the media process may write to {shown}");
            looks += 1;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(looks > 0, "its open files were seen");
    let output = Output::of(&farm, job).await;
    output.is_true();
    assert_eq!(std::fs::read_dir(empty.path()).expect("a folder").count(), 0, "nothing lies where it worked");
    assert!(!Path::new("/nonexistent").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_segment_can_be_played_while_the_encode_runs() {
    let farm = slow_farm().await;
    let input = farm.upload(&media::clip(), "in/a.mp4");
    let job = farm.submit(&input, "quick").await;
    let worker = Running::start(farm.worker());
    let media = media_process(&worker).await;
    let stored = |job: JobId, name: &str| -> Option<PathBuf> {
        let found = farm.output_files(job).into_iter().find(|f| f.ends_with(name))?;
        Some(farm.output_folder(job).join(found))
    };
    let both = async || Some((stored(job, "180p/init.mp4")?, stored(job, "180p/seg_00000.m4s")?));
    let (init, segment) = until("the first segment", both).await;
    assert!(media.is_alive() && stored(job, "master.m3u8").is_none(), "the encode is not over yet");
    let read = |file| std::fs::read(file).expect("it is stored");
    let playable = farm.folder.path().join("first.mp4");
    std::fs::write(&playable, [read(init), read(segment)].concat()).expect("written");
    assert_eq!(judge::pictures(&playable, 8).len(), 25, "a second of pictures");
    Output::of(&farm, job).await.is_true();
}

/// The worker's own peak of memory, without its program's file, once it has done a job with pictures as they are, so many seconds of them: two
/// megabytes a second, so that a job that kept any of it would show.
async fn peak_after(farm: &Farm, worker: &Running, seconds: usize) -> u64 {
    let words = format!(
        "-f lavfi -i testsrc2=size=320x180:rate=25:duration={seconds} -f lavfi -i sine=duration={seconds} \
         -c:v rawvideo -pix_fmt yuv420p -c:a pcm_s16le raw{seconds}.mkv"
    );
    // Made where the store keeps its objects.
    media::make(&farm.store.folder, &words);
    let job = farm.submit(&format!("s3://{BUCKET}/raw{seconds}.mkv"), "quick").await;
    let ended = |body: &EventBody| matches!(body, EventBody::Done { .. } | EventBody::Failed { .. });
    let event = farm.wait_for(job, "the end", |e| ended(&e.body)).await;
    let EventBody::Done { report } = event.body else { panic!("{event:?}") };
    assert_eq!(report.renditions[0].samples, 25 * seconds as u64);
    let peak = peak_memory(worker.pid()) - file_memory(worker.pid());
    println!("{} MiB of source, {seconds} s: {} MiB at the most", report.source.bytes >> 20, peak >> 20);
    peak
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_does_not_grow_with_the_length_of_the_source() {
    let farm = Farm::start().await;
    farm.add_preset("quick", &[("180p", 320, 180), ("90p", 160, 90)]);
    let worker = Running::start(farm.worker());
    let short = peak_after(&farm, &worker, 15).await;
    let long = peak_after(&farm, &worker, 40).await;
    assert!(long < MEMORY, "{long} bytes resident");
    assert!(long.saturating_sub(short) < 12 << 20, "from {short} to {long} bytes, for 50 MiB more of source");
}
