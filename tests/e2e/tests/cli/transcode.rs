//! `reelmill transcode`: one ladder from one source, whole or not at all.

use std::{fs, path::Path, process::Command};

use reelmill_api::Report;
use reelmill_e2e::judge::ffprobe;
use reelmill_lab::{
    programs::{Running, command, eventually, output},
    s3::BUCKET,
};
use rustix::process::Signal;

use crate::{
    desk::{CLIP, Desk, Ended, LONG, MADE, everything},
    kin,
};

/// What a player needs of a finished ladder is there.
fn can_be_played(folder: &Path) {
    let found = ffprobe(&folder.join("master.m3u8"), "-show_programs -show_entries program_stream=codec_type");
    let programs = found["programs"].as_array().expect("programs");
    assert_eq!(programs.len(), 2, "two rungs: {found}");
    let report = fs::read(folder.join("reelmill.json")).expect("a report");
    let report: Report = serde_json::from_slice(&report).expect("a report");
    assert_eq!(report.renditions.len(), 3, "two pictures and one sound: {report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_becomes_a_folder_and_a_second_run_leaves_it_alone() {
    let desk = Desk::new().await;
    let words = format!("transcode {CLIP} new/deep/out --preset quick");
    let ended = desk.run(&words);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let done = "done in # s (#x): DESK/new/deep/out/master.m3u8";
    assert_eq!(desk.masked(&ended.stdout), format!("{done}\n{MADE}"));
    let stderr = desk.masked(&ended.stderr);
    let mut lines = stderr.lines();
    assert_eq!(lines.next(), Some("transcoding DESK/clip.mp4 to DESK/new/deep/out by quick"));
    for line in lines {
        let shapes = ["# % frame #/#", "# % frame #/# # fps #x", "# % frame #/# # fps #x eta #:#"];
        assert!(shapes.contains(&line), "{stderr}");
    }
    let out = desk.path("new/deep/out");
    can_be_played(&out);

    let before = everything(&out);
    let again = desk.run(&words);
    assert_eq!(
        (again.code, again.stdout.as_str(), again.stderr.lines().last()),
        (Some(1), "", Some("hint: choose another destination, or remove what is there"))
    );
    assert!(again.stderr.contains("out already holds the published output of job "), "{}", again.stderr);
    assert_eq!(everything(&out), before);
}

/// The only thing on standard output, which must be one JSON object on one line.
fn only_object(ended: &Ended) -> serde_json::Value {
    let line = ended.stdout.strip_suffix('\n').expect("a line");
    assert!(!line.contains('\n'), "one line: {line}");
    let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
    assert!(value.is_object(), "{value}");
    value
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_one_report_from_a_file_to_the_store_and_from_there_to_the_store() {
    let desk = Desk::new().await;
    desk.farm.upload(&desk.path(CLIP), "in/a.mp4");
    for (source, target) in [(CLIP.to_owned(), "from-file"), (format!("s3://{BUCKET}/in/a.mp4"), "from-store")] {
        let ended = desk.run(&format!("transcode {source} s3://{BUCKET}/{target} --json --preset quick"));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let report: Report = serde_json::from_value(only_object(&ended)).expect("a report");
        assert_eq!(report.entry.to_string(), format!("s3://{BUCKET}/{target}/master.m3u8"));
        let folder = desk.farm.store.folder.join(target);
        let stored = fs::read(folder.join("reelmill.json")).expect("the report in the store");
        assert_eq!(serde_json::from_slice::<Report>(&stored).ok(), Some(report));
        can_be_played(&folder);
    }
    assert_eq!(desk.farm.store.unfinished_uploads(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_source_is_told_with_reason_and_hint_and_the_destination_is_untouched() {
    let desk = Desk::new().await;
    fs::write(desk.path("text.mp4"), "this is no video\n").expect("our folder");
    fs::create_dir(desk.path("empty")).expect("our folder");
    let said = "cannot use file://DESK/text.mp4 as a source: it is not in a media format that can be read";
    for target in ["new/out", "empty", &format!("s3://{BUCKET}/out")] {
        let ended = desk.run(&format!("transcode text.mp4 {target}"));
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(3), ""), "{ended:?}");
        let stderr = desk.masked(&ended.stderr);
        let tail: Vec<_> = stderr.lines().skip(1).collect();
        assert_eq!(tail, [&format!("error: {said}"), "hint: is it a video file?"]);
    }
    assert!(!desk.path("new").exists() && !desk.farm.store.folder.join("out").exists());
    assert_eq!(everything(&desk.path("empty")).len(), 0);
    assert!(desk.path("empty").exists());

    let ended = desk.run("transcode text.mp4 new --json");
    let object = only_object(&ended);
    assert_eq!((ended.code, object["failure"]["kind"].as_str()), (Some(3), Some("bad_source")));
    assert_eq!(desk.masked(object["failure"]["message"].as_str().expect("a message")), said);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_usage_ends_with_2_and_what_cannot_be_done_with_1() {
    let desk = Desk::new().await;
    let check = |words: &str, code: i32, part: &str| {
        let before = everything(&desk.path(""));
        let ended = desk.run(words);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{words}: {ended:?}");
        assert!(ended.stderr.contains(part), "{words}: {}", ended.stderr);
        assert_eq!(everything(&desk.path("")), before, "{words} leaves nothing");
    };
    check("", 2, "Usage: reelmill <COMMAND>");
    check("transcode", 2, "<SRC>");
    check("transcode clip.mp4", 2, "<DEST>");
    check("transcode clip.mp4 out more", 2, "unexpected argument 'more'");
    check("transcode clip.mp4 out --presets quick", 2, "'--preset'");
    check("transcode http://host/a.mp4 out", 2, "must start with s3:// or file://");
    check("frobnicate", 2, "unrecognized subcommand 'frobnicate'");
    check("up --port 0", 2, "0 is not in 1..");
    check("transcode no.mp4 out", 1, "cannot use the source no.mp4: no such file or folder");
    check("transcode clip.mp4 clip.mp4", 1, "the destination clip.mp4 is no folder");
    check(
        "transcode clip.mp4 out --preset unknown",
        1,
        "hint: known presets: archive-dnxhr, archive-prores, hls-ladder",
    );
    check("transcode clip.mp4 out --config no.toml", 1, "no.toml");
    check("submit clip.mp4 --hub http://127.0.0.1:1", 1, "127.0.0.1:1");
}

#[test]
fn help_and_version_are_no_errors() {
    for (words, part) in
        [("--help", "Exit codes: 0 done"), ("transcode --help", "Examples:"), ("--version", "reelmill ")]
    {
        let mut reelmill = command("reelmill");
        reelmill.args(words.split_whitespace());
        let ended = Ended::from(output(reelmill, b""));
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{words}");
        assert!(ended.stdout.contains(part), "{}", ended.stdout);
    }
}

/// A transcode of the long video in its middle: segments lie in the folder already.
fn in_the_middle(desk: &Desk, reelmill: Command, target: &Path) -> Running {
    let running = desk.start(reelmill);
    eventually("a segment", || {
        everything(target).keys().any(|path| path.extension().is_some_and(|e| e == "m4s")).then_some(())
    });
    running
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_leaves_nothing_half_and_nobody_behind() {
    let desk = Desk::with_long_video(60).await;
    fs::create_dir(desk.path("empty")).expect("our folder");
    let store = desk.farm.store.folder.clone();
    let targets = [
        ("new/deep/out", desk.path("new/deep/out"), false),
        ("empty", desk.path("empty"), true),
        (&format!("s3://{BUCKET}/out"), store.join("out"), false),
    ];
    for (target, folder, stays) in targets {
        let is_folder = !target.starts_with("s3:");
        let mut running =
            in_the_middle(&desk, desk.reelmill(&format!("transcode {LONG} {target} --preset quick")), &folder);
        let all = kin::wait_for(&running, &["reelmill-worker", "ffmpeg"]);
        running.signal(Signal::INT);
        assert_eq!(running.wait(), Some(1));
        kin::all_end(&all);
        let (stdout, stderr) = desk.printed();
        assert_eq!(stdout, "");
        assert!(
            stderr.ends_with(
                "\nstopping; Ctrl-C again to stop at once\nerror: stopped before the output was published\n"
            )
        );
        // A store on folders may keep those, but no object.
        let left: Vec<_> = everything(&folder).into_iter().filter(|(_, file)| is_folder || file.is_some()).collect();
        assert_eq!(left, [], "{target}");
        assert!(!is_folder || folder.exists() == stays, "{target}");
    }
    assert!(!desk.path("new").exists(), "no folder that was made on the way is left");
    assert_eq!(desk.farm.store.unfinished_uploads(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_line_that_is_killed_takes_its_worker_along() {
    let desk = Desk::with_long_video(60).await;
    let out = desk.path("out");
    let mut running = in_the_middle(&desk, desk.reelmill(&format!("transcode {LONG} out --preset quick")), &out);
    let all = kin::wait_for(&running, &["reelmill-worker", "ffmpeg"]);
    running.kill();
    kin::all_end(&all);
    assert_eq!(everything(&out).into_keys().next(), None);
}
