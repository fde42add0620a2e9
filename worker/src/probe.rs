//! Finding out what a source is: runs ffprobe, confined, over the gateway, and reads its JSON.

mod parse;

use std::time::Duration;

use reelmill_api::{ErrorKind, Failure, Location, MediaFacts};
use tokio_util::sync::CancellationToken;

use crate::{
    engine::{
        Programs,
        child::{self, Ended, Limits},
        source_options,
    },
    gateway::Run,
};

/// A probe reads headers and an index, no more; whatever takes longer is hostile or broken.
const LONGEST_PROBE: Duration = Duration::from_secs(60);

/// Probes the source that `run` serves.
///
/// # Errors
/// `bad_source` with a reason that a person understands; `infrastructure` if the source could not be read.
pub async fn probe(
    programs: &Programs,
    run: &Run,
    input: &Location,
    cancel: &CancellationToken,
) -> Result<MediaFacts, Failure> {
    if run.source_bytes() == 0 {
        return Err(bad_source(input, "it has no bytes", "was the upload finished?"));
    }
    let mut args =
        strings(&["-hide_banner", "-loglevel", "error", "-print_format", "json", "-show_format", "-show_streams"]);
    args.extend(source_options());
    args.push(run.source_url());
    let limits = Limits { cpu: LONGEST_PROBE, ..programs.limits };
    let mut child = child::spawn(programs, &programs.ffprobe, &args, limits, run.port())?;
    let ended = child.finish(LONGEST_PROBE, cancel).await;
    if let Some(failure) = run.first_failure() {
        return Err(failure);
    }
    let output = match ended {
        Ended::Exited { success: true, stdout, .. } => stdout,
        Ended::Exited { stderr, .. } => return Err(refused(input, &stderr)),
        Ended::TimedOut => {
            return Err(bad_source(input, "probing it took longer than a minute", "try to remux it first"));
        }
        Ended::Canceled => return Err(Failure::new(ErrorKind::Canceled, "the run was called off while probing")),
    };
    parse::media_facts(&output, run.source_bytes()).map_err(|why| bad_source(input, &why, "is it a video file?"))
}

fn refused(input: &Location, stderr: &[String]) -> Failure {
    let said = stderr.join("\n");
    if said.contains("whitelist") {
        return bad_source(
            input,
            "it is a playlist or a script that points to other files",
            "submit the media file itself",
        );
    }
    if said.contains("moov atom not found") {
        return bad_source(input, "its index (moov) is missing, so it was cut off", "upload it again, whole");
    }
    if said.contains("Invalid data found") {
        return bad_source(input, "it is not in a media format that can be read", "is it a video file?");
    }
    let last = stderr.last().map_or("ffprobe failed without a word", String::as_str);
    bad_source(input, last, "is it a whole video file?")
}

fn bad_source(input: &Location, why: &str, hint: &str) -> Failure {
    Failure::new(ErrorKind::BadSource, format!("cannot use {input} as a source: {why}")).hint(hint)
}

fn strings(args: &[&str]) -> Vec<String> {
    args.iter().map(|&a| a.to_owned()).collect()
}
