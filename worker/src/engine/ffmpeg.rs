//! What all engines that are ffmpeg share: the command around the pictures, which is sound, containers and segments.

mod colours;
mod files;
mod segments;
mod sheets;
mod sound;

pub(super) use colours::{colours, tagging};

use super::source_options;
use crate::plan::{Plan, Product};

/// Where a rendition's files are put, by its name.
pub(super) type OutputUrl<'a> = &'a dyn Fn(&str) -> String;

/// What a media process reads and writes.
pub(super) struct Addresses<'a> {
    /// The source.
    pub source: &'a str,
    /// Pictures that its filters need, in the filters' order.
    pub extras: &'a [String],
    /// Where a rendition's files are put.
    pub output: OutputUrl<'a>,
}

/// Options before a picture that a filter needs: a PNG, or the PPM that a colour table became.
const PICTURE_OPTIONS: [&str; 4] = ["-protocol_whitelist", "http,tcp", "-format_whitelist", "png_pipe,ppm_pipe"];

/// How often ffmpeg tells its progress, seconds.
const STATS_PERIOD: &str = "0.5";

/// How one engine makes a plan's pictures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pictures {
    /// Options before the source: devices, and what decodes it.
    pub decoder: Vec<String>,
    /// Options and addresses of inputs behind the source and what filters need.
    pub inputs: Vec<String>,
    /// The filter graph; each rendition's pictures come out of a pad `[v-NAME]`. Without one, nothing is decoded.
    pub graph: String,
    /// The encoder of each rendition, in the order of [`Plan::videos`].
    pub encoders: Vec<Vec<String>>,
    /// Whether the graph has the storyboard's sheets, at a pad `[v-storyboard]`.
    pub storyboard: bool,
}

/// ffmpeg's arguments for a plan whose pictures are made so.
pub(super) fn command(plan: &Plan, pictures: Pictures, at: &Addresses<'_>) -> Vec<String> {
    let mut args = strings("-nostdin -hide_banner -loglevel warning -progress pipe:1 -stats_period");
    args.push(STATS_PERIOD.to_owned());
    args.extend(source_options());
    args.extend(pictures.decoder);
    args.extend(["-noautorotate", "-i", at.source].map(str::to_owned));
    args.extend(extra_inputs(at.extras));
    args.extend(pictures.inputs);
    if !pictures.graph.is_empty() {
        args.extend(["-filter_complex".to_owned(), pictures.graph + &files::cut_off(plan)]);
    }
    match &plan.product {
        Product::Ladder(ladder) => {
            args.extend(segments::outputs(plan, ladder, &pictures.encoders, at.output));
            if pictures.storyboard {
                args.extend(sheets::output(at.output));
            }
        }
        Product::Files(files) => {
            let made = files.iter().zip(&pictures.encoders);
            args.extend(made.flat_map(|(file, encoder)| files::output(plan, file, encoder, at.output)));
        }
    }
    args
}

/// The inputs that filters need, from 1 on.
pub(super) fn extra_inputs(extras: &[String]) -> Vec<String> {
    let input = |extra: &String| PICTURE_OPTIONS.map(str::to_owned).into_iter().chain(["-i".to_owned(), extra.clone()]);
    extras.iter().flat_map(input).collect()
}

/// The options that put one rendition's pictures, at the grid's rate, into an encoder.
pub(super) fn mapped(plan: &Plan, rendition: &str, encoder: Vec<String>) -> Vec<String> {
    let mut args = vec!["-map".to_owned(), format!("[v-{rendition}]")];
    args.extend(encoder);
    args.extend(["-fps_mode", "cfr", "-r"].map(str::to_owned));
    args.push(plan.grid.frame_rate.to_string());
    args
}

/// Moves pictures and sound alike, so that the first picture is at 0.
pub(super) fn without_lead(filter: &str, plan: &Plan) -> Option<String> {
    let lead = f64::from(plan.lead_micros) / 1e6;
    (plan.lead_micros > 0).then(|| format!("{filter}=PTS-{lead:.6}/TB"))
}

/// The words of a line.
pub(crate) fn strings(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}
