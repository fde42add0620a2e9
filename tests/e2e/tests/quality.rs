//! Every rung of every preset is near to its source: each has a floor.

use std::path::Path;

use reelmill_e2e::{Farm, output::Output, quality::luma_psnr};
use reelmill_lab::{media, programs::Running};
use tempfile::TempDir;

/// The first two seconds of the bundled clip.
const CUT: &str = "-t 2 -i CLIP -an -c copy cut.mp4";

/// Runs a preset over two seconds of the bundled clip and holds each rung against the source at its size.
async fn check(preset: &str, words: &str, floors: &[(&str, f64)]) {
    let folder = TempDir::new().expect("a temporary folder");
    let source = media::make(folder.path(), words);
    let farm = Farm::start().await;
    let input = farm.upload(&source, "source.mp4");
    let job = farm.submit(&input, preset).await;
    let mut worker = farm.worker();
    // x265 looks ahead over many large pictures before it gives the first.
    worker.env("STALL_SECONDS", "120");
    let _worker = Running::start(worker);
    let output = Output::of(&farm, job).await;
    let names: Vec<_> = output.videos.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(names, floors.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    for (video, (name, floor)) in output.videos.iter().zip(floors) {
        let psnr = rung(&video.file, &video.track.says("width"), &video.track.says("height"), &source);
        println!("{preset} {name}: {psnr:.2} dB");
        assert!(psnr >= *floor, "{preset} {name}: {psnr:.2} dB, at least {floor}");
    }
}

fn rung(file: &Path, width: &str, height: &str, source: &Path) -> f64 {
    luma_psnr(file, "format=yuv420p", source, &format!("scale={width}:{height}:flags=bicubic,format=yuv420p"))
}

#[tokio::test(flavor = "multi_thread")]
async fn hls_ladder_is_near_its_source() {
    check("hls-ladder", CUT, &[("720p", 41.5), ("480p", 39.0), ("360p", 37.5)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hls_ladder_hevc_is_near_its_source() {
    check("hls-ladder-hevc", "-t 2 -i CLIP -an -c copy cut.mp4", &[("720p", 30.0), ("480p", 30.0), ("360p", 30.0)])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hls_ladder_av1_is_near_its_source() {
    check("hls-ladder-av1", "-t 2 -i CLIP -an -c copy cut.mp4", &[("720p", 30.0), ("480p", 30.0), ("360p", 30.0)])
        .await;
}

/// Made large from the clip, a second of it.
#[tokio::test(flavor = "multi_thread")]
async fn hls_ladder_4k_is_near_its_source() {
    let words = "-t 0.5 -i CLIP -an -vf scale=3840:2160:flags=lanczos -c:v libx264 -preset ultrafast -crf 10 large.mp4";
    let floors = ["2160p", "1440p", "1080p", "720p", "480p", "360p"].map(|name| (name, 30.0));
    check("hls-ladder-4k", words, &floors).await;
}
