//! Colours: other samplings, depths, ranges, matrices, and high dynamic range.

use std::path::PathBuf;

use crate::{bench::Bench, check::hold, craft, kind::Kind};

/// The scene before it is brought to a high dynamic range, in which its white is as bright as paper (100 cd/m2).
const LIGHT: &str = "scale=out_color_matrix=bt709:out_range=tv,format=yuv444p,\
                     zscale=tin=bt709:min=bt709:pin=bt709:rin=tv:npl=100";
const HDR_TAGS: &str = "-color_primaries bt2020 -colorspace bt2020nc -color_range tv";

/// The words of a source with a high dynamic range.
fn high(transfer: &str, params: &str, more: &str) -> String {
    format!(
        "SCENE@25 SOUND@2 -vf {LIGHT}:t={transfer}:p=bt2020:m=bt2020nc:r=tv,format=yuv420p10le {HDR_TAGS} \
         -color_trc {transfer} -c:v libx265 -preset ultrafast -crf 14 -x265-params log-level=none:{params} -c:a aac -t 2 {more}"
    )
}

/// A clip that says of itself to be Dolby Vision profile 5.
fn dolby_vision(bench: &Bench) -> PathBuf {
    let made = bench.make(&high("smpte2084", "repeat-headers=1", "-tag:v hvc1 a.mp4"));
    bench.changed(&made, craft::dolby_vision_5)
}

#[tokio::test(flavor = "multi_thread")]
async fn colours_stay_what_they_were() {
    let coded = |filter: &str, tags: &str, codec: &str| format!("SCENE@25 SOUND@2 -t 2 -vf {filter} {tags} {codec}");
    let matrix = |name: &str, format: &str| {
        format!("scale=out_color_matrix={name}:out_range=tv:flags=bicubic+accurate_rnd+full_chroma_int,format={format}")
    };
    let h264 = "H264 -c:a aac";
    let sd = "-colorspace smpte170m -color_primaries smpte170m -color_trc smpte170m -color_range tv";
    let pal = "-colorspace bt470bg -color_primaries bt470bg -color_trc bt709 -color_range tv";
    hold(vec![
        Kind::of("4:2:2", &(coded(&matrix("bt709", "yuv422p"), "TAGS", h264) + " a.mp4")),
        Kind::of("4:4:4", &(coded(&matrix("bt709", "yuv444p"), "TAGS", h264) + " a.mp4")),
        Kind::of("10 bits", &(coded(&matrix("bt709", "yuv420p10le"), "TAGS", h264) + " a.mp4")),
        Kind::of("10 bits of 4:2:2", &(coded(&matrix("bt709", "yuv422p10le"), "TAGS", h264) + " a.mp4")),
        Kind::of(
            "full range",
            "SCENE@25 SOUND@2 -vf scale=out_color_matrix=bt709:out_range=pc,format=yuvj420p -colorspace bt709 \
             -color_primaries bt709 -color_trc bt709 -color_range pc H264 -c:a aac -t 2 a.mp4",
        )
        .says("full range made video range"),
        Kind::of("BT.601 of NTSC", &(coded(&matrix("smpte170m", "yuv420p"), sd, h264) + " a.mp4")).colours(
            "smpte170m",
            "smpte170m",
            "smpte170m",
        ),
        Kind::of("BT.601 of PAL", &(coded(&matrix("bt470bg", "yuv420p"), pal, h264) + " a.mp4"))
            .colours("bt470bg", "bt709", "bt470bg"),
        Kind::of("untagged, small", &(coded(&matrix("smpte170m", "yuv420p"), "", h264) + " a.mp4")).colours(
            "smpte170m",
            "smpte170m",
            "smpte170m",
        ),
        Kind::of(
            "untagged, large",
            &(coded(&format!("scale=1280:720,{}", matrix("bt709", "yuv420p")), "", h264) + " a.mp4"),
        ),
        Kind::of("RGB, small", &coded("format=gbrp", "", "-c:v ffv1 -c:a flac a.mkv"))
            .colours("smpte170m", "smpte170m", "smpte170m")
            .says("full range made video range"),
        Kind::of("RGB, large", &coded("scale=1280:720,format=gbrp", "", "-c:v ffv1 -c:a flac a.mkv"))
            .says("full range made video range"),
        Kind::of(
            "RGB in H.264",
            &coded("scale=1280:720,format=gbrp", "", "-c:v libx264rgb -preset ultrafast -c:a aac a.mkv"),
        )
        .says("full range made video range"),
        Kind::of("grey", &coded("hue=s=0,format=gray", "-color_range pc", "-c:v ffv1 -c:a flac a.mkv"))
            .colours("smpte170m", "smpte170m", "smpte170m")
            .says("full range made video range")
            .looks_otherwise(),
        Kind::of("PNG pictures in QuickTime", &coded("format=rgb24", "", "-c:v png -pred none -c:a pcm_s16le a.mov"))
            .colours("smpte170m", "smpte170m", "smpte170m")
            .says("full range made video range"),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_high_dynamic_range_becomes_what_every_screen_shows() {
    let mapped = "tone-mapped from HDR to SDR";
    let display =
        "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400";
    hold(vec![
        Kind::of("HDR10", &high("smpte2084", display, "a.mp4")).says(mapped).looks_otherwise(),
        Kind::of("HDR10 in Matroska", &high("smpte2084", display, "a.mkv")).says(mapped).looks_otherwise(),
        Kind::of("HLG", &high("arib-std-b67", "repeat-headers=1", "a.mp4")).says(mapped).looks_otherwise(),
        Kind::crafted("Dolby Vision profile 5", dolby_vision).refused(
            "it is Dolby Vision profile 5, whose colours only Dolby's own decoders can show\nhint: export it as",
        ),
    ])
    .await;
}
