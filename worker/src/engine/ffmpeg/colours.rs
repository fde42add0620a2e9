//! Colour tags of a rendition, by ffmpeg's options.

use crate::plan::{Plan, VideoPlan};

/// The tags that `video` is given; an encoder writes them into its stream and the container.
pub(in crate::engine) fn colours(plan: &Plan, video: &VideoPlan) -> Vec<String> {
    let colour = plan.colour_of(video);
    let tags = [
        ("-color_primaries", &colour.primaries),
        ("-color_trc", &colour.transfer),
        ("-colorspace", &colour.matrix),
        ("-color_range", &colour.range),
    ];
    let given = tags.into_iter().filter_map(|(option, tag)| Some([option.to_owned(), tag.clone()?]));
    given.flatten().collect()
}
