//! A source becomes a ladder: through the real queue, the real store and the real worker, with ffprobe and ffmpeg as
//! judges of every promise.

mod codecs;
mod picture;
mod sound;
mod sources;

use std::path::Path;

use reelmill_e2e::{Farm, output::Output};
use reelmill_lab::media;

/// A ladder of two small rungs that costs little to make.
const QUICK: &str = "quick";

/// What becomes of a source, with everything checked that holds of any output.
async fn transcode(source: &Path, preset: &str) -> Output {
    let farm = Farm::start().await;
    farm.add_preset(QUICK, &[("180p", 320, 180), ("90p", 160, 90)]);
    let input = farm.upload(source, "clips/a source.bin");
    let job = farm.submit(&input, preset).await;
    let _worker = farm.start_worker();
    let output = Output::of(&farm, job).await;
    output.is_true();
    assert_eq!(farm.store.unfinished_uploads(), 0);
    output
}

/// Names and sizes of all rungs.
fn rungs(output: &Output) -> Vec<(String, String)> {
    output.videos.iter().map(|video| (video.name.clone(), video.attributes.text("RESOLUTION").to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bundled_clip_becomes_a_ladder() {
    let output = transcode(&media::clip(), "hls-ladder").await;
    let want = [("720p", "1280x720"), ("480p", "854x480"), ("360p", "640x360")];
    assert_eq!(rungs(&output), want.map(|(name, size)| (name.to_owned(), size.to_owned())));
    for video in &output.videos {
        assert_eq!(video.track.packets.len() as u64, media::CLIP_FRAMES);
        assert_eq!(video.keyframes(), [0.0, 4.0]);
        assert_eq!(video.attributes.text("FRAME-RATE"), "25.000");
    }
    let (picture, sound) = (output.videos[0].media.seconds(), output.sounds[0].media.seconds());
    assert!((picture - 5.28).abs() < 1e-9, "{picture} s of pictures");
    assert!((sound - picture).abs() < 0.1, "{sound} s of sound");
    assert!(output.report.changes.contains(&"dropped rung 1080p: above the source".to_owned()));
}
