//! Rungs, each held against the source at its size.

use std::path::Path;

use reelmill_api::preset::{Presets, Product};
use reelmill_e2e::{Farm, output::Output, quality::luma_psnr};
use reelmill_lab::{media, programs::Running};
use tempfile::TempDir;

/// The first two seconds of the bundled clip.
const CUT: &str = "-t 2 -i CLIP -an -c copy cut.mp4";
/// Made large from the clip, half a second of it.
const LARGE: &str =
    "-t 0.5 -i CLIP -an -vf scale=3840:2160:flags=lanczos -c:v libx264 -preset ultrafast -crf 10 large.mp4";

/// A ladder, its source, and the least PSNR of luma of each rung, dB.
type Row = (&'static str, &'static str, &'static [(&'static str, f64)]);

/// Floors lie half a decibel and more under what ffmpeg 5.1 was measured to give, which stands above each.
const TABLE: &[Row] = &[
    // 42.7, 39.8, 38.3
    ("hls-ladder", CUT, &[("720p", 41.5), ("480p", 39.0), ("360p", 37.5)]),
    // 41.6, 39.9, 38.5
    ("hls-ladder-hevc", CUT, &[("720p", 41.0), ("480p", 39.3), ("360p", 37.9)]),
    // 41.1, 39.7, 37.9
    ("hls-ladder-av1", CUT, &[("720p", 40.5), ("480p", 39.2), ("360p", 37.4)]),
    // 47.2, 46.2, 44.6, 43.9, 40.1, 38.7
    (
        "hls-ladder-4k",
        LARGE,
        &[("2160p", 46.7), ("1440p", 45.6), ("1080p", 44.1), ("720p", 43.3), ("480p", 39.5), ("360p", 38.1)],
    ),
];

/// Runs a preset and holds each of its rungs against the source at its size.
async fn hold(preset: &str) {
    let (_, words, floors) = TABLE.iter().find(|(name, ..)| *name == preset).expect("it is in the table");
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
    for (video, (name, floor)) in output.videos.iter().zip(*floors) {
        let psnr = rung(&video.file, &video.track.says("width"), &video.track.says("height"), &source);
        println!("{preset} {name}: {psnr:.2} dB");
        assert!(psnr >= *floor, "{preset} {name}: {psnr:.2} dB, at least {floor}");
    }
}

fn rung(file: &Path, width: &str, height: &str, source: &Path) -> f64 {
    luma_psnr(file, "format=yuv420p", source, &format!("scale={width}:{height}:flags=bicubic,format=yuv420p"))
}

#[test]
fn every_ladder_has_floors() {
    for preset in Presets::built_in().iter().filter(|preset| matches!(preset.product, Product::Ladder(_))) {
        assert!(TABLE.iter().any(|(name, ..)| *name == preset.name.as_str()), "{} has none", preset.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hls_ladder_is_near_its_source() {
    hold("hls-ladder").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hls_ladder_hevc_is_near_its_source() {
    hold("hls-ladder-hevc").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hls_ladder_av1_is_near_its_source() {
    hold("hls-ladder-av1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hls_ladder_4k_is_near_its_source() {
    hold("hls-ladder-4k").await;
}
