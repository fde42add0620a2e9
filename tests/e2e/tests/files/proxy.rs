//! Proxies: small, quick to seek in, and in step with their source.

use reelmill_e2e::judge;

use crate::stage::{Stage, says};

fn check(size: &str, rate: &str, code: &str, want: (u64, u64)) {
    let stage = Stage::new();
    let source = format!(
        "-f lavfi -i testsrc2=size={size}:rate={rate} -f lavfi -i sine -t 2.6 -c:v libx264 -preset ultrafast -g 600 \
         -pix_fmt yuv420p -c:a aac -timecode {code} a.mov"
    );
    let made = stage.make(&source, "proxy", "{}");
    made.is_true();
    let video = &made.streams(0)[0];
    assert_eq!((video["width"].as_u64(), video["height"].as_u64()), (Some(want.0), Some(want.1)), "{size}");
    assert_eq!((says(video, "r_frame_rate"), says(video, "codec_name")), (rate.to_owned(), "h264".to_owned()));
    assert_eq!(video["tags"]["timecode"], code, "{rate}");
    let found = judge::ffprobe(&made.file(0), "-show_packets -select_streams v:0");
    let packets = found["packets"].as_array().expect("packets");
    let seconds = |p: &serde_json::Value| says(p, "pts_time").parse::<f64>().expect("a time");
    let keys: Vec<f64> = packets.iter().filter(|p| says(p, "flags").starts_with('K')).map(seconds).collect();
    assert!(keys[0].abs() < 1e-6 && keys.len() >= 3, "{rate}: {keys:?}");
    assert!(keys.windows(2).all(|pair| pair[1] - pair[0] < 1.000_001), "{rate}: {keys:?}");
}

#[test]
fn a_proxy_is_at_most_960_wide_with_a_keyframe_each_second_and_the_time_code() {
    check("1280x720", "25/1", "10:00:00:00", (960, 540));
    check("640x360", "30000/1001", "00:59:59;28", (640, 360));
    check("1920x800", "24000/1001", "01:00:00:23", (960, 400));
    check("360x640", "60000/1001", "00:00:59;58", (360, 640));
}
