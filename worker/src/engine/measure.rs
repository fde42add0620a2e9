//! The command that compares a stored segment with what its encoder was given, by libvmaf: the source is decoded again
//! around the segment and goes through the rendition's own filters.

use std::ops::Range;

use super::{
    ffmpeg::{extra_inputs, strings},
    software::graph,
    source_options,
};
use crate::plan::{Plan, VideoPlan};

/// Seconds of the source before a segment that are decoded too, so that filters have their context.
const BEFORE: f64 = 3.0;
/// The same where a seek goes to a time and not to the keyframe before it: as long as encoders' longest distance from one
/// to the next by default, which is 250 frames, and a little more.
const BEFORE_BLINDLY: f64 = 12.0;

/// What ffmpeg says if it was built without libvmaf.
pub const MISSING: &str = "No such filter: 'libvmaf'";

/// A segment of a rendition, and where it comes from.
pub struct Comparison<'a> {
    /// The rendition.
    pub video: &'a VideoPlan,
    /// Which frames of the grid the segment holds.
    pub frames: Range<u64>,
    /// The source's address.
    pub source: &'a str,
    /// Addresses of pictures that filters need.
    pub extras: &'a [String],
    /// The segment's address.
    pub segment: &'a str,
}

/// ffmpeg's arguments; it tells the score on its error output.
pub fn arguments(plan: &Plan, of: &Comparison<'_>) -> Vec<String> {
    // Times stay the source's own, so that the grid counts its frames as it did in the run.
    let mut args = strings("-nostdin -hide_banner -loglevel info -nostats -copyts -start_at_zero");
    args.extend(source_options());
    args.push("-ss".to_owned());
    let before = if plan.ragged_ends { BEFORE_BLINDLY } else { BEFORE };
    args.push(format!("{:.3}", (plan.grid.seconds(of.frames.start) - before).max(0.0)));
    args.extend(["-noautorotate", "-i", of.source].map(str::to_owned));
    args.extend(extra_inputs(of.extras));
    args.extend(strings("-protocol_whitelist http,tcp -format_whitelist mov -seekable 0 -ignore_editlist 1 -i"));
    args.push(of.segment.to_owned());
    args.push("-filter_complex".to_owned());
    args.push(format!(
        "{};[{}:v:0]setpts=N/({})/TB,format={}[made];[made][reference]libvmaf[out]",
        graph::reference(plan, of.video, &of.frames),
        of.extras.len() + 1,
        plan.grid.frame_rate,
        graph::pixel_format(of.video),
    ));
    args.extend(strings("-map [out] -fps_mode passthrough -f null -"));
    args
}

/// The score in what ffmpeg said; there is none where no picture of the source met one of the segment.
pub fn score(said: &[String]) -> Option<f64> {
    let mut scores = said.iter().filter_map(|line| line.split_once("VMAF score: ")?.1.trim().parse().ok());
    scores.rfind(|score: &f64| score.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{
        plan,
        tests::{hls_ladder, source},
    };

    #[test]
    fn the_source_goes_through_the_renditions_own_filters() {
        let plan = plan(&hls_ladder(), &source(1920, 1080, "30000/1001")).expect("a plan");
        let extras = ["http://gateway/extra/0".to_owned()];
        let of = Comparison {
            video: plan.videos()[2],
            frames: 480..600,
            source: "http://gateway/in",
            extras: &extras,
            segment: "http://gateway/check/480p/4",
        };
        let words = arguments(&plan, &of).join(" ");
        assert_eq!(words, include_str!("measure/segment.txt").trim().replace('\n', " "));
    }

    #[test]
    fn a_score_is_read_where_there_is_one() {
        let said = |lines: &[&str]| lines.iter().map(|&l| l.to_owned()).collect::<Vec<_>>();
        assert_eq!(score(&said(&["[Parsed_libvmaf_7 @ 0x7f37] VMAF score: 91.436282", "done"])), Some(91.436282));
        assert_eq!(score(&said(&["[Parsed_libvmaf_7 @ 0x7f37] VMAF score: nan"])), None);
        assert_eq!(score(&said(&["nothing"])), None);
    }
}
