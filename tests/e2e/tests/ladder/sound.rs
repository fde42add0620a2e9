//! The sound: with the picture to the frame, in its own channels, a rendition a track.

use std::path::Path;

use reelmill_e2e::{judge, output::Output};
use reelmill_lab::media;
use tempfile::TempDir;

use crate::{QUICK, transcode};

/// One packet of AAC and a little more.
const NEAR: f64 = 0.025;
/// A white flash in the frame shown at 1 s.
const FLASH: &str =
    "-f lavfi -i color=black:size=320x180:rate=25:duration=2.52,drawbox=color=white:t=fill:enable='between(n,25,29)'";

/// A beep from `from` to a fifth of a second later, as ffmpeg's words.
fn beep(from: f64) -> String {
    let to = from + 0.2;
    format!(
        "-f lavfi -i sine=frequency=1000:sample_rate=48000:duration=2.52,volume=enable='not(between(t,{from},{to}))':volume=0"
    )
}

/// The flash is seen and the beep is heard when the source has them: in each rendition by its own clock, and together where
/// a player built on ffmpeg opens the ladder.
fn aligned(output: &Output, source: &Path, seen: f64, heard: f64) {
    let apart = |file: &Path| judge::beep(&judge::sound(file, 0)) - judge::flash(&judge::brightness(file));
    let (wanted, played) = (apart(source), apart(&output.entry()));
    assert!((wanted - (heard - seen)).abs() < NEAR, "the source beeps {wanted} s after its flash");
    assert!((played - wanted).abs() < NEAR, "a player beeps {played} s after the flash instead of {wanted}");
    for video in &output.videos {
        let at = judge::flash(&judge::brightness(&video.file));
        assert!((at - seen).abs() < 0.001, "the flash is seen at {at}, not {seen}");
    }
    let at = judge::beep(&judge::sound(&output.sounds[0].file, 0));
    assert!((at - heard).abs() < NEAR, "the beep is heard at {at}, not {heard}");
}

/// Makes a source with a flash and a beep at 1 s, and these words.
async fn check(words: &str, heard: f64) -> Output {
    let folder = TempDir::new().expect("a temporary folder");
    let source = media::make(folder.path(), &words.replace("FLASH", FLASH).replace("BEEP", &beep(1.0)));
    let output = transcode(&source, QUICK).await;
    aligned(&output, &source, 1.0, heard);
    output
}

#[tokio::test(flavor = "multi_thread")]
async fn flash_and_beep_stay_together() {
    check("FLASH BEEP -c:v libx264 -preset superfast -pix_fmt yuv420p -c:a aac a.mp4", 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flash_and_beep_stay_together_where_the_clock_starts_late() {
    let words = "FLASH BEEP -c:v libx264 -preset superfast -pix_fmt yuv420p -c:a aac -output_ts_offset 10";
    check(&format!("{words} a.ts"), 1.0).await;
    check(&format!("{words} a.mkv"), 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_that_starts_late_stays_late() {
    let words = "FLASH -itsoffset 0.5 BEEP -c:v libx264 -preset superfast -pix_fmt yuv420p -c:a aac";
    for file in ["a.mp4", "a.mkv"] {
        let output = check(&format!("{words} {file}"), 1.5).await;
        let said = output.report.changes.iter().any(|c| c.ends_with("s late: kept, with silence before it"));
        assert!(said, "{:?}", output.report.changes);
        let sound = judge::sound(&output.sounds[0].file, 0);
        assert!(sound.len() > 2 * 48_000, "silence comes before it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_starts_late_is_held_from_the_start() {
    let folder = TempDir::new().expect("a temporary folder");
    let words =
        format!("-itsoffset 0.4 {FLASH} {} -c:v libx264 -preset superfast -pix_fmt yuv420p -c:a flac a.mkv", beep(1.0));
    let source = media::make(folder.path(), &words);
    let output = transcode(&source, QUICK).await;
    aligned(&output, &source, 1.4, 1.0);
    assert_eq!(output.videos[0].track.packets.len(), 63 + 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uneven_frame_rate_becomes_even_and_keeps_its_time() {
    let folder = TempDir::new().expect("a temporary folder");
    let uneven = FLASH.replace("drawbox", "select='lt(n,40)+not(mod(n,3))',drawbox");
    let words =
        format!("{uneven} {} -fps_mode vfr -c:v libx264 -preset superfast -pix_fmt yuv420p -c:a aac a.mp4", beep(1.0));
    let source = media::make(folder.path(), &words);
    let output = transcode(&source, QUICK).await;
    aligned(&output, &source, 1.0, 1.0);
    let length = output.videos[0].media.seconds();
    assert!((2.4..2.6).contains(&length), "{length} s, and the source has 2.5");
    let said = output.report.changes.iter().any(|c| c.starts_with("variable frame rate made a constant"));
    assert!(said, "{:?}", output.report.changes);
}

#[tokio::test(flavor = "multi_thread")]
async fn mono_stays_mono() {
    let output = check("FLASH BEEP -c:v libx264 -preset superfast -pix_fmt yuv420p -c:a aac -ac 1 a.mp4", 1.0).await;
    assert_eq!(output.sounds[0].track.says("channels"), "1");
    assert_eq!(output.sounds[0].attributes.text("CHANNELS"), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_track_of_sound_is_a_rendition_with_its_language() {
    let folder = TempDir::new().expect("a temporary folder");
    let tone = |pitch| format!("-f lavfi -i sine=frequency={pitch}:duration=2");
    let words = format!(
        "-f lavfi -i testsrc2=size=320x180:rate=25:duration=2 {} {} -map 0 -map 1 -map 2 -c:v libx264 -preset superfast \
         -pix_fmt yuv420p -c:a aac -metadata:s:a:0 language=eng -metadata:s:a:1 language=deu a.mkv",
        tone(400),
        tone(900)
    );
    let output = transcode(&media::make(folder.path(), &words), QUICK).await;
    let languages: Vec<_> = output.sounds.iter().map(|s| s.attributes.text("LANGUAGE")).collect();
    assert_eq!(languages, ["en", "de"]);
    for (sound, pitch) in output.sounds.iter().zip([400, 900]) {
        let heard = judge::pitch(&judge::sound(&sound.file, 0));
        assert!(heard.abs_diff(pitch) < 10, "{heard} Hz instead of {pitch}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_film_has_no_audio() {
    let folder = TempDir::new().expect("a temporary folder");
    let words =
        "-f lavfi -i testsrc2=size=320x180:rate=25:duration=2.52 -c:v libx264 -preset superfast -pix_fmt yuv420p a.mp4";
    let output = transcode(&media::make(folder.path(), words), QUICK).await;
    assert!(output.sounds.is_empty() && output.master.media.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_that_ends_early_changes_nothing_of_the_picture() {
    let folder = TempDir::new().expect("a temporary folder");
    let words = "-f lavfi -i testsrc2=size=320x180:rate=25:duration=2.6 -f lavfi -i sine=duration=1.3 -c:v libx264 \
                 -preset superfast -pix_fmt yuv420p -c:a aac a.mp4";
    // Segments of four seconds, so that each playlist has one, and their lengths round to different seconds.
    let output = transcode(&media::make(folder.path(), words), "hls-ladder").await;
    assert_eq!(output.videos[0].track.packets.len(), 65);
    assert!(output.sounds[0].media.seconds() < 1.5, "{}", output.sounds[0].media.seconds());
}
