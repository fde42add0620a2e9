//! The jetson engine's graph, made of software elements: through the real worker, and compared with the software engine.

mod stage;

use std::path::PathBuf;

use reelmill_api::{ErrorKind, EventBody};
use reelmill_e2e::Farm;
use reelmill_lab::{media, programs::Running};
use stage::{PRESET, Rungs, both, with_gstreamer};
use tempfile::TempDir;

const TWO: &Rungs = &[("180p", 320, 180), ("90p", 160, 90)];

/// A source, and the folder that it lies in.
fn made(words: &str) -> (TempDir, PathBuf) {
    let folder = TempDir::new().expect("a temporary folder");
    let source = media::make(folder.path(), words);
    (folder, source)
}

#[tokio::test(flavor = "multi_thread")]
async fn four_rungs_at_29_97_lie_on_the_grid_of_the_software_engine_to_the_tick() {
    let (_folder, source) = made(
        "-f lavfi -i testsrc2=size=1920x1080:rate=30000/1001:duration=5 -f lavfi -i sine=sample_rate=48000:duration=5 \
         -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac a.mp4",
    );
    let rungs = &[("1080p", 1920, 1080), ("720p", 1280, 720), ("480p", 854, 480), ("360p", 640, 360)];
    let both = both(&source, rungs).await;
    assert_eq!(both.jetson.videos.len(), 4);
    assert_eq!(both.jetson.videos[0].samples.concat().len(), 150);
    // Not how they look: the cap of these presets starves large pictures, each encoder in its own way.
    both.lie_on_one_grid();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bundled_clip_is_the_same_by_either_engine() {
    let both = both(&media::clip(), TWO).await;
    both.lie_on_one_grid();
    both.look_alike();
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_that_begin_late_wait_for_their_sound_on_the_same_grid() {
    let (_folder, source) = made(
        "-f lavfi -i sine=sample_rate=48000:duration=5 -itsoffset 1.3 -f lavfi \
         -i testsrc2=size=320x180:rate=25:duration=3 -map 1:v -map 0:a -c:v libx264 -pix_fmt yuv420p -c:a aac a.mp4",
    );
    let both = both(&source, TWO).await;
    both.lie_on_one_grid();
    both.look_alike();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uneven_rate_is_made_even_on_the_same_grid() {
    let (_folder, source) = made(
        "-f lavfi -i testsrc2=size=320x180:rate=30:duration=4 -vf select=mod(n\\,3) -fps_mode vfr -c:v libx264 \
         -pix_fmt yuv420p a.mp4",
    );
    both(&source, TWO).await.lie_on_one_grid();
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_in_the_middle_is_a_bad_source() {
    let (folder, source) =
        made("-f lavfi -i testsrc2=size=320x180:rate=25:duration=8 -c:v libx264 -g 25 -pix_fmt yuv420p a.mp4");
    let mut bytes = std::fs::read(&source).expect("it was made");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 20_000].iter_mut().for_each(|byte| *byte ^= 0x55);
    std::fs::write(&source, bytes).expect("it can be written");
    let farm = Farm::start().await;
    farm.add_preset(PRESET, TWO);
    let job = farm.submit(&farm.upload(&source, "torn.mp4"), PRESET).await;
    let mut worker = farm.worker();
    worker.env("PRESET", PRESET);
    with_gstreamer(folder.path(), &mut worker);
    let _worker = Running::start(worker);
    let failed = farm.wait_for(job, "the end", |e| matches!(e.body, EventBody::Failed { .. } | EventBody::Done { .. }));
    let EventBody::Failed { failure, .. } = failed.await.body else { panic!("a damaged source was published") };
    assert_eq!(failure.kind, ErrorKind::BadSource, "{}", failure.message);
}
