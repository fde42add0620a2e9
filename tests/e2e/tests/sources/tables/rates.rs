//! Frame rates, even and uneven, slow and fast.

use crate::{check::hold, kind::Kind};

#[tokio::test(flavor = "multi_thread")]
async fn every_even_rate_is_kept_frame_by_frame() {
    let mut kinds = Vec::new();
    for (name, rate, announced, frames) in [
        ("10 frames a second", "10", "10.000", 20),
        ("23.976 frames a second", "24000/1001", "23.976", 48),
        ("24 frames a second", "24", "24.000", 48),
        ("25 frames a second", "25", "25.000", 50),
        ("29.97 frames a second", "30000/1001", "29.970", 60),
        ("30 frames a second", "30", "30.000", 60),
        ("50 frames a second", "50", "50.000", 100),
        ("59.94 frames a second", "60000/1001", "59.940", 120),
        ("60 frames a second", "60", "60.000", 120),
    ] {
        let words = format!("SCENE@{rate} SOUND@2 VIDEO -c:a aac -t 2 a.mp4");
        kinds.push(Kind::of(name, &words).rate(announced).shows(0..frames));
    }
    let words = "-stream_loop 1 SCENE@120 SOUND@2 VIDEO -c:a aac -t 2 a.mp4";
    let fast = Kind::of("120 frames a second", words).rate("60.000").shows((0..240).step_by(2));
    kinds.push(fast.says("frame rate lowered from 120/1 to 60/1"));
    hold(kinds).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uneven_rate_becomes_even_and_each_frame_keeps_its_time() {
    let uneven = "SOUND@2 -fps_mode vfr TAGS H264 -c:a aac -t 2";
    // One second of 60 frames is followed by one of 20.
    let spliced = "-vf select='lt(t,1)+not(mod(n,3))',YUV";
    // A telephone in the dark: every frame a few milliseconds off, some left out.
    let shaken = "-vf select='mod(n*7+3,11)',setpts=PTS+sin(N)*0.004/TB,YUV";
    hold(vec![
        Kind::of("two rates, one after the other", &format!("SCENE@60 {uneven} {spliced} a.mp4"))
            .rate("48.000")
            .shows_near(94..=98, 60.0, 0.055)
            .says("variable frame rate made a constant 48/1"),
        Kind::of("two rates in a container of milliseconds", &format!("SCENE@60 {uneven} {spliced} a.mkv"))
            .rate("60.000")
            .shows_near(117..=121, 60.0, 0.055),
        Kind::of("a rate that trembles", &format!("SCENE@30 {uneven} {shaken} -video_track_timescale 90000 a.mp4"))
            .rate("29.970")
            .shows_near(58..=61, 30.0, 0.06)
            .says("variable frame rate made a constant 30000/1001"),
    ])
    .await;
}
