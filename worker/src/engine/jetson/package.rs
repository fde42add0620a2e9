//! The packager: ffmpeg takes the encoded frames from pipes and copies them; sound, containers and segments are those of
//! every engine.

use reelmill_api::{media::Colour, preset::VideoCodec};

use super::graph::FIRST_DESCRIPTOR;
use crate::{
    engine::{
        ffmpeg::{Pictures, colours, strings},
        software::storyboard,
    },
    plan::{Plan, VideoPlan},
};

/// Input 0 is the source; the rungs' pipes follow.
const FIRST_INPUT: usize = 1;

/// How the packager gets a plan's pictures.
pub(super) fn pictures(plan: &Plan) -> Pictures {
    let videos = plan.videos();
    let inputs = videos.iter().zip(FIRST_DESCRIPTOR..).flat_map(|(video, fd)| input(video, fd));
    // Only what the storyboard is made of is decoded again.
    let (graph, storyboard) = storyboard::alone(plan, |place| format!("[{}:v]", place + FIRST_INPUT));
    Pictures {
        inputs: inputs.collect(),
        graph,
        encoders: videos.iter().zip(FIRST_INPUT..).map(|(video, input)| copied(plan, video, input)).collect(),
        storyboard,
        ..Pictures::default()
    }
}

/// One rung's pipe. IVF has no letters for HEVC that ffmpeg knows, so the codec is named for all.
fn input(video: &VideoPlan, fd: i32) -> Vec<String> {
    let codec = match video.codec {
        VideoCodec::Hevc => "hevc",
        VideoCodec::Av1 => "av1",
        _ => "h264",
    };
    strings(&format!("-protocol_whitelist pipe -f ivf -c:v {codec} -i pipe:{fd}"))
}

/// One rung, copied, with the plan's colours in the container and in the stream, and square pixels: hardware may know of
/// neither.
fn copied(plan: &Plan, video: &VideoPlan, input: usize) -> Vec<String> {
    let mut args = strings(&format!("-map {input}:v -c:v copy"));
    if video.codec == VideoCodec::Hevc {
        args.extend(strings("-tag:v hvc1"));
    }
    args.extend(colours(plan, video));
    args.extend(["-bsf:v".to_owned(), in_stream(plan.colour_of(video), video.codec)]);
    args
}

/// The bitstream filter that writes them into the stream's own headers; AV1 has no pixels but square ones.
fn in_stream(colour: &Colour, codec: VideoCodec) -> String {
    let (filter, names) = match codec {
        VideoCodec::Hevc => ("hevc_metadata=sample_aspect_ratio=1/1", VUI),
        VideoCodec::Av1 => ("av1_metadata=td=pass", OBU),
        _ => ("h264_metadata=sample_aspect_ratio=1/1", VUI),
    };
    let number = |table: &[(&str, u8)], tag: &Option<String>| {
        let tag = tag.as_deref()?;
        table.iter().find(|(name, _)| *name == tag).map(|(_, number)| *number)
    };
    let numbers = [
        number(PRIMARIES, &colour.primaries),
        number(TRANSFERS, &colour.transfer),
        number(MATRICES, &colour.matrix),
        number(RANGES, &colour.range),
    ];
    let given = names.iter().zip(numbers).filter_map(|(name, number)| Some(format!(":{name}={}", number?)));
    given.fold(filter.to_owned(), |all, one| all + &one)
}

const VUI: [&str; 4] = ["colour_primaries", "transfer_characteristics", "matrix_coefficients", "video_full_range_flag"];
const OBU: [&str; 4] = ["color_primaries", "transfer_characteristics", "matrix_coefficients", "color_range"];

/// ITU-T H.273 by ffmpeg's names.
const PRIMARIES: &[(&str, u8)] = &[
    ("bt709", 1),
    ("bt470m", 4),
    ("bt470bg", 5),
    ("smpte170m", 6),
    ("smpte240m", 7),
    ("film", 8),
    ("bt2020", 9),
    ("smpte431", 11),
    ("smpte432", 12),
];
const TRANSFERS: &[(&str, u8)] = &[
    ("bt709", 1),
    ("bt470m", 4),
    ("bt470bg", 5),
    ("smpte170m", 6),
    ("smpte240m", 7),
    ("linear", 8),
    ("iec61966-2-1", 13),
    ("bt2020-10", 14),
    ("bt2020-12", 15),
    ("smpte2084", 16),
    ("arib-std-b67", 18),
];
const MATRICES: &[(&str, u8)] =
    &[("bt709", 1), ("fcc", 4), ("bt470bg", 5), ("smpte170m", 6), ("smpte240m", 7), ("bt2020nc", 9), ("bt2020c", 10)];
const RANGES: &[(&str, u8)] = &[("tv", 0), ("pc", 1)];
