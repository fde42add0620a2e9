//! The other products: masters, proxies, clips for feeds, and ladders that keep a high dynamic range or all channels.

use super::shapes::turned;
use crate::{
    check::hold,
    files::{File, Files},
    kind::{Kind, Sound},
};

fn sound(channels: u32) -> Sound {
    Sound { channels, ..Sound::default() }
}

fn file(name: &'static str, says: &[(&'static str, &'static str)]) -> File {
    File { name, says: says.to_vec(), scene: "", keyframe_every: 1, index_first: false, timecode: None }
}

const TIMECODE: &str = "01:00:00:00";
const BT709: [(&str, &str); 3] = [("color_space", "bt709"), ("color_transfer", "bt709"), ("color_primaries", "bt709")];

#[tokio::test(flavor = "multi_thread")]
async fn masters_keep_what_a_source_has() {
    let pcm = &[("codec_name", "pcm_s24le"), ("sample_rate", "48000")];
    let prores = [("codec_name", "prores"), ("profile", "HQ"), ("pix_fmt", "yuv422p10le"), ("width", "320")];
    let dnxhr = [("codec_name", "dnxhd"), ("profile", "DNXHR HQ"), ("pix_fmt", "yuv422p"), ("width", "320")];
    let deep = [("codec_name", "dnxhd"), ("profile", "DNXHR HQX"), ("pix_fmt", "yuv422p10le"), ("width", "320")];
    let files = |file: File| Files {
        files: vec![file],
        shows: (0..50).collect(),
        sounds: vec![sound(2)],
        sound_says: pcm,
        says: Vec::new(),
    };
    let tagged = |says: &[(&'static str, &'static str)]| [says, &BT709].concat();
    let source = "SCENE@25 SOUND@2 VIDEO -timecode 01:00:00:00 -c:a pcm_s16le -t 2 a.mov";
    let ten = "SCENE@25 SOUND@2 -vf YUV,format=yuv420p10le TAGS H264 -c:a aac -t 2 a.mp4";
    let surround = "SCENE@25 SOUND@2 VIDEO -af pan=5.1|FL=c0|FR=c1 -c:a pcm_s16le -t 2 a.mov";
    hold(vec![
        Kind::of("a master in ProRes", source)
            .by("archive-prores")
            .becomes(files(File { timecode: Some(TIMECODE), ..file("archive-prores.mov", &tagged(&prores)) })),
        Kind::of("a master in DNxHR", source)
            .by("archive-dnxhr")
            .becomes(files(File { timecode: Some(TIMECODE), ..file("archive-dnxhr.mov", &dnxhr) })),
        Kind::of("a master in DNxHR of a deep source", ten)
            .by("archive-dnxhr")
            .becomes(files(file("archive-dnxhr.mov", &deep))),
        Kind::of("a master with all channels", surround).by("archive-prores").becomes(Files {
            sounds: vec![Sound { louder: -7.66, ..sound(6) }],
            ..files(file("archive-prores.mov", &tagged(&prores)))
        }),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_are_small_and_have_many_keyframes() {
    let says = [("codec_name", "h264"), ("width", "320"), ("height", "180"), ("pix_fmt", "yuv420p")];
    let files = |timecode| Files {
        files: vec![File { keyframe_every: 25, timecode, ..file("proxy.mov", &[&says[..], &BT709].concat()) }],
        shows: (0..50).collect(),
        sounds: vec![sound(2)],
        sound_says: &[("codec_name", "aac"), ("sample_rate", "48000")],
        says: Vec::new(),
    };
    let fields =
        "SCENE@50 SOUND@2 -vf interlace=scan=tff,YUV TAGS MPEG2 -flags +ilme+ildct -top 1 -c:a pcm_s16le -t 2 a.mxf";
    hold(vec![
        Kind::of("a proxy", "SCENE@25 SOUND@2 VIDEO -timecode 01:00:00:00 -c:a pcm_s16le -t 2 a.mov")
            .by("proxy")
            .becomes(files(Some(TIMECODE))),
        Kind::crafted("a proxy of a turned clip", |bench| turned(bench, 1))
            .by("proxy")
            .becomes(Files { says: vec!["rotated 90".to_owned()], ..files(None) }),
        Kind::of("a proxy of fields", fields).by("proxy").becomes(Files {
            shows: (0..100).step_by(2).collect(),
            says: vec!["deinterlaced".to_owned()],
            ..files(Some("00:00:00:00"))
        }),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clips_for_feeds_show_the_whole_picture_in_the_middle() {
    let says =
        |codec, height| vec![("codec_name", codec), ("width", "1080"), ("height", height), ("pix_fmt", "yuv420p")];
    let clip = |name, codec, height, scene| File {
        says: [says(codec, height), BT709.to_vec()].concat(),
        scene,
        keyframe_every: 300,
        index_first: true,
        ..file(name, &[])
    };
    let files = |files| Files {
        files,
        shows: (0..25).collect(),
        // From -26.7 LUFS (two channels at -29 dB) to -14.
        sounds: vec![Sound { heard: (0.0, 1.0, f64::NAN), louder: 12.7, ..sound(2) }],
        sound_says: &[("codec_name", "aac")],
        says: vec!["audio: loudness brought to -#.# LUFS".to_owned()],
    };
    let (tall, square) = ("crop=1080:606:0:657,", "crop=1080:606:0:237,");
    let source = "SCENE@25 SOUND@1 VIDEO -c:a aac -t 1 a.mp4";
    hold(vec![
        Kind::of("a vertical clip", source).by("social-vertical").becomes(files(vec![
            clip("social-vertical.mp4", "h264", "1920", tall),
            clip("social-vertical-av1.mp4", "av1", "1920", tall),
        ])),
        Kind::of("a square clip", source).by("social-square").becomes(files(vec![
            clip("social-square.mp4", "h264", "1080", square),
            clip("social-square-av1.mp4", "av1", "1080", square),
        ])),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ladders_for_screens_that_can_keep_a_high_dynamic_range_and_all_channels() {
    let dropped = |mut kind: Kind, rungs: &[&str]| {
        for rung in rungs {
            kind = kind.says(&format!("dropped rung {rung}: above the source"));
        }
        kind
    };
    let light = "scale=out_color_matrix=bt709:out_range=tv,format=yuv444p,\
                 zscale=tin=bt709:min=bt709:pin=bt709:rin=tv:npl=100:t=smpte2084:p=bt2020:m=bt2020nc:r=tv";
    let words = format!(
        "SCENE@25 SOUND@2 -vf {light},format=yuv420p10le -color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc \
         -color_range tv -c:v libx265 -preset ultrafast -crf 14 -x265-params log-level=none:master-display=\
         G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400 -c:a aac -t 2 a.mp4"
    );
    let high = |name, preset| {
        let kind = Kind::of(name, &words).by(preset).colours("bt2020", "smpte2084", "bt2020nc").looks_otherwise();
        dropped(kind, &["1080p", "720p", "480p"]).says("kept HDR (smpte#)")
    };
    let surround = "SCENE@25 SOUND@2 VIDEO -af pan=5.1|FL=c0|FR=c1 -c:a aac -t 2 a.mov";
    hold(vec![
        high("HDR10 kept in HEVC", "hls-ladder-hevc"),
        high("HDR10 kept in AV1", "hls-ladder-av1"),
        dropped(Kind::of("surround beside stereo", surround).by("hls-ladder"), &["1080p", "720p", "480p"])
            .sounds([sound(2), Sound { louder: -7.66, ..sound(6) }]),
    ])
    .await;
}
