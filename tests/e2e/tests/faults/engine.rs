//! Media programs that do not do what their exit code says. Each is a shell script that the worker takes for ffmpeg.

use std::process::Command;

use reelmill_lab::{
    programs::{ffmpeg, output, script},
    s3::BUCKET,
};

use crate::stage::{End, Stage, Want, judge};

/// What every false ffmpeg begins with: it proves itself as the true one does, and has the words of a job one by one.
const TRUE_AT_FIRST: &str = r#"#!/bin/sh
case "$*" in *http://*) ;; *) exec FFMPEG "$@";; esac
"#;

/// Passes the words on with one replaced in part: `sed`'s way, without running a shell over them again.
const REPLACED: &str = r#"
n=$#
while [ $n -gt 0 ]; do
    word=$1; shift; n=$((n - 1))
    case "$word" in *"$FROM"*) word="${word%%"$FROM"*}$TO${word#*"$FROM"}";; esac
    set -- "$@" "$word"
done
"#;

/// A worker whose ffmpeg does this with a job. It lies where media programs may be read from by a setting.
fn worker_with(stage: &Stage, deed: &str, settings: &[(&str, &str)]) -> Command {
    let folder = stage.folder.path();
    let file = folder.join("ffmpeg");
    let text = format!("{TRUE_AT_FIRST}{deed}\n").replace("FFMPEG", &ffmpeg().display().to_string());
    script(&file, &text);
    let config = folder.join("worker.toml");
    std::fs::write(&config, format!("[media]\nreadable = [\"{}\"]\n", folder.display())).expect("a configuration");
    let mut worker = stage.worker();
    worker.arg("--config").arg(config).env("REELMILL_FFMPEG", file).envs(settings.iter().copied());
    worker
}

async fn play(deed: &str, settings: &[(&str, &str)]) -> (Stage, End) {
    let stage = Stage::new().await;
    let end = stage.play(worker_with(&stage, deed, settings)).await;
    let end = end.unwrap_or_else(|e| panic!("{deed}: {e}"));
    (stage, end)
}

async fn check(deed: &str, want: Want) {
    let (_, end) = play(deed, &[]).await;
    if let Some(wrong) = judge(&end, want) {
        panic!("{deed}: {wrong}");
    }
}

fn replaced(from: &str, to: &str) -> String {
    format!("FROM='{from}' TO='{to}'\n{REPLACED}\nexec FFMPEG \"$@\"")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_true_one_through_a_script_is_published() {
    check("exec FFMPEG \"$@\"", Want::Whole).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_does_nothing_and_says_that_all_is_well_is_not_believed() {
    check("exit 0", Want::Failed("nothing of it arrived")).await;
}

/// The gateway takes no file of another name, and ffmpeg 5.1 goes on after a failed PUT and exits 0.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_drops_files_and_says_that_all_is_well_is_not_believed() {
    check(&replaced("144p/seg_%05d", "144p/other_%05d"), Want::Failed("")).await;
    check(&replaced("72p/index.m3u8", "72p/other.m3u8"), Want::Failed("")).await;
    check(&replaced("audio/seg_%05d", "audio/lost_%05d"), Want::Failed("")).await;
}

/// Only what it names is put, and the first of it is missing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_leaves_out_the_first_segment_is_not_believed() {
    let deed = format!("{}\nexec FFMPEG \"$@\"", inserted("144p/seg_%05d", "-start_number 1"));
    check(&deed, Want::Failed("segment 0 did not arrive")).await;
}

/// Words put before the word that contains `mark` and the option before it.
fn inserted(mark: &str, words: &str) -> String {
    format!(
        r#"
n=$# before=
while [ $n -gt 0 ]; do
    word=$1; shift; n=$((n - 1))
    case "$word" in *"{mark}"*) set -- "$@" {words};; esac
    [ -z "$before" ] || set -- "$@" "$before"
    before=$word
done
set -- "$@" "$before"
"#
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_stops_early_and_says_that_all_is_well_is_not_believed() {
    check(r#"exec FFMPEG -t 1 "$@""#, Want::Failed("only 1.0 s could be decoded")).await;
    let early = |mark: &str, to: &str| format!("{}\nexec FFMPEG \"$@\"", inserted(mark, &format!("-t {to}")));
    check(&early("144p/seg_%05d", "2"), Want::Failed("it has 62 frames, 144p has 50")).await;
    check(&early("72p/seg_%05d", "2.44"), Want::Failed("it has 61 frames, 144p has 62")).await;
    check(&early("audio/seg_%05d", "1"), Want::Failed("s of sound in track 1, and only 1.0 s")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_does_all_and_says_that_it_failed_is_not_published() {
    check("FFMPEG \"$@\"; echo not really >&2; exit 1", Want::Failed("not really")).await;
    check("FFMPEG \"$@\"; kill -SEGV $$", Want::Failed("signal: 11")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_killed_half_way_is_not_published() {
    // Its file breaks off and its status says that it was killed: whichever is noticed first is the reason.
    check("FFMPEG -re \"$@\" & sleep 2; kill -KILL $!; kill -KILL $$", Want::Failed("")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_hangs_is_killed() {
    let hang = |deed: &'static str| async move {
        let (_, end) = play(deed, &[("STALL_SECONDS", "3")]).await;
        if let Some(wrong) = judge(&end, Want::Failed("no progress for 3 s")) {
            panic!("{deed}: {wrong}");
        }
    };
    tokio::join!(
        hang("exec sleep 1000"),
        hang("FFMPEG \"$@\"; exec sleep 1000"),
        // It has nothing more to say, and stays.
        hang("exec sleep 1000 >&- 2>&-"),
        // It is gone, and its child holds its output open.
        hang("sleep 30 & exit 0"),
        // It talks, and gets nowhere.
        hang("while :; do echo frame=0; echo progress=continue; sleep 0.2; done"),
        // It goes to and fro.
        hang("while :; do for t in 1 2; do echo out_time_us=${t}000000; echo progress=continue; sleep 0.2; done; done"),
    );
}

/// Sound may go on for long where no picture comes, and large pictures come late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_gives_no_picture_for_long_but_ever_more_sound_is_left_alone() {
    let deed = "for t in 1 2 3 4 5 6 7 8 9 10; do echo frame=0; echo out_time_us=${t}000000; echo progress=continue; sleep 1; done\n\
                exec FFMPEG \"$@\"";
    let (_, end) = play(deed, &[("STALL_SECONDS", "8")]).await;
    if let Some(wrong) = judge(&end, Want::Whole) {
        panic!("{deed}: {wrong}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_gives_sound_without_end_is_stopped() {
    let deed = "t=0; while :; do t=$((t + 100)); echo out_time_us=${t}000000; echo progress=continue; sleep 0.2; done";
    check(deed, Want::Failed("s of media, and gave")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_talks_without_end_fills_no_memory() {
    let play = |deed: &'static str| async move {
        let stage = Stage::new().await;
        let worker = limited(&worker_with(&stage, deed, &[("STALL_SECONDS", "3")]));
        let end = stage.play(worker).await.unwrap_or_else(|e| panic!("{deed}: {e}"));
        if let Some(wrong) = judge(&end, Want::Failed("no progress for 3 s")) {
            panic!("{deed}: {wrong}");
        }
    };
    tokio::join!(
        play("exec cat /dev/zero >&2"),
        play("exec cat /dev/zero"),
        play("exec yes 'a long complaint about nothing' >&2"),
        play("exec yes 'progress=continue'"),
    );
}

/// The same command in a shell that gives it 200 MB of memory of its own, three times what a worker may need; what it
/// starts has limits of its own.
fn limited(worker: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -S -d 200000 && exec \"$@\"", "sh"]).arg(worker.get_program()).args(worker.get_args());
    shell.env_clear().envs(worker.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell
}

/// One that the confinement keeps out says what to set; a kernel without Landlock lets it in, and the worker says that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_outside_the_readable_folders_is_told_from_a_broken_one() {
    let stage = Stage::new().await;
    let said = |config: &str| {
        let worker = worker_with(&stage, "exit 0", &[]);
        std::fs::write(stage.folder.path().join("worker.toml"), config).expect("a configuration");
        let job = format!(r#"{{"input":"s3://{BUCKET}/in/source.mp4","preset":"tiny"}}"#);
        String::from_utf8_lossy(&output(worker, job).stderr).into_owned()
    };
    let unset = said("");
    assert!(unset.contains("`readable` under [media]") || unset.contains("no Landlock"), "{unset}");
    let wrong = said("[media]\nreadable = [\"opt/ffmpeg\"]");
    assert!(wrong.contains("[media] readable: opt/ffmpeg is no folder"), "{wrong}");
}
