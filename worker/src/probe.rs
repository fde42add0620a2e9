//! Finding out what a source is: runs ffprobe, confined, over the gateway, and reads its JSON; where that can be wrong about
//! fields, looks at some pictures.

pub mod parse;
mod scan;

use std::{path::Path, time::Duration};

use reelmill_api::{ErrorKind, Failure, MediaFacts};
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

/// How much is decoded for what only frames say, such as a mastering display.
const FIRST_PACKETS: &str = "%+#24";

/// Probes the source that `run` serves.
///
/// # Errors
/// `bad_source` with a reason that a person understands; `infrastructure` if the source could not be read.
pub async fn probe(programs: &Programs, run: &Run, cancel: &CancellationToken) -> Result<MediaFacts, Failure> {
    if run.source_bytes() == 0 {
        return Err(bad_source("it has no bytes", "was the upload finished?"));
    }
    let mut args = strings(&["-hide_banner", "-loglevel", "error", "-print_format", "json", "-show_format"]);
    args.extend(strings(&["-show_streams", "-show_frames", "-read_intervals", FIRST_PACKETS]));
    args.extend(source_options());
    args.push(run.source_url());
    let output = match ended(programs, &programs.ffprobe, &args, run, cancel).await? {
        Ended::Exited { success: true, stdout, .. } => stdout,
        Ended::Exited { stderr, .. } => return Err(refused(&stderr)),
        Ended::TimedOut | Ended::Canceled => {
            return Err(bad_source("probing it took longer than a minute", "try to remux it first"));
        }
    };
    let facts = parse::media_facts(&output, run.source_bytes());
    let mut media = facts.map_err(|why| bad_source(&why, "is it a video file?"))?;
    let duration = media.duration_seconds;
    if let Some(video) = media.video.as_mut().filter(|video| scan::is_worthwhile(video)) {
        scan::settle(video, &look(programs, run, video.index, duration, cancel).await?);
    }
    Ok(media)
}

/// Looks at a few pictures in some places. A place that cannot be decoded says nothing.
async fn look(
    programs: &Programs,
    run: &Run,
    stream: u32,
    duration: Option<f64>,
    cancel: &CancellationToken,
) -> Result<Vec<scan::Seen>, Failure> {
    let mut seen = Vec::new();
    for place in scan::places(duration) {
        let mut args = strings(&["-nostdin", "-hide_banner", "-loglevel", "error"]);
        args.extend(source_options());
        args.extend(strings(&["-ss", &format!("{place:.3}"), "-t", scan::SECONDS, "-i", &run.source_url()]));
        args.extend(strings(&["-map", &format!("0:{stream}"), "-vf", scan::FILTERS, "-f", "null", "-"]));
        match ended(programs, &programs.ffmpeg, &args, run, cancel).await? {
            Ended::Exited { stdout, .. } => seen.push(scan::Seen::read(&String::from_utf8_lossy(&stdout))),
            Ended::TimedOut | Ended::Canceled => break,
        }
    }
    Ok(seen)
}

/// Runs a program to its end, for as long as a probe may take.
async fn ended(
    programs: &Programs,
    program: &Path,
    args: &[String],
    run: &Run,
    cancel: &CancellationToken,
) -> Result<Ended, Failure> {
    let limits = Limits { cpu: LONGEST_PROBE, ..programs.limits };
    let mut child = child::spawn(programs, program, args, limits, run.port())?;
    let ended = child.finish(LONGEST_PROBE, cancel).await;
    if let Some(failure) = run.first_failure() {
        return Err(failure);
    }
    match ended {
        Ended::Canceled => Err(Failure::new(ErrorKind::Canceled, "the run was called off while probing")),
        ended => Ok(ended),
    }
}

fn refused(stderr: &[String]) -> Failure {
    let said = stderr.join("\n");
    if let Some(format) = stderr.iter().find_map(|line| unwelcome(line)) {
        return unaccepted(format);
    }
    if said.contains("moov atom not found") {
        return bad_source("its index (moov) is missing, so it was cut off", "upload it again, whole");
    }
    if said.contains("Invalid data found") {
        return bad_source("it is not in a media format that can be read", "is it a video file?");
    }
    let says = |line: &String| format!("ffprobe says of it: {}", line.trim_start_matches("the source: "));
    let last = stderr.last().map_or("ffprobe failed without a word".to_owned(), says);
    bad_source(&last, "is it a whole video file?")
}

/// The demuxer that the allow-list shut out, of a line such as `[hls] Format not on whitelist 'mov,...'`.
fn unwelcome(line: &str) -> Option<&str> {
    let (context, said) = line.strip_prefix('[')?.split_once("] ")?;
    said.contains("Format not on whitelist").then(|| context.split(',').next().unwrap_or(context))
}

/// Names of demuxers for files that only point to others.
const POINTERS: &[&str] = &["hls", "dash", "concat", "sdp", "imf", "rtsp", "webm_dash_manifest"];
/// Names of demuxers for subtitles.
const SUBTITLES: &[&str] =
    &["ass", "srt", "webvtt", "microdvd", "mpl2", "sami", "stl", "subviewer", "subviewer1", "vobsub", "scc", "mcc"];
/// Names of demuxers for pictures that do not say so in their name.
const PICTURES: &[&str] = &["image2", "gif", "apng", "ico", "tty", "svg"];

fn unaccepted(format: &str) -> Failure {
    if POINTERS.contains(&format) {
        let why = format!("it is a playlist or a script ({format}) that points to other files");
        return bad_source(&why, "submit the media file itself");
    }
    if SUBTITLES.contains(&format) {
        return bad_source(&format!("it holds subtitles ({format}) and no video"), "submit the video file");
    }
    if PICTURES.contains(&format) || format.ends_with("_pipe") {
        let name = format.trim_end_matches("_pipe");
        return bad_source(&format!("it is a picture ({name}) and no video"), "submit the video file");
    }
    let why = format!("files in the format {format} are not accepted");
    bad_source(&why, "convert it to MP4, MOV, MKV, MXF or MPEG-TS first")
}

fn bad_source(why: &str, hint: &str) -> Failure {
    Failure::new(ErrorKind::BadSource, why).hint(hint)
}

fn strings(args: &[&str]) -> Vec<String> {
    args.iter().map(|&a| a.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stderr: &[&str], want: &str) {
        let stderr: Vec<String> = stderr.iter().map(|&line| line.to_owned()).collect();
        let failure = refused(&stderr);
        assert_eq!(failure.kind, ErrorKind::BadSource);
        assert_eq!(failure.lines(), want, "{stderr:?}");
    }

    /// What ffprobe 5.1 said of each, tidied.
    #[test]
    fn says_in_words_why_ffprobe_refused() {
        let shut_out = |format: &str| format!("[{format}] Format not on whitelist 'mov,matroska'");
        check(
            &[&shut_out("hls"), "the source: Invalid argument"],
            "it is a playlist or a script (hls) that points to other files\nhint: submit the media file itself",
        );
        check(&[&shut_out("srt")], "it holds subtitles (srt) and no video\nhint: submit the video file");
        check(&[&shut_out("png_pipe")], "it is a picture (png) and no video\nhint: submit the video file");
        check(
            &[&shut_out("smjpeg")],
            "files in the format smjpeg are not accepted\n\
             hint: convert it to MP4, MOV, MKV, MXF or MPEG-TS first",
        );
        check(
            &["[mov,mp4,m4a,3gp,3g2,mj2] moov atom not found", "the source: Invalid data found"],
            "its index (moov) is missing, so it was cut off\nhint: upload it again, whole",
        );
        check(
            &["the source: Invalid data found when processing input"],
            "it is not in a media format that can be read\nhint: is it a video file?",
        );
        check(&[], "ffprobe failed without a word\nhint: is it a whole video file?");
    }
}
