//! Plans in, whole orders and command lines out; and what each end of the child means.

use reelmill_api::{
    ErrorKind, Failure, Preset,
    media::{Fields, MediaFacts, Rotation},
};
use reelmill_gst::{
    graph::{Family, order},
    order::Wish,
};

use super::{Jetson, gave_up, graph, package};
use crate::{
    engine::{ffmpeg, tests::check_text},
    plan::{
        Plan, plan,
        tests::{hls_ladder, source, video},
    },
};

fn jetson(family: Family) -> Jetson {
    Jetson { program: "reelmill-gst".into(), plugin_folders: vec!["/plugins".into()], family, preset: 5 }
}

/// The order for GStreamer and the packager's command line, one element or option a line.
///
/// # Errors
/// Why the plan is not for this engine.
pub(in crate::engine) fn written(plan: &Plan, family: Family) -> Result<String, Failure> {
    let order = order(&graph::graph(plan, &jetson(family), "http://127.0.0.1:1/in")?).expect("an order");
    let addresses = ffmpeg::Addresses {
        source: "http://127.0.0.1:1/in",
        extras: &[],
        output: &|rendition| format!("http://127.0.0.1:1/out/{rendition}"),
    };
    let packaging = ffmpeg::command(plan, package::pictures(plan), &addresses);
    let pipeline = order.pipeline.replace('\n', "\n\n").replace(" ! ", "\n! ");
    let wish = |wish: &Wish| format!("{}.{}={} (where there)\n", wish.element, wish.property, wish.value);
    Ok(format!(
        "first picture at {} us, {}/{} fps\n\n{pipeline}\n\n{}\n{}\n",
        order.first_picture_micros,
        order.frame_rate.numerator,
        order.frame_rate.denominator,
        order.wishes.iter().map(wish).collect::<String>(),
        packaging.join(" ").replace(" -", "\n-")
    ))
}

fn check(preset: &Preset, media: &MediaFacts, family: Family, name: &str) {
    let plan = plan(preset, media).expect("a plan");
    check_text(&written(&plan, family).expect("a graph"), name);
}

#[test]
fn a_small_source_with_sound() {
    check(&hls_ladder(), &source(640, 360, "30000/1001"), Family::L4t, "jetson-small.txt");
    check(&hls_ladder(), &source(640, 360, "30000/1001"), Family::Software, "jetson-small-software.txt");
}

#[test]
fn a_turned_interlaced_source_that_starts_late() {
    let mut media = source(720, 576, "25/1");
    let picture = video(&mut media);
    picture.rotation = Rotation::Ccw90;
    picture.fields = Fields::Interlaced;
    picture.starts_at_seconds = 0.52;
    check(&hls_ladder(), &media, Family::L4t, "jetson-repaired.txt");
}

#[test]
fn what_no_element_does_is_told() {
    let mut media = source(720, 480, "30000/1001");
    video(&mut media).fields = Fields::Telecined;
    let plan = plan(&hls_ladder(), &media).expect("a plan");
    let refused = graph::graph(&plan, &jetson(Family::L4t), "http://127.0.0.1:1/in").expect_err("it is refused");
    assert_eq!(refused.kind, ErrorKind::NoCapability);
    assert_eq!(refused.message, "the jetson engine does not undo telecine");
}

#[test]
fn each_end_of_the_child_is_a_kind_of_failure() {
    let kind = |code| gave_up(code, &["error: it said so".to_owned()]).kind;
    assert_eq!(kind(Some(10)), ErrorKind::BadSource);
    assert_eq!(kind(Some(11)), ErrorKind::Busy);
    assert_eq!(kind(Some(12)), ErrorKind::NoCapability);
    for code in [Some(14), Some(70), Some(101), None] {
        assert_eq!(kind(code), ErrorKind::Infrastructure, "{code:?}");
    }
    let failure = gave_up(Some(10), &["error: no picture came out".to_owned()]);
    assert_eq!(failure.message, "GStreamer gave up on it: no picture came out");
}
