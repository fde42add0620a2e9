//! Sound: channels, rates, languages, and tracks that begin or end apart from the pictures.

use std::path::PathBuf;

use crate::{
    bench::Bench,
    check::hold,
    kind::{Kind, Sound},
};

#[tokio::test(flavor = "multi_thread")]
async fn every_rate_and_number_of_channels_is_heard_as_it_was() {
    let rate =
        |rate: u32, codec: &str, file: &str| format!("SCENE@25 SOUND@2 VIDEO -c:a {codec} -ar {rate} -t 2 {file}");
    let spread = |layout: &str, codec: &str| {
        format!("SCENE@25 SOUND@2 VIDEO -af pan={layout}|FL=c0|FR=c1 -c:a {codec} -t 2 a.mov")
    };
    let one = |sound| [sound];
    hold(vec![
        Kind::of("8000 samples a second", &rate(8_000, "pcm_s16le", "a.mov")),
        Kind::of("11 025 samples a second", &rate(11_025, "aac", "a.mp4")),
        Kind::of("22 050 samples a second", &rate(22_050, "aac", "a.mp4")),
        Kind::of("44 100 samples a second", &rate(44_100, "aac", "a.mp4")),
        Kind::of("96 000 samples a second", &rate(96_000, "pcm_s24le", "a.mov")),
        Kind::of("mono", "SCENE@25 SOUND@2 VIDEO -c:a aac -ac 1 -t 2 a.mp4").sounds(one(Sound {
            channels: 1,
            louder: 3.01,
            ..Sound::default()
        })),
        // What is in front on the left and on the right stays there, as loud as it was.
        Kind::of("5.1", &spread("5.1", "aac")).sounds(one(Sound::default())).says("audio: 6 channels mixed down to 2"),
        Kind::of("7.1", &spread("7.1", "pcm_s16le"))
            .sounds(one(Sound::default()))
            .says("audio: 8 channels mixed down to 2"),
        Kind::of("quad", &spread("quad", "pcm_s16le"))
            .sounds(one(Sound::default()))
            .says("audio: 4 channels mixed down to 2"),
        Kind::of("no sound at all", "SCENE@25 VIDEO -t 2 a.mp4").silent(),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_track_is_kept_with_its_language() {
    let track = |tone, language| Sound { tone, language, ..Sound::default() };
    let tongues = "-metadata:s:a:0 language=eng -metadata:s:a:1 language=deu -metadata:s:a:2 language=jpn";
    let four = "SCENE@25 SOUND@2 SOUND@2:400 SOUND@2:500 SOUND@2:600 VIDEO -map 0 -map 1 -map 2 -map 3 -map 4 -t 2";
    let want = || [track(300, Some("en")), track(400, Some("de")), track(500, Some("ja")), track(600, None)];
    hold(vec![
        Kind::of("four tracks in Matroska", &format!("{four} {tongues} -c:a flac a.mkv")).sounds(want()),
        Kind::of("four tracks in MP4", &format!("{four} {tongues} -c:a aac a.mp4")).sounds(want()),
        Kind::of("four tracks in MPEG-TS", &format!("{four} {tongues} -c:a mp2 a.ts")).sounds(want()),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_and_pictures_stay_where_they_were() {
    let late = "audio: started #.# s late: kept, with silence before it";
    hold(vec![
        Kind::of("sound that starts late, in MP4", "SCENE@25 -itsoffset 0.5 SOUND@1.5 VIDEO -c:a aac a.mp4")
            .shows(0..132)
            .heard(0.5, 2.0, 1.5)
            .says(late),
        Kind::of("sound that starts late, in MPEG-TS", "SCENE@25 -itsoffset 0.5 SOUND@1.5 VIDEO -c:a aac -t 2 a.ts")
            .heard(0.5, 2.0, 1.5)
            .says(late),
        Kind::of("sound that ends early", "SCENE@25 SOUND@1.4 VIDEO -c:a aac -t 2 a.mp4").heard(0.0, 1.4, 1.0),
        Kind::of("sound that ends late", "-t 1.6 SCENE@25 SOUND@2 VIDEO -c:a aac a.mp4").shows(0..40),
        Kind::of(
            "pictures that start late",
            "SCENE@25 SOUND@2 -vf setpts=PTS+0.4/TB,YUV TAGS H264 -c:a flac -t 2 a.mkv",
        )
        .shows([0; 10].into_iter().chain(0..40)),
    ])
    .await;
}

/// Pictures two seconds late; an input's offset would be lost with the scene's own frame rate.
const LATE: &str = "-vf setpts=PTS+2/TB,YUV TAGS H264 -fps_mode vfr";

/// Some containers say how long the whole is, and not each track. What is late, or ends before the others, is not cut.
#[tokio::test(flavor = "multi_thread")]
async fn a_track_that_is_two_seconds_late_or_short_is_no_cut_source() {
    let late_picture = |sound: &str, file: &str| {
        let words = format!("-t 2 SCENE@25 SOUND@4 {LATE} {sound} {file}");
        Kind::of("pictures two seconds late", &words).shows([0; 50].into_iter().chain(0..50)).heard(0.0, 4.0, 1.0)
    };
    let late_sound = "audio: started #.# s late: kept, with silence before it";
    let flac = "-c:a flac";
    hold(vec![
        Kind { name: "pictures two seconds late, in Matroska", ..late_picture(flac, "a.mkv") },
        Kind { name: "pictures two seconds late, in NUT", ..late_picture("-c:a pcm_s16le", "a.nut") },
        Kind { name: "pictures two seconds late, in FLV", ..late_picture("-c:a pcm_s16le -ar 44100", "a.flv") },
        Kind::of(
            "sound two seconds late that outlasts the pictures, in Matroska",
            "-t 2.8 SCENE@25 -itsoffset 2 SOUND@2 VIDEO -c:a flac a.mkv",
        )
        .shows(0..70)
        .heard(2.0, 4.0, 3.0)
        .says(late_sound),
        Kind::of(
            "both two seconds late, in Matroska",
            &format!("-t 2 SCENE@25 -itsoffset 2 SOUND@2 {LATE} -c:a flac a.mkv"),
        ),
        Kind::of("sound that ends late, in Matroska", "-t 1.6 SCENE@25 SOUND@3 VIDEO -c:a flac a.mkv")
            .shows(0..40)
            .heard(0.0, 3.0, 1.0),
        Kind::of("sound that ends late, in NUT", "-t 1.6 SCENE@25 SOUND@3 VIDEO -c:a pcm_s16le a.nut")
            .shows(0..40)
            .heard(0.0, 3.0, 1.0),
        Kind::crafted("Matroska that was cut off", |bench| cut(bench, "-c:a flac -t 4 a.mkv"))
            .refused("it is cut or damaged: "),
        Kind::crafted("FLV that was cut off", |bench| cut(bench, "-c:a aac -ar 44100 -t 4 a.flv"))
            .refused("it is cut or damaged: "),
    ])
    .await;
}

/// The first half of a source's bytes.
fn cut(bench: &Bench, words: &str) -> PathBuf {
    let whole = bench.make(&format!("SCENE@25 SOUND@4 VIDEO -g 12 {words}"));
    bench.changed(&whole, |mut bytes| {
        bytes.truncate(bytes.len() / 2);
        bytes
    })
}
