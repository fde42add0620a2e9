//! `reelmill demo`: the whole farm at work on one video, and nothing left behind.

use std::{fs, process::Command};

use reelmill_lab::programs::{eventually, free_port, output};
use rustix::process::Signal;

use crate::{
    desk::{Desk, Ended, LONG, everything},
    kin,
};

/// A demo whose temporary folder is made in `tmp` on the desk.
fn demo(desk: &Desk, words: &str) -> Command {
    let folder = desk.path("tmp");
    fs::create_dir_all(&folder).expect("our folder");
    let mut demo = desk.reelmill(&format!("demo --port {} {words}", free_port()));
    demo.env("TMPDIR", folder);
    demo
}

fn nothing_is_left(desk: &Desk) {
    assert_eq!(everything(&desk.path("tmp")).into_keys().next(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn shows_the_bundled_clip_and_ends_when_it_is_done() {
    let desk = Desk::new().await;
    let ended = Ended::from(output(demo(&desk, "--exit --preset quick"), b""));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let mut lines = ended.stdout.lines();
    let page = lines.next().and_then(|line| line.strip_prefix("page: http://127.0.0.1:")).expect("the page's address");
    assert!(page.contains("/jobs/"), "{page}");
    assert!(lines.next().is_some_and(|line| line.starts_with("done in ")), "{ended:?}");
    nothing_is_left(&desk);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_video_that_is_none_is_refused_with_the_reason() {
    let desk = Desk::new().await;
    fs::write(desk.path("text.mp4"), "this is no video\n").expect("our folder");
    let ended = Ended::from(output(demo(&desk, "text.mp4 --exit --preset quick"), b""));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stderr.contains("as a source: it is not in a media format that can be read\nhint: is it a video file?\n"),
        "{ended:?}"
    );
    nothing_is_left(&desk);
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_in_the_middle_leaves_nothing() {
    let desk = Desk::with_long_video(60).await;
    let mut running = desk.start(demo(&desk, &format!("{LONG} --preset quick")));
    eventually("progress", || desk.printed().1.contains(" %  frame ").then_some(()));
    let all = kin::wait_for(&running, &["reelmill-hub", "reelmill-worker", "ffmpeg"]);
    running.signal(Signal::INT);
    assert_eq!(running.wait(), Some(1));
    kin::all_end(&all);
    nothing_is_left(&desk);
}
