//! Containers and codecs.

use crate::{check::hold, kind::Kind};

#[tokio::test(flavor = "multi_thread")]
async fn every_container_and_codec_is_read() {
    let of = |codecs: &str| format!("SCENE@25 SOUND@2 -vf YUV TAGS {codecs}");
    let untagged = |kind: Kind| kind.colours("smpte170m", "smpte170m", "smpte170m");
    let sd = |codecs: &str| {
        format!("SCENE@25 SOUND@2 -vf scale=out_color_matrix=smpte170m:out_range=tv,format=yuv420p {codecs}")
    };
    hold(vec![
        Kind::of("HEVC with AC-3 in Matroska", &of("-c:v libx265 -preset ultrafast -crf 14 -x265-params log-level=none -c:a ac3 -t 2 a.mkv")),
        Kind::of("VP9 with Opus in WebM", &of("-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -crf 20 -b:v 0 -c:a libopus -t 2 a.webm")),
        untagged(Kind::of("VP8 with Vorbis in WebM", &sd("-c:v libvpx -deadline realtime -cpu-used 8 -crf 10 -b:v 2M -c:a libvorbis -t 2 a.webm"))),
        Kind::of("AV1 with Opus in MP4", &of("-c:v libsvtav1 -preset 12 -crf 20 -c:a libopus -t 2 a.mp4")),
        Kind::of("MPEG-2 in MXF", &of("MPEG2 -c:a pcm_s16le -t 2 a.mxf")),
        Kind::of("MPEG-2 in a program stream", &of("MPEG2 -c:a mp2 -t 2 a.mpg")),
        untagged(Kind::of("MPEG-4 with PCM in AVI", &sd("-c:v mpeg4 -q:v 2 -c:a pcm_s16le -t 2 a.avi"))),
        Kind::of("H.264 with AAC in FLV", &of("H264 -c:a aac -ar 44100 -t 2 a.flv")),
        Kind::of("ProRes 422 HQ in QuickTime", "SCENE@25 SOUND@2 -vf YUV,format=yuv422p10le TAGS -c:v prores_ks -profile:v 3 -bsf:v prores_metadata=color_primaries=bt709:color_trc=bt709:colorspace=bt709 -c:a pcm_s24le -t 2 a.mov"),
        Kind::of("DNxHR HQ in QuickTime", "SCENE@25 SOUND@2 -vf YUV,format=yuv422p TAGS -c:v dnxhd -profile:v dnxhr_hq -c:a pcm_s16le -t 2 a.mov"),
        Kind::of("Motion JPEG in QuickTime", "SCENE@25 SOUND@2 -vf scale=out_color_matrix=smpte170m:out_range=pc,format=yuvj422p -c:v mjpeg -q:v 2 -c:a pcm_s16le -t 2 a.mov")
            .colours("smpte170m", "smpte170m", "bt470bg")
            .says("full range made video range"),
        untagged(Kind::of("Windows Media", &sd("-c:v wmv2 -q:v 2 -c:a wmav2 -t 2 a.wmv")))
            // The decoder does not know how much silence the encoder put before.
            .heard(0.05, 2.03, 1.05),
        untagged(Kind::of("Theora with Vorbis in Ogg", &sd("-c:v libtheora -q:v 9 -c:a libvorbis -t 2 a.ogv"))),
        Kind::of("fragmented MP4", &of("H264 -c:a aac -movflags frag_keyframe+empty_moov+delay_moov -g 12 -t 2 a.mp4")),
        Kind::of("E-AC-3 in MPEG-TS", &of("H264 -c:a eac3 -t 2 a.ts")),
        Kind::of("a bare H.264 stream", "SCENE@25 VIDEO -t 2 a.h264").silent(),
        untagged(Kind::of("NUT", &sd("-c:v ffv1 -c:a pcm_s16le -t 2 a.nut"))),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_may_start_anywhere() {
    hold(vec![
        Kind::of("MPEG-TS ten hours into the day", "SCENE@25 SOUND@2 VIDEO -c:a aac -output_ts_offset 36000 -t 2 a.ts"),
        Kind::of(
            "MPEG-TS whose clock runs over",
            "SCENE@25 SOUND@2 VIDEO -c:a aac -output_ts_offset 95441.8 -t 2 a.ts",
        ),
        Kind::of(
            "Matroska that starts at ten seconds",
            "SCENE@25 SOUND@2 VIDEO -c:a flac -output_ts_offset 10 -t 2 a.mkv",
        ),
        Kind::crafted("MP4 with a list of edits", |bench| {
            let made = bench.make("SCENE@25 SOUND@3:300 VIDEO -g 50 -bf 0 -c:a aac -t 3 whole.mp4");
            bench.make(&format!("-ss 0.4 -i {} -c copy -t 2 a.mp4", made.display()))
        })
        .shows(10..60)
        .heard(0.0, 2.0, 0.6)
        .says("the source declares # frames and gave #"),
    ])
    .await;
}
