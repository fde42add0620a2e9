//! Ladders of other codecs: one grid, true names, and a high dynamic range with its metadata.

use reelmill_e2e::{
    judge,
    output::{Output, Rendition},
};
use reelmill_lab::media;
use tempfile::TempDir;

use crate::{picture::shows_the_source, transcode};

/// A source of the smallest rung's size, a little longer than a segment, in 10 bit and with these colours.
async fn of_hdr(preset: &str, transfer: &str, metadata: &str) -> Output {
    let folder = TempDir::new().expect("a temporary folder");
    let tags =
        format!("colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc:range=limited:log-level=none{metadata}");
    let words = format!(
        "-f lavfi -i testsrc2=size=640x360:rate=25:duration=4.4 -c:v libx265 -preset ultrafast -pix_fmt yuv420p10le \
         -x265-params {tags} -color_primaries bt2020 -color_trc {transfer} -colorspace bt2020nc -color_range tv a.mp4"
    );
    transcode(&media::make(folder.path(), &words), preset).await
}

const MASTERING: &str =
    ":master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400";

/// What a decoder finds beside the first picture of a rendition's last segment: a player may begin there.
fn metadata(video: &Rendition) -> String {
    let last = video.file.with_file_name(format!("{}.mp4", video.segments.len() - 1));
    judge::ffprobe(&last, "-read_intervals %+#1 -show_frames -show_entries frame=side_data_list").to_string()
}

/// The number that a fraction such as `34000/50000` under this name stands for.
fn value(metadata: &str, name: &str) -> f64 {
    let found = metadata.split(&format!("\"{name}\":\"")).nth(1).unwrap_or_else(|| panic!("no {name} in {metadata}"));
    let (n, d) = found.split('"').next().and_then(|f| f.split_once('/')).expect("a fraction");
    n.parse::<f64>().expect("a number") / d.parse::<f64>().expect("a number")
}

async fn hdr10_stays(preset: &str) {
    let output = of_hdr(preset, "smpte2084", MASTERING).await;
    assert_eq!(output.master.variants[0].0.text("VIDEO-RANGE"), "PQ");
    assert_eq!(output.videos[0].keyframes(), [0.0, 4.0]);
    let metadata = metadata(&output.videos[0]);
    for (name, want) in [("red_x", 0.68), ("green_y", 0.69), ("white_point_x", 0.3127), ("max_luminance", 1000.0)] {
        let found = value(&metadata, name);
        assert!((found / want - 1.0).abs() < 0.001, "{name} is {found}, not {want}");
    }
    assert!(metadata.contains("\"max_content\":1000") && metadata.contains("\"max_average\":400"), "{metadata}");
    assert!(output.report.changes.contains(&"kept HDR (smpte2084)".to_owned()), "{:?}", output.report.changes);
}

#[tokio::test(flavor = "multi_thread")]
async fn hevc_keeps_hdr10_with_its_metadata() {
    hdr10_stays("hls-ladder-hevc").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn av1_keeps_hdr10_with_its_metadata() {
    hdr10_stays("hls-ladder-av1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hevc_and_av1_keep_hybrid_log_gamma() {
    for preset in ["hls-ladder-hevc", "hls-ladder-av1"] {
        let output = of_hdr(preset, "arib-std-b67", "").await;
        assert_eq!(output.master.variants[0].0.text("VIDEO-RANGE"), "HLG", "{preset}");
    }
}

/// Four and a half seconds of moving picture, with sound.
async fn of_standard(preset: &str, codec: &str) {
    let folder = TempDir::new().expect("a temporary folder");
    let words = "-f lavfi -i testsrc2=size=640x360:rate=30000/1001:duration=4.5 -f lavfi -i sine=duration=4.5 -c:v libx264 \
                 -preset ultrafast -pix_fmt yuv420p -c:a aac a.mp4";
    let source = media::make(folder.path(), words);
    let output = transcode(&source, preset).await;
    let video = &output.videos[0];
    assert_eq!(video.track.says("codec_name"), codec);
    assert_eq!(video.keyframes(), [0.0, 4.004]);
    shows_the_source(video, &source);
}

#[tokio::test(flavor = "multi_thread")]
async fn hevc_lies_on_the_grid() {
    of_standard("hls-ladder-hevc", "hevc").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn av1_lies_on_the_grid() {
    of_standard("hls-ladder-av1", "av1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hevc_rungs_lie_above_those_of_h264_on_one_grid() {
    let folder = TempDir::new().expect("a temporary folder");
    let words =
        "-f lavfi -i testsrc2=size=2560x1440:rate=10:duration=1 -c:v libx264 -preset ultrafast -pix_fmt yuv420p a.mp4";
    let output = transcode(&media::make(folder.path(), words), "hls-ladder-4k").await;
    let codecs: Vec<_> = output.videos.iter().map(|v| (v.name.as_str(), v.track.says("codec_name"))).collect();
    let want = [("1440p", "hevc"), ("1080p", "h264"), ("720p", "h264"), ("480p", "h264"), ("360p", "h264")];
    assert_eq!(codecs, want.map(|(name, codec)| (name, codec.to_owned())));
    let sets: Vec<_> = output.manifest.sets.iter().map(|set| set.representations.len()).collect();
    assert_eq!(sets, [1, 4], "a set for each codec");
}

#[tokio::test(flavor = "multi_thread")]
async fn surround_lies_beside_stereo() {
    let folder = TempDir::new().expect("a temporary folder");
    let words = "-f lavfi -i testsrc2=size=320x180:rate=25:duration=2 -f lavfi -i sine=duration=2 -f lavfi -i \
                 sine=frequency=900:duration=2 -map 0 -map 1 -map 2 -c:v libx264 -preset superfast -pix_fmt yuv420p -c:a aac \
                 -ac:a:0 6 -metadata:s:a:0 language=fre -metadata:s:a:1 language=fra a.mkv";
    let output = transcode(&media::make(folder.path(), words), "hls-ladder").await;
    let lines: Vec<_> =
        output.master.media.iter().map(|l| ["GROUP-ID", "NAME", "CHANNELS"].map(|n| l.text(n).to_owned())).collect();
    let want = [
        ["audio", "French", "2"],
        ["audio", "French 2", "1"],
        ["surround", "French", "6"],
        ["surround", "French 2", "1"],
    ];
    assert_eq!(lines, want.map(|line| line.map(str::to_owned)));
    assert_eq!(output.sounds.len(), 3);
}
