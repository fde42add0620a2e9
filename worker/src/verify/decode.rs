//! The last check before publishing: segments as they lie in the store are decoded, the first, the last and some between;
//! of single files their beginning, middle and end.

use std::{path::Path, time::Duration};

use reelmill_api::{ErrorKind, Failure, rendition::Track};
use tokio_util::sync::CancellationToken;

use super::{Made, Verified};
use crate::{
    engine::{
        Programs,
        child::{self, Ended},
        strings,
    },
    gateway::Run,
};

/// Decoding a few segments takes seconds; what takes longer hangs.
const LONGEST: Duration = Duration::from_secs(300);
/// One more segment is decoded for each so many.
const ONE_IN: u64 = 100;
/// The most that are decoded between the first and the last.
const MOST_BETWEEN: u64 = 4;

/// Decodes a sample of each rendition; the check in words.
///
/// # Errors
/// `infrastructure` if one cannot be decoded, or gives another number of frames than it declares.
pub async fn sample(
    programs: &Programs,
    run: &Run,
    verified: &Verified,
    cancel: &CancellationToken,
) -> Result<String, Failure> {
    let mut decoded = 0;
    for made in verified.renditions.iter().filter(|made| has_media(made)) {
        let indices = sampled(made.rendition.segments);
        one(programs, run, made, &indices, cancel).await?;
        decoded += indices.len();
    }
    Ok(format!(
        "{decoded} stored segments decoded without a fault, the first and the last of each rendition among them"
    ))
}

fn has_media(made: &Made) -> bool {
    matches!(made.rendition.track, Track::Video { .. } | Track::Audio { .. })
}

/// The first, the last, and some evenly between.
fn sampled(segments: u64) -> Vec<u64> {
    let between = (segments / ONE_IN).min(MOST_BETWEEN);
    let mut indices: Vec<_> = (0..=between + 1).map(|n| n * segments.saturating_sub(1) / (between + 1)).collect();
    indices.dedup();
    indices
}

async fn one(
    programs: &Programs,
    run: &Run,
    made: &Made,
    indices: &[u64],
    cancel: &CancellationToken,
) -> Result<(), Failure> {
    let urls: Vec<_> = indices.iter().map(|index| run.check_url(&made.rendition.name, *index)).collect();
    let video = matches!(made.rendition.track, Track::Video { .. });
    let mut child = child::spawn(programs, &programs.ffmpeg, &arguments(&urls, video), programs.limits, run.port())?;
    let ended = child.finish(LONGEST, cancel).await;
    if let Some(failure) = run.first_failure() {
        return Err(failure);
    }
    let expected = video.then(|| indices.iter().map(|index| made.samples_of(*index)).sum());
    judge(&made.rendition.name, &ended, expected)
}

/// Decodes parts of a finished file on this machine's disk; the check in words.
///
/// # Errors
/// `infrastructure` if one cannot be decoded, or holds no picture.
pub async fn file(
    programs: &Programs,
    path: &Path,
    seconds: Option<f64>,
    port: u16,
    cancel: &CancellationToken,
) -> Result<String, Failure> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let args = file_arguments(path, seconds);
    let mut child = child::spawn(programs, &programs.ffmpeg, &args, programs.limits, port)?;
    let ended = child.finish(LONGEST, cancel).await;
    judge(&name, &ended, None)?;
    match &ended {
        Ended::Exited { stdout, .. } if frames(&String::from_utf8_lossy(stdout)) == 0 => {
            Err(super::broken(&name, "no picture of it can be decoded again"))
        }
        _ => Ok(format!("{name} decoded without a fault at its beginning, middle and end")),
    }
}

/// Seconds of each part of a file that are decoded.
const PART: &str = "2";

/// One process for all parts; a file whose length is not known has no middle.
fn file_arguments(path: &Path, seconds: Option<f64>) -> Vec<String> {
    let mut args = strings("-nostdin -hide_banner -loglevel error -xerror -progress pipe:1");
    let middle = seconds.map(|seconds| format!("-ss {:.3} -t {PART}", seconds / 2.0));
    let parts: Vec<_> =
        std::iter::once(format!("-t {PART}")).chain(middle).chain([format!("-sseof -{PART}")]).collect();
    for part in &parts {
        args.extend(strings(part));
        args.extend(strings("-protocol_whitelist file -format_whitelist mov -i"));
        args.push(path.display().to_string());
    }
    for input in 0..parts.len() {
        args.extend(["-map".to_owned(), format!("{input}:v"), "-map".to_owned(), format!("{input}:a?")]);
    }
    args.extend(strings("-fps_mode passthrough -f null -"));
    args
}

/// One process for all, one after another, complaints only.
fn arguments(urls: &[String], video: bool) -> Vec<String> {
    let mut args = strings("-nostdin -hide_banner -loglevel error -xerror -progress pipe:1");
    for url in urls {
        args.extend(strings("-protocol_whitelist http,tcp -format_whitelist mov -seekable 0 -ignore_editlist 1 -i"));
        args.push(url.clone());
    }
    let kind = if video { 'v' } else { 'a' };
    let pads: String = (0..urls.len()).map(|n| format!("[{n}:{kind}:0]")).collect();
    let streams = if video { "v=1:a=0" } else { "v=0:a=1" };
    args.push("-filter_complex".to_owned());
    args.push(format!("{pads}concat=n={}:{streams}[out]", urls.len()));
    args.extend(strings("-map [out] -fps_mode passthrough -f null -"));
    args
}

fn judge(rendition: &str, ended: &Ended, expected: Option<u64>) -> Result<(), Failure> {
    let Ended::Exited { success, status, stdout, stderr, .. } = ended else {
        return Err(match ended {
            Ended::Canceled => Failure::new(ErrorKind::Canceled, "the run was called off while it was checked"),
            _ => super::broken(rendition, "decoding it again took too long"),
        });
    };
    if !success || !stderr.is_empty() {
        let said = if stderr.is_empty() { status.clone() } else { stderr.join("; ") };
        return Err(super::broken(rendition, &format!("it cannot be decoded again: {said}")));
    }
    let frames = frames(&String::from_utf8_lossy(stdout));
    match expected {
        Some(expected) if expected != frames => {
            Err(super::broken(rendition, &format!("{frames} frames could be decoded where {expected} were declared")))
        }
        _ => Ok(()),
    }
}

/// The last count of frames in ffmpeg's progress.
fn frames(progress: &str) -> u64 {
    let counts = progress.lines().filter_map(|line| line.strip_prefix("frame="));
    counts.filter_map(|count| count.trim().parse().ok()).next_back().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_last_and_some_between_are_taken() {
        assert_eq!(sampled(1), [0]);
        assert_eq!(sampled(2), [0, 1]);
        assert_eq!(sampled(99), [0, 98]);
        assert_eq!(sampled(101), [0, 50, 100]);
        assert_eq!(sampled(10_001), [0, 2000, 4000, 6000, 8000, 10_000]);
    }

    #[test]
    fn beginning_middle_and_end_of_a_file_are_decoded() {
        let words = |seconds| file_arguments(Path::new("/spool/run-1/clip.mp4"), seconds).join(" ");
        let start = "-nostdin -hide_banner -loglevel error -xerror -progress pipe:1";
        let file = "-protocol_whitelist file -format_whitelist mov -i /spool/run-1/clip.mp4";
        let end = "-fps_mode passthrough -f null -";
        assert_eq!(
            words(Some(61.0)),
            format!(
                "{start} -t 2 {file} -ss 30.500 -t 2 {file} -sseof -2 {file} \
                 -map 0:v -map 0:a? -map 1:v -map 1:a? -map 2:v -map 2:a? {end}"
            )
        );
        assert_eq!(
            words(None),
            format!("{start} -t 2 {file} -sseof -2 {file} -map 0:v -map 0:a? -map 1:v -map 1:a? {end}")
        );
    }

    fn ended(success: bool, stdout: &str, stderr: &[&str]) -> Ended {
        let stderr = stderr.iter().map(|&line| line.to_owned()).collect();
        Ended::Exited { success, code: Some(1), status: "exit status: 1".to_owned(), stdout: stdout.into(), stderr }
    }

    fn complaint(ended: &Ended) -> String {
        judge("360p", ended, Some(132)).expect_err("a fault").message
    }

    #[test]
    fn every_fault_is_told() {
        let whole = "frame=100\nprogress=continue\nframe=132\nprogress=end\n";
        assert_eq!(judge("360p", &ended(true, whole, &[]), Some(132)), Ok(()));
        assert_eq!(judge("audio", &ended(true, "progress=end\n", &[]), None), Ok(()));
        let start = "the output was not published: rendition 360p: ";
        assert_eq!(
            complaint(&ended(true, whole, &["error while decoding MB"])),
            format!("{start}it cannot be decoded again: error while decoding MB")
        );
        assert_eq!(complaint(&ended(false, whole, &[])), format!("{start}it cannot be decoded again: exit status: 1"));
        assert_eq!(
            complaint(&ended(true, "frame=131\n", &[])),
            format!("{start}131 frames could be decoded where 132 were declared")
        );
        assert_eq!(complaint(&Ended::TimedOut), format!("{start}decoding it again took too long"));
        assert_eq!(judge("360p", &Ended::Canceled, None).expect_err("called off").kind, ErrorKind::Canceled);
    }
}
