//! Sources of all kinds: containers, codecs, time bases that do not start at 0, fields, high dynamic range.

use reelmill_e2e::{judge, output::Output};
use reelmill_lab::media;
use tempfile::TempDir;

use crate::{QUICK, picture::shows_the_source, transcode};

/// Two and a half seconds of moving picture and a tone, at 25 frames a second.
const INPUT: &str =
    "-f lavfi -i testsrc2=size=320x180:rate=25:duration=2.52 -f lavfi -i sine=frequency=500:duration=2.52";

/// Makes a source with these words, and checks that each frame of it is in the ladder.
async fn check(words: &str) -> Output {
    let folder = TempDir::new().expect("a temporary folder");
    let source = media::make(folder.path(), &format!("{INPUT} {words}"));
    let output = transcode(&source, QUICK).await;
    assert_eq!(output.videos.len(), 2);
    for video in &output.videos {
        assert_eq!(video.keyframes(), [0.0, 1.0, 2.0]);
        shows_the_source(video, &source);
    }
    let sound = judge::sound(&output.sounds[0].file, 0);
    assert!((490..=510).contains(&judge::pitch(&sound)), "the tone is heard");
    output
}

#[tokio::test(flavor = "multi_thread")]
async fn mpeg_ts() {
    check("-c:v libx264 -preset superfast -pix_fmt yuv420p -c:a mp2 a.ts").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mpeg_ts_that_starts_late_on_the_clock() {
    check("-c:v mpeg2video -bf 2 -pix_fmt yuv420p -c:a ac3 -output_ts_offset 10 a.ts").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn matroska_that_starts_late_on_the_clock() {
    check("-c:v libx264 -preset superfast -pix_fmt yuv420p -c:a flac -output_ts_offset 10 a.mkv").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webm_with_vp9_and_opus() {
    check("-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -pix_fmt yuv420p -c:a libopus a.webm").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn quicktime_with_prores_and_pcm() {
    check("-c:v prores_ks -profile:v 0 -c:a pcm_s16le a.mov").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn avi_with_mpeg4() {
    check("-c:v mpeg4 -q:v 3 -c:a pcm_s16le a.avi").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_become_frames_and_the_report_says_so() {
    let folder = TempDir::new().expect("a temporary folder");
    let source = media::make(
        folder.path(),
        "-f lavfi -i testsrc2=size=320x180:rate=50:duration=2.52 -vf interlace=scan=tff -c:v libx264 -preset superfast \
         -pix_fmt yuv420p -flags +ilme+ildct -x264-params tff=1 a.mp4",
    );
    let output = transcode(&source, QUICK).await;
    assert!(output.report.changes.contains(&"deinterlaced".to_owned()), "{:?}", output.report.changes);
    for video in &output.videos {
        assert_eq!(video.track.packets.len(), 63);
        assert_eq!(video.track.stream["field_order"].as_str().unwrap_or("progressive"), "progressive");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn high_dynamic_range_becomes_what_every_screen_shows_and_the_report_says_so() {
    let folder = TempDir::new().expect("a temporary folder");
    let tags = "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:range=limited:log-level=none";
    let source = media::make(
        folder.path(),
        &format!(
            "-f lavfi -i testsrc2=size=320x180:rate=25:duration=1.2 -c:v libx265 -preset ultrafast -pix_fmt yuv420p10le \
             -x265-params {tags} -color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc -color_range tv a.mp4"
        ),
    );
    let output = transcode(&source, QUICK).await;
    let changed = output.report.changes.iter().any(|c| c.starts_with("tone-mapped"));
    assert!(changed, "{:?}", output.report.changes);
    for video in &output.videos {
        let tags = ["pix_fmt", "color_primaries", "color_transfer", "color_space"].map(|t| video.track.says(t));
        assert_eq!(tags, ["yuv420p", "bt709", "bt709", "bt709"]);
        assert_eq!(video.track.packets.len(), 30);
        let picture = &judge::pictures(&video.file, 16)[10];
        let (darkest, brightest) = (picture.iter().min().expect("bytes"), picture.iter().max().expect("bytes"));
        assert!(brightest - darkest > 60, "neither black nor white: {darkest} to {brightest}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wide_range_and_other_samplings_become_what_players_take() {
    let folder = TempDir::new().expect("a temporary folder");
    let words =
        "-f lavfi -i testsrc2=size=320x180:rate=25:duration=1.2 -c:v libx264 -preset superfast -pix_fmt yuvj444p a.mkv";
    let source = media::make(folder.path(), words);
    let output = transcode(&source, QUICK).await;
    shows_the_source(&output.videos[0], &source);
    assert!(output.report.changes.contains(&"full range made video range".to_owned()), "{:?}", output.report.changes);
}
