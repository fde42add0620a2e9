//! Oddities: very short and very long, damaged, with passengers, or with nothing to see.

use std::path::PathBuf;

use crate::{
    bench::Bench,
    check::hold,
    craft,
    kind::{Kind, LONG, TOLERANT},
};

/// A source with bytes of its pictures changed in the middle.
fn damaged(bench: &Bench) -> PathBuf {
    let made = bench.make("SCENE@25 SOUND@2 VIDEO -g 12 -c:a mp2 -t 2 a.ts");
    bench.changed(&made, craft::damaged)
}

/// A subtitle in text.
fn words(bench: &Bench) -> String {
    let file = bench.folder.join("words.srt");
    std::fs::write(&file, "1\n00:00:00,500 --> 00:00:01,500\nhello\n").expect("our folder");
    format!("-i {}", file.display())
}

/// A subtitle in pictures.
fn pictures(bench: &Bench) -> String {
    let file = bench.folder.join("pictures.sup");
    std::fs::write(&file, craft::picture_subtitles()).expect("our folder");
    format!("-i {}", file.display())
}

#[tokio::test(flavor = "multi_thread")]
async fn very_short_and_very_long_sources_are_whole() {
    let none = f64::NAN;
    hold(vec![
        Kind::of("one frame", "SCENE@25 VIDEO -frames:v 1 a.mp4").shows(0..1).silent(),
        Kind::of("one frame in Matroska", "SCENE@25 VIDEO -frames:v 1 a.mkv").shows(0..1).silent(),
        Kind::of("two frames with sound", "SCENE@25 SOUND@0.08 VIDEO -c:a pcm_s16le -frames:v 2 a.mov")
            .shows(0..2)
            .heard(0.0, 0.08, none),
        Kind::crafted("ten minutes", |bench| {
            let video = "-vf scale=64:36:flags=area,YUV TAGS H264 -c:a pcm_s16le -t 13.2";
            let part = bench.make(&format!("SCENE@10 SOUND@13.2 {video} part.mov"));
            bench.make(&format!("-stream_loop 45 -i {} -c copy -t 600 a.mov", part.display()))
        })
        .size(64, 36)
        .rate("10.000")
        .shows(0..6000)
        .heard(0.0, 600.02, 1.0)
        .looks_otherwise()
        .by(LONG),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn passengers_are_left_behind_and_told() {
    hold(vec![
        Kind::crafted("cover art before the film", |bench| {
            let cover = bench.make("SCENE@25 -frames:v 1 -vf hflip,format=yuvj420p cover.jpg");
            let film = bench.make("SCENE@25 SOUND@2 VIDEO -c:a aac -t 2 film.mp4");
            let inputs = format!("-i {} -i {}", cover.display(), film.display());
            bench.make(&format!(
                "{inputs} -map 0 -map 1 -c copy -disposition:v:0 attached_pic -disposition:v:1 default a.mp4"
            ))
        })
        .says("left out: cover art (mjpeg)"),
        Kind::crafted("a timecode and text", |bench| {
            let words = words(bench);
            bench.make(&format!(
                "SCENE@25 SOUND@2 {words} VIDEO -timecode 01:00:00:00 -c:a aac -c:s mov_text -t 2 a.mov"
            ))
        }),
        Kind::crafted("an attachment and text", |bench| {
            let words = words(bench);
            let attached = "-attach words.srt -metadata:s:t mimetype=text/plain";
            let attached = attached.replace("words.srt", &bench.folder.join("words.srt").display().to_string());
            bench.make(&format!("SCENE@25 SOUND@2 {words} VIDEO {attached} -c:a flac -c:s srt -t 2 a.mkv"))
        })
        .says("left out: an attachment (unknown)"),
        Kind::crafted("subtitles in pictures, in Matroska", |bench| {
            let pictures = pictures(bench);
            bench
                .make(&format!("SCENE@25 SOUND@2 {pictures} -map 0 -map 1 -map 2 VIDEO -c:a flac -c:s copy -t 2 a.mkv"))
        })
        .says("left out: subtitles that are pictures (hdmv_pgs_subtitle)"),
        Kind::crafted("subtitles in pictures, in MPEG-TS", |bench| {
            let pictures = pictures(bench);
            bench
                .make(&format!("SCENE@25 SOUND@2 {pictures} -map 0 -map 1 -map 2 VIDEO -c:a mp2 -c:s dvbsub -t 2 a.ts"))
        })
        .says("left out: subtitles that are pictures (dvb_subtitle)"),
        Kind::crafted("two films in one file", |bench| {
            bench.make("SCENE@25 SCENE@50 SOUND@2 -map 0 -map 1 -map 2 VIDEO -c:a aac -t 2 a.mp4")
        })
        .says("left out: a further video track (h264)"),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_in_the_middle_keeps_its_time_or_is_refused() {
    hold(vec![
        Kind::crafted("damaged, where the preset tolerates it", damaged)
            .by(TOLERANT)
            .shows_near(49..=51, 25.0, 0.5)
            .looks_otherwise()
            .says("damaged in # places: what could be decoded was used"),
        Kind::crafted("damaged, where the preset does not", damaged).refused("it is cut or damaged: "),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_nothing_to_see_is_refused() {
    hold(vec![
        Kind::of("only sound", "SOUND@2 -c:a aac a.m4a")
            .refused("it has no video track (only audio), and preset quick makes video"),
        Kind::crafted("only sound with cover art", |bench| {
            let cover = bench.make("SCENE@25 -frames:v 1 -vf format=yuvj420p cover.jpg");
            bench.make(&format!(
                "-i {} SOUND@2 -map 0 -map 1 -c:v copy -c:a aac -disposition:v attached_pic a.m4a",
                cover.display()
            ))
        })
        .refused("it has no video track (only audio), and preset quick makes video"),
    ])
    .await;
}
