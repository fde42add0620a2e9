//! The child, run as a worker runs it: frames on their places, and an end that says whose fault it is.

mod endings;
mod sources;
mod stage;

use reelmill_gst::{Codec, graph::Input};
use stage::{graph, run, rung, serve, source};

#[test]
fn every_rung_has_the_same_frames_and_keyframes_on_the_grid() {
    let clip = source("clip.mp4", "-f lavfi -i testsrc2=size=320x180:rate=30000/1001:duration=4 -pix_fmt yuv420p");
    let mut graph = graph(serve(&clip));
    let rungs = [(320, 180, 3), (240, 136, 4), (160, 90, 5), (80, 46, 6)];
    graph.rungs = rungs.map(|(width, height, fd)| rung(Codec::H264, width, height, fd)).into();
    let ran = run(&graph);
    assert_eq!(ran.code, Some(0), "{}", ran.complaint);
    let places: Vec<u64> = (0..120).collect();
    for (n, stream) in ran.rungs.iter().enumerate() {
        assert_eq!(stream.places(), places, "rung {n}");
        assert_eq!(stream.h264_keyframes(), [0, 30, 60, 90], "rung {n}");
        assert_eq!(stream.header[8..12], *b"H264", "rung {n}");
    }
    assert!(ran.said.contains("frame=120\n"), "{}", ran.said);
    assert!(ran.said.ends_with("out_time_us=4004000\nprogress=end\n"), "{}", ran.said);
}

#[test]
fn h265_and_av1_come_out_in_whole_pictures() {
    let clip = source("codecs.mp4", "-f lavfi -i testsrc2=size=320x180:rate=25:duration=2 -pix_fmt yuv420p");
    for (codec, decoder) in [(Codec::H265, "hevc"), (Codec::Av1, "libdav1d")] {
        let mut graph = graph(serve(&clip));
        graph.frame_rate = stage::rate(25, 1);
        graph.rungs = vec![rung(codec, 160, 90, 3)];
        let ran = run(&graph);
        assert_eq!(ran.code, Some(0), "{}", ran.complaint);
        assert_eq!(ran.rungs[0].places(), (0..50).collect::<Vec<_>>(), "{codec:?}");
        assert_eq!(ran.rungs[0].luma(decoder, 160, 90).len(), 50, "{codec:?}");
    }
}

#[test]
fn pictures_made_on_the_spot_prove_an_encoder() {
    let mut graph = graph(String::new());
    graph.input = Input::Test { pictures: 8 };
    let ran = run(&graph);
    assert_eq!(ran.code, Some(0), "{}", ran.complaint);
    assert_eq!(ran.rungs[0].places(), (0..8).collect::<Vec<_>>());
}
