//! Sources that are not even: uneven rates, late starts, turns, fields; from many containers.

use reelmill_gst::graph::Turn;

use crate::stage::{folder, graph, input, rate, run, serve, source};

const PICTURE: &str = "-f lavfi -i testsrc2=size=160x90:rate=30000/1001:duration=2 -pix_fmt yuv420p";

#[test]
fn every_container_gives_every_frame() {
    for name in ["a.mp4", "a.mkv", "a.ts", "a.mov", "a.flv", "a.avi"] {
        // Sound beside it, so that the right track must be taken.
        let with_sound = format!("{PICTURE} -f lavfi -i sine=duration=2 -map 1 -map 0 -c:v libx264 -g 15");
        let clip =
            source(name, &with_sound.replace("-pix_fmt yuv420p -f", "-f").replace("-g 15", "-g 15 -pix_fmt yuv420p"));
        let ran = run(&graph(serve(&clip)));
        assert_eq!(ran.code, Some(0), "{name}: {}", ran.complaint);
        assert_eq!(ran.rungs[0].places(), (0..60).collect::<Vec<_>>(), "{name}");
    }
}

#[test]
fn a_late_start_is_filled_with_the_first_picture() {
    let clip = source("late.mkv", "-f lavfi -i testsrc2=size=160x90:rate=25:duration=2 -pix_fmt yuv420p");
    let mut graph = graph(serve(&clip));
    graph.frame_rate = rate(25, 1);
    graph.first_picture_micros = 400_000;
    let ran = run(&graph);
    assert_eq!(ran.code, Some(0), "{}", ran.complaint);
    assert_eq!(ran.rungs[0].places(), (0..60).collect::<Vec<_>>());
    let luma = ran.rungs[0].luma("h264", 160, 90);
    let far = |a: &[u8], b: &[u8]| a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b))).sum::<u32>();
    let (held, moving) = (far(&luma[0], &luma[10]), far(&luma[10], &luma[20]));
    assert!(held * 4 < moving, "the first eleven are one picture: {held} of {moving}");
}

#[test]
fn an_uneven_rate_is_made_even() {
    // Every third picture is left out, at its own time.
    let uneven =
        "-f lavfi -i testsrc2=size=160x90:rate=30:duration=3 -vf select=mod(n\\,3) -fps_mode vfr -pix_fmt yuv420p";
    let clip = source("uneven.mp4", uneven);
    let mut graph = graph(serve(&clip));
    graph.frame_rate = rate(30, 1);
    let ran = run(&graph);
    assert_eq!(ran.code, Some(0), "{}", ran.complaint);
    let places = ran.rungs[0].places();
    assert_eq!(places, (0..places.len() as u64).collect::<Vec<_>>());
    assert!((88..=90).contains(&places.len()), "{} frames of 3 s from the first picture on", places.len());
}

#[test]
fn a_lower_rate_takes_every_second_picture() {
    let clip = source("fast.mp4", "-f lavfi -i testsrc2=size=160x90:rate=60:duration=2 -pix_fmt yuv420p");
    let mut graph = graph(serve(&clip));
    graph.frame_rate = rate(30, 1);
    let ran = run(&graph);
    assert_eq!(ran.rungs[0].places(), (0..60).collect::<Vec<_>>());
}

#[test]
fn turns_make_the_picture_upright() {
    // White above, black below: after a quarter clockwise white is on the right.
    let halves = "-f lavfi -i color=black:size=160x90:rate=25:duration=0.4 -vf drawbox=w=iw:h=ih/2:color=white:t=fill \
                  -pix_fmt yuv420p";
    let clip = source("halves.mp4", halves);
    for (turn, white) in
        [(Turn::None, (20, 20)), (Turn::Cw90, (70, 80)), (Turn::Half, (80, 70)), (Turn::Ccw90, (20, 80))]
    {
        let mut graph = graph(serve(&clip));
        graph.frame_rate = rate(25, 1);
        graph.turn = turn;
        let is_turned = matches!(turn, Turn::Cw90 | Turn::Ccw90);
        let (width, height) = if is_turned { (90, 160) } else { (160, 90) };
        (graph.rungs[0].width, graph.rungs[0].height) = (width, height);
        let ran = run(&graph);
        assert_eq!(ran.code, Some(0), "{turn:?}: {}", ran.complaint);
        let luma = &ran.rungs[0].luma("h264", width.into(), height.into())[0];
        let (width, height) = (usize::from(width), usize::from(height));
        let (x, y) = white;
        let (bright, dark) = (luma[y * width + x], luma[(height - 1 - y) * width + (width - 1 - x)]);
        assert!(bright > 200 && dark < 50, "{turn:?}: {bright} and {dark}");
    }
}

#[test]
fn two_fields_become_one_frame() {
    let fields = "-f lavfi -i testsrc2=size=160x96:rate=50:duration=2 -vf interlace,format=yuv420p -flags +ildct+ilme \
                  -c:v mpeg2video -b:v 2M";
    let clip = source("fields.ts", fields);
    let mut graph = graph(serve(&clip));
    graph.frame_rate = rate(25, 1);
    graph.deinterlace = true;
    graph.input = input(serve(&clip), "mpeg2video", "yuv420p");
    let ran = run(&graph);
    assert_eq!(ran.code, Some(0), "{}", ran.complaint);
    assert_eq!(ran.rungs[0].places(), (0..50).collect::<Vec<_>>());
}

#[test]
fn ten_bit_sources_are_decoded() {
    let clip = source("ten.mkv", &PICTURE.replace("yuv420p", "yuv420p10le -c:v libx265 -x265-params log-level=none"));
    let mut graph = graph(serve(&clip));
    graph.input = input(serve(&clip), "hevc", "yuv420p10le");
    let ran = run(&graph);
    assert_eq!(ran.code, Some(0), "{}", ran.complaint);
    assert_eq!(ran.rungs[0].places(), (0..60).collect::<Vec<_>>());
}

#[test]
fn damage_in_the_middle_is_told_and_survived() {
    let clip = source("whole.mp4", &(PICTURE.replace("duration=2", "duration=6") + " -c:v libx264 -g 15"));
    let whole = run(&graph(serve(&clip)));
    assert_eq!(whole.complaint, "", "a source that is well has nothing to tell");
    let mut bytes = std::fs::read(&clip).expect("it was made");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 6000].iter_mut().for_each(|byte| *byte ^= 0x55);
    let torn = folder().join("torn.mp4");
    std::fs::write(&torn, bytes).expect("it can be written");
    let ran = run(&graph(serve(&torn)));
    assert_eq!(ran.code, Some(0), "{}", ran.complaint);
    let told = ["corrupt decoded frame", "Decoding error: "].iter().any(|words| ran.complaint.contains(words));
    assert!(told, "{}", ran.complaint);
    assert_eq!(ran.rungs[0].places(), (0..180).collect::<Vec<_>>(), "every place is filled");
}
