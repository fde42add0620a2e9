//! Archive masters: nothing of the source is lost that the format can hold.

use reelmill_e2e::judge;

use crate::stage::{Product, Stage, difference, says};

/// Two seconds at 29.97 with a time code that drops numbers, one track in mono and one in 5.1.
const BROADCAST: &str = "-f lavfi -i testsrc2=size=320x180:rate=30000/1001 -f lavfi -i sine=frequency=500:sample_rate=44100 \
                         -f lavfi -i anoisesrc=amplitude=0.1:sample_rate=48000,aformat=channel_layouts=5.1 -map 0 -map 1 -map 2 \
                         -t 2.002 -c:v libx264 -preset ultrafast -qp 10 -c:a aac -timecode 00:59:59;28 \
                         -color_primaries bt709 -color_trc bt709 -colorspace bt709 -color_range tv \
                         -metadata:s:a:0 language=ger -metadata:s:a:1 language=eng";

fn broadcast(name: &str, more: &str) -> String {
    format!("{BROADCAST} {more} {name}")
}

fn tags(stream: &serde_json::Value) -> [String; 4] {
    ["color_primaries", "color_transfer", "color_space", "color_range"].map(|name| says(stream, name))
}

/// Everything that both kinds of master have in common.
fn keeps_it_all(made: &Product, stage: &Stage, source: &str) {
    made.is_true();
    let streams = made.streams(0);
    assert_eq!(streams[0]["tags"]["timecode"], "00:59:59;28");
    assert_eq!(streams.iter().filter(|s| s["codec_tag_string"] == "tmcd").count(), 1);
    let sounds: Vec<_> = streams.iter().filter(|s| s["codec_type"] == "audio").collect();
    let facts = |s: &&serde_json::Value| {
        let language = s["tags"]["language"].as_str().unwrap_or("none").to_owned();
        (says(s, "codec_name"), s["channels"].as_u64(), says(s, "channel_layout"), says(s, "sample_rate"), language)
    };
    let pcm = |channels, layout: &str, language: &str| {
        ("pcm_s24le".to_owned(), Some(channels), layout.to_owned(), "48000".to_owned(), language.to_owned())
    };
    let want = [pcm(1, "mono", "ger"), pcm(6, "5.1", "eng")];
    assert_eq!(sounds.iter().map(facts).collect::<Vec<_>>(), want);
    let source = stage.folder.path().join(source);
    let pictures = |file: &std::path::Path| judge::pictures_of(file, 80, 45);
    let file = made.file(0);
    let off = difference(&pictures(&file), &pictures(&source));
    assert!(off < 1.5, "the pictures are those of the source: {off} off");
    let pitch = judge::pitch(&judge::sound(&file, 0));
    assert!((498..=502).contains(&pitch), "the first track is the first track: {pitch} Hz");
}

#[test]
fn prores_is_hq_and_keeps_time_code_colours_and_every_track() {
    let stage = Stage::new();
    let made = stage.make(&broadcast("a.mov", "-pix_fmt yuv420p"), "archive-prores", "{}");
    keeps_it_all(&made, &stage, "a.mov");
    let video = &made.streams(0)[0];
    let facts = ["codec_name", "profile", "codec_tag_string", "pix_fmt", "field_order"].map(|name| says(video, name));
    assert_eq!(facts, ["prores", "HQ", "apch", "yuv422p10le", "progressive"]);
    assert_eq!(tags(video), ["bt709", "bt709", "bt709", "tv"]);
}

#[test]
fn dnxhr_is_hq_for_8_bit_and_hqx_for_10() {
    let stage = Stage::new();
    for (format, profile, made_in) in [("yuv420p", "DNXHR HQ", "yuv422p"), ("yuv422p10le", "DNXHR HQX", "yuv422p10le")]
    {
        let name = format!("{format}.mov");
        let made = stage.make(&broadcast(&name, &format!("-pix_fmt {format}")), "archive-dnxhr", "{}");
        keeps_it_all(&made, &stage, &name);
        let video = &made.streams(0)[0];
        let facts = ["codec_name", "profile", "codec_tag_string", "pix_fmt"].map(|name| says(video, name));
        assert_eq!(facts, ["dnxhd", profile, "AVdh", made_in], "{format}");
        assert_eq!(tags(video), ["bt709", "bt709", "bt709", "tv"], "{format}");
    }
}

#[test]
fn an_interlaced_source_is_archived_deinterlaced_and_that_is_said() {
    let stage = Stage::new();
    let source = "-f lavfi -i testsrc2=size=352x288:rate=50 -t 1 -vf interlace=scan=tff -c:v mpeg2video -q:v 2 -flags +ildct+ilme \
                  a.mpg";
    let made = stage.make(source, "archive-prores", "{}");
    made.is_true();
    assert!(made.changed("deinterlaced"), "{:?}", made.report.changes);
    assert_eq!(says(&made.streams(0)[0], "field_order"), "progressive");
    assert_eq!(made.rendition(0).samples, 25);
}

#[test]
fn a_variable_rate_becomes_a_constant_one() {
    let stage = Stage::new();
    let source = "-f lavfi -i testsrc2=size=160x90:rate=30 -t 3 -vf select='not(eq(mod(n\\,7)\\,3))' -fps_mode vfr \
                  -c:v libx264 -preset ultrafast a.mp4";
    let made = stage.make(source, "archive-prores", "{}");
    made.is_true();
    assert!(made.changed("variable frame rate made a constant"), "{:?}", made.report.changes);
    let packets = judge::ffprobe(&made.file(0), "-show_packets -select_streams v:0");
    let times: Vec<_> = packets["packets"].as_array().expect("packets").iter().map(|p| p["pts"].as_i64()).collect();
    let steps: std::collections::BTreeSet<_> =
        times.windows(2).map(|pair| pair[1].expect("a time") - pair[0].expect("a time")).collect();
    assert_eq!(steps.len(), 1, "all frames last the same: {steps:?}");
}

#[test]
fn a_time_code_that_no_longer_counts_the_frames_is_left_out_and_that_is_said() {
    let stage = Stage::new();
    let source =
        "-f lavfi -i testsrc2=size=160x90:rate=50 -t 1 -c:v libx264 -preset ultrafast -timecode 10:00:00:00 a.mov";
    let made = stage.make(source, "archive-prores", r#"{"video":{"max_frame_rate":25}}"#);
    made.is_true();
    assert!(made.changed("time code 10:00:00:00 left out"), "{:?}", made.report.changes);
    assert!(made.streams(0).iter().all(|s| s["codec_tag_string"] != "tmcd"));
}
