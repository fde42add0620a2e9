//! Single files, each held against the source as ffmpeg turns, scales and cuts it.

use std::path::{Path, PathBuf};

use reelmill_api::{
    EventBody, layout,
    preset::{Presets, Product},
};
use reelmill_e2e::{Farm, quality::luma_psnr};
use reelmill_lab::{media, programs::Running};

/// What is made, and what is measured of it.
struct Row {
    preset: &'static str,
    /// Whether pictures fill their frame with their middle; else as the preset has it.
    cropped: bool,
    /// Makes the source.
    source: fn(&Path) -> PathBuf,
    /// What filters make of the source's pictures, which ffmpeg has turned upright.
    shape: &'static str,
    /// What they make of the file's, so that only what is compared is left.
    part: &'static str,
    /// The files, each with the least PSNR of luma, dB.
    floors: &'static [(&'static str, f64)],
}

const PLAIN: &str = "format=yuv420p";

/// Floors lie half a decibel under what ffmpeg 5.1 was measured to give, which stands above each.
const TABLE: &[Row] = &[
    Row {
        preset: "archive-prores",
        cropped: false,
        source: clip,
        shape: "format=yuv422p10le",
        part: "format=yuv422p10le",
        // 53.4
        floors: &[("archive-prores.mov", 52.8)],
    },
    Row {
        preset: "archive-dnxhr",
        cropped: false,
        source: clip,
        shape: "format=yuv422p",
        part: "format=yuv422p",
        // 52.4
        floors: &[("archive-dnxhr.mov", 51.9)],
    },
    Row {
        preset: "archive-dnxhr",
        cropped: false,
        source: deep,
        shape: "format=yuv422p10le",
        part: "format=yuv422p10le",
        // 53.2
        floors: &[("archive-dnxhr.mov", 52.7)],
    },
    Row {
        preset: "proxy",
        cropped: false,
        source: clip,
        shape: "scale=960:540:flags=bicubic,format=yuv420p",
        part: PLAIN,
        // 38.3
        floors: &[("proxy.mov", 37.8)],
    },
    Row {
        preset: "proxy",
        cropped: false,
        source: telephone,
        shape: PLAIN,
        part: PLAIN,
        // 39.9
        floors: &[("proxy.mov", 39.4)],
    },
    // The picture itself, which lies in the middle over its blurred copy.
    Row {
        preset: "social-vertical",
        cropped: false,
        source: clip,
        shape: "scale=1080:608:flags=bicubic,format=yuv420p",
        part: "crop=1080:608:0:656,format=yuv420p",
        // 42.2, 43.2
        floors: &[("social-vertical.mp4", 41.6), ("social-vertical-av1.mp4", 42.6)],
    },
    Row {
        preset: "social-vertical",
        cropped: true,
        source: clip,
        shape: "scale=-2:1920:flags=bicubic,crop=1080:1920,format=yuv420p",
        part: PLAIN,
        // 46.1, 46.9
        floors: &[("social-vertical.mp4", 45.5), ("social-vertical-av1.mp4", 46.3)],
    },
    Row {
        preset: "social-square",
        cropped: false,
        source: clip,
        shape: "scale=1080:608:flags=bicubic,format=yuv420p",
        part: "crop=1080:608:0:236,format=yuv420p",
        // 42.1, 43.1
        floors: &[("social-square.mp4", 41.6), ("social-square-av1.mp4", 42.6)],
    },
    Row {
        preset: "social-square",
        cropped: true,
        source: telephone,
        shape: "scale=1080:-2:flags=bicubic,crop=1080:1080,format=yuv420p",
        part: PLAIN,
        // 44.1, 44.8
        floors: &[("social-square.mp4", 43.5), ("social-square-av1.mp4", 44.2)],
    },
];

/// Fifteen frames of the bundled clip.
fn clip(folder: &Path) -> PathBuf {
    media::make(folder, "-t 0.6 -i CLIP -an -c copy cut.mp4")
}

/// The same as a telephone records it that is held upright: 720x1280, lying on its side.
fn telephone(folder: &Path) -> PathBuf {
    media::turned(&clip(folder), 1)
}

/// The same in 10 bit, by an encoder that loses nothing.
fn deep(folder: &Path) -> PathBuf {
    media::make(folder, "-t 0.6 -i CLIP -an -pix_fmt yuv420p10le -c:v libx264 -preset ultrafast -qp 0 deep.mp4")
}

/// The settings that make a preset's files fill their frames with the middle of the picture, and change nothing else.
fn crop(preset: &str) -> String {
    let presets = Presets::built_in();
    let preset = presets.get(&preset.parse().expect("a name")).expect("it comes with us");
    let mut files = serde_json::to_value(preset).expect("plain data")["files"].take();
    for file in files.as_array_mut().expect("it makes files") {
        assert_eq!(file["frame"]["fit"], "blur", "by itself it shows the whole picture");
        file["frame"]["fit"] = "crop".into();
    }
    serde_json::json!({ "files": files }).to_string()
}

/// Holds all that is measured of a preset.
async fn hold(preset: &str) {
    for row in TABLE.iter().filter(|row| row.preset == preset) {
        check(row).await;
    }
}

async fn check(row: &Row) {
    let farm = Farm::start().await;
    let source = (row.source)(farm.folder.path());
    let input = farm.upload(&source, "source.mp4");
    let settings = if row.cropped { crop(row.preset) } else { "{}".to_owned() };
    let job = farm.submit_with(&input, row.preset, &settings).await;
    let mut worker = farm.worker();
    worker.env("STALL_SECONDS", "120");
    let _worker = Running::start(worker);
    let ended = |body: &EventBody| matches!(body, EventBody::Done { .. } | EventBody::Failed { .. });
    let event = farm.wait_for(job, "the end", |event| ended(&event.body)).await;
    let EventBody::Done { report } = event.body else { panic!("{event:?}") };
    let made: Vec<_> = report.renditions.iter().map(|made| made.name.as_str()).collect();
    let held: Vec<_> = row.floors.iter().filter_map(|(file, _)| file.split('.').next()).collect();
    assert_eq!(made, held, "each file that {} makes has a floor", row.preset);
    for (file, least) in row.floors {
        let path = farm.output_folder(job).join(layout::attempt_file(&report.attempt, file));
        let psnr = luma_psnr(&path, row.part, &source, row.shape);
        println!("{file}, cropped {}: {psnr:.2} dB", row.cropped);
        assert!(psnr >= *least, "{file}, cropped {}: {psnr:.2} dB, at least {least}", row.cropped);
    }
}

#[test]
fn every_preset_of_files_has_floors() {
    for preset in Presets::built_in().iter().filter(|preset| matches!(preset.product, Product::Files(_))) {
        assert!(TABLE.iter().any(|row| row.preset == preset.name.as_str()), "{} has none", preset.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn masters_in_prores_lose_next_to_nothing() {
    hold("archive-prores").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn masters_in_dnxhr_lose_next_to_nothing() {
    hold("archive-dnxhr").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_are_near_their_source() {
    hold("proxy").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vertical_clips_are_near_their_source() {
    hold("social-vertical").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn square_clips_are_near_their_source() {
    hold("social-square").await;
}
