//! The software engine: ffmpeg with x264, x265, SVT-AV1, ProRes, DNxHD and its own AAC encoder. A plan into a command
//! line, nothing else.

mod encoders;
mod files;
mod graph;
mod segments;
mod sound;

use super::source_options;
use crate::plan::{Plan, Product};

/// Where a rendition's files are put, by its name.
pub(super) type OutputUrl<'a> = &'a dyn Fn(&str) -> String;

/// How often ffmpeg tells its progress, seconds.
const STATS_PERIOD: &str = "0.5";

/// ffmpeg's arguments for a plan.
pub(super) fn arguments(plan: &Plan, source: &str, output: OutputUrl<'_>) -> Vec<String> {
    let mut args = strings("-nostdin -hide_banner -loglevel warning -progress pipe:1 -stats_period");
    args.push(STATS_PERIOD.to_owned());
    args.extend(source_options());
    args.extend(["-noautorotate", "-i", source, "-filter_complex"].map(str::to_owned));
    args.push(graph::pictures(plan));
    match &plan.product {
        Product::Ladder(ladder) => args.extend(segments::outputs(plan, ladder, output)),
        Product::Files(files) => args.extend(files.iter().flat_map(|file| files::output(plan, file, output))),
    }
    args
}

/// The words of a line.
fn strings(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}
