//! Graphs in, whole pipelines out.

use std::{fmt::Write as _, num::NonZeroU32, path::Path};

use super::*;
use crate::order::FrameRate;

fn graph(family: Family) -> Graph {
    let number = |n| NonZeroU32::new(n).expect("not zero");
    Graph {
        family,
        plugin_folders: vec!["/plugins".into()],
        input: input("h264", "yuv420p"),
        first_picture_micros: 0,
        deinterlace: false,
        turn: Turn::None,
        frame_rate: FrameRate { numerator: number(30_000), denominator: number(1001) },
        rungs: vec![rung(Codec::H264, 8, 1920, 1080, 3), rung(Codec::H264, 8, 640, 360, 4)],
    }
}

fn input(codec: &str, pixel_format: &str) -> Input {
    let source = Source { codec: codec.to_owned(), pixel_format: pixel_format.to_owned() };
    Input::Http { url: "http://127.0.0.1:1/in/source".to_owned(), source }
}

fn rung(codec: Codec, depth: u8, width: u16, height: u16, fd: i32) -> RungWish {
    let peak_bps = u32::from(width) * u32::from(height) * 3;
    RungWish { codec, depth, width, height, gop: 120, bitrate_bps: peak_bps / 3 * 2, peak_bps, crf: 23, preset: 6, fd }
}

/// One element a line reads better than one line of all.
fn written(graph: &Graph) -> String {
    let order = order(graph).expect("an order");
    let mut text = order.pipeline.replace('\n', "\n\n").replace(" ! ", "\n! ") + "\n\n";
    for wish in &order.wishes {
        writeln!(text, "{}.{}={} (where there)", wish.element, wish.property, wish.value).expect("into a string");
    }
    text
}

fn check(graph: &Graph, name: &str) {
    let got = written(graph);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pipelines").join(name);
    if std::env::var_os("REELMILL_BLESS").is_some() {
        std::fs::write(&path, &got).expect("the snapshot can be written");
        return;
    }
    let want = std::fs::read_to_string(&path).expect("the snapshot exists");
    assert_eq!(got, want, "{} (REELMILL_BLESS=1 writes it anew)", path.display());
}

#[test]
fn a_ladder_of_h264() {
    check(&graph(Family::Software), "ladder-software.txt");
    check(&graph(Family::L4t), "ladder-l4t.txt");
}

#[test]
fn h265_in_8_and_10_bit_and_av1() {
    for (family, name) in [(Family::Software, "codecs-software.txt"), (Family::L4t, "codecs-l4t.txt")] {
        let mut graph = graph(family);
        graph.input = input("hevc", "yuv420p10le");
        graph.rungs = vec![
            rung(Codec::H265, 10, 3840, 2160, 3),
            rung(Codec::H265, 8, 1280, 720, 4),
            rung(Codec::Av1, 8, 1280, 720, 5),
        ];
        check(&graph, name);
    }
}

#[test]
fn a_turned_interlaced_source() {
    for (family, name) in [(Family::Software, "repaired-software.txt"), (Family::L4t, "repaired-l4t.txt")] {
        let mut graph = graph(family);
        graph.deinterlace = true;
        graph.turn = Turn::Ccw90;
        graph.input = input("mpeg2video", "yuv420p");
        check(&graph, name);
    }
}

#[test]
fn what_the_hardware_does_not_decode_is_decoded_by_the_processor() {
    let mut graph = graph(Family::L4t);
    graph.input = input("h264", "yuv422p10le");
    check(&graph, "uploaded-l4t.txt");
}

#[test]
fn what_no_element_does_is_refused() {
    let mut odd = graph(Family::L4t);
    odd.input = input("cinepak", "yuv420p");
    let refused = order(&odd).expect_err("no such decoder");
    assert_eq!(refused.to_string(), "no GStreamer element of ours decodes cinepak in yuv420p");
    let mut deep = graph(Family::L4t);
    deep.rungs[0].depth = 10;
    let refused = order(&deep).expect_err("no H.264 in 10 bit");
    assert_eq!(refused.to_string(), "no GStreamer element of ours encodes H264 in 10 bit");
}

#[test]
fn an_address_cannot_end_its_quotes() {
    let mut graph = graph(Family::Software);
    let Input::Http { url, .. } = &mut graph.input else { unreachable!("it is read over HTTP") };
    *url = "http://127.0.0.1:1/\" ! filesink location=\"/etc/x".to_owned();
    let text = order(&graph).expect("an order").pipeline;
    assert!(text.contains("location=\"http://127.0.0.1:1/ ! filesink location=/etc/x\" timeout"), "{text}");
}

#[test]
fn every_preset_has_a_speed() {
    for preset in [0, 1, 7, 255] {
        let mut graph = graph(Family::Software);
        graph.rungs[0].preset = preset;
        let text = order(&graph).expect("an order").pipeline;
        let want = if preset < 7 { "speed-preset=ultrafast" } else { "speed-preset=slow" };
        assert!(text.contains(want), "{text}");
    }
}

#[test]
fn pictures_made_on_the_spot() {
    for (family, name) in [(Family::Software, "made-software.txt"), (Family::L4t, "made-l4t.txt")] {
        let mut graph = graph(family);
        graph.input = Input::Test { pictures: 8 };
        check(&graph, name);
    }
}
