//! The software engine: ffmpeg with x264, x265, SVT-AV1, ProRes and DNxHD. A plan into options, nothing else.

mod cascade;
mod encoders;
mod filters;
pub(super) mod graph;
pub(super) mod storyboard;

pub(super) use encoders::encoder;
pub(super) use graph::pixel_format as format;

use super::ffmpeg::Pictures;
use crate::plan::Plan;

/// How pictures are made on the processor alone.
pub(super) fn pictures(plan: &Plan) -> Pictures {
    let (graph, storyboard) = storyboard::added(plan, graph::pictures(plan), |_| String::new());
    Pictures { graph, encoders: encoders(plan), storyboard, ..Pictures::default() }
}

/// The encoder of each rendition.
pub(super) fn encoders(plan: &Plan) -> Vec<Vec<String>> {
    plan.videos().into_iter().map(|video| encoders::video(plan, video)).collect()
}
