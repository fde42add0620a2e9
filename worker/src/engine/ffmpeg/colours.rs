//! Colour tags of a rendition, by ffmpeg's options and by its filters.

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

/// The filter that tags frames so. Since ffmpeg 7 an encoder takes the tags of its frames, whatever its options say: with
/// 8.0 and no filter, a source without tags became a rendition without primaries and transfer. The filter looks at no
/// sample and takes every pixel format (libavfilter/vf_setparams.c), so frames may lie in a GPU's memory.
pub(in crate::engine) fn tagging(plan: &Plan, video: &VideoPlan) -> String {
    let colour = plan.colour_of(video);
    let tags = [
        ("color_primaries", &colour.primaries),
        ("color_trc", &colour.transfer),
        ("colorspace", &colour.matrix),
        ("range", &colour.range),
    ];
    let given: Vec<_> = tags.into_iter().filter_map(|(name, tag)| Some(format!("{name}={}", tag.as_ref()?))).collect();
    if given.is_empty() { "null".to_owned() } else { format!("setparams={}", given.join(":")) }
}
