//! The sampled VMAF, where a preset asks for it: some segments of the largest rendition, as they lie in the store, against
//! what their encoder was given.

use std::{ops::Range, time::Duration};

use reelmill_api::{ErrorKind, Failure, media::Fields};
use tokio_util::sync::CancellationToken;

use super::{Made, Verified, broken};
use crate::{
    engine::{
        Programs,
        child::{self, Ended},
        measure::{self, Comparison},
    },
    gateway::Run,
    plan::{Plan, VideoPlan},
};

/// Segments that are measured: at the quarters, as a title's first and last pictures are often black.
const SAMPLES: u64 = 3;
/// VMAF takes a second or two for one of 1080p; a source that is slow to seek in may take minutes.
const LONGEST: Duration = Duration::from_secs(600);

/// What became of the measuring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Measured {
    /// The preset does not ask for it.
    NotAsked,
    /// It could not be done, and why.
    Not(&'static str),
    /// All samples have at least what is asked for; the check in words.
    Held(String),
}

/// Measures the samples of a ladder.
///
/// # Errors
/// `infrastructure` if one has less than the preset asks for, as a faulty GPU would make it, or cannot be measured.
pub async fn sample(
    programs: &Programs,
    run: &Run,
    plan: &Plan,
    verified: &Verified,
    cancel: &CancellationToken,
) -> Result<Measured, Failure> {
    let Some(floor) = plan.vmaf_min else { return Ok(Measured::NotAsked) };
    let videos = plan.videos();
    let (Some(video), Some(made)) = (videos.first(), verified.renditions.first()) else {
        return Ok(Measured::NotAsked);
    };
    if let Some(why) = immeasurable(plan, video) {
        return Ok(Measured::Not(why));
    }
    let mut scores = Vec::new();
    for index in sampled(made.rendition.segments) {
        let segment = run.check_url(&video.name, index);
        let (source, extras) = (run.source_url(), run.extra_urls());
        let of = Comparison {
            video,
            frames: frames(plan, made, index),
            source: &source,
            extras: &extras,
            segment: &segment,
        };
        let args = measure::arguments(plan, &of);
        let mut child = child::spawn(programs, &programs.ffmpeg, &args, programs.limits, run.port())?;
        let ended = child.finish(LONGEST, cancel).await;
        if let Some(failure) = run.first_failure() {
            return Err(failure);
        }
        match judge(&video.name, index, &ended, floor)? {
            Ok(score) => scores.push(score),
            Err(why) => return Ok(Measured::Not(why)),
        }
    }
    Ok(Measured::Held(check(&video.name, floor, &scores)))
}

fn immeasurable(plan: &Plan, video: &VideoPlan) -> Option<&'static str> {
    if video.hdr {
        return Some("its model knows a standard dynamic range only");
    }
    // Which of five frames is the doubled one is counted from where decoding begins.
    (plan.picture.fields == Fields::Telecined).then_some("the frames of a telecined source cannot be matched")
}

fn sampled(segments: u64) -> Vec<u64> {
    let mut indices: Vec<_> = (1..=SAMPLES).map(|n| segments.saturating_sub(1) * n / (SAMPLES + 1)).collect();
    indices.dedup();
    indices
}

fn frames(plan: &Plan, made: &Made, index: u64) -> Range<u64> {
    let start = index * u64::from(plan.grid.gop);
    start..start + made.samples_of(index)
}

/// The score of one segment, or why there can be none.
fn judge(rendition: &str, index: u64, ended: &Ended, floor: u32) -> Result<Result<f64, &'static str>, Failure> {
    let (success, status, stderr) = match ended {
        Ended::Exited { success, status, stderr, .. } => (*success, status, stderr),
        Ended::Canceled => {
            return Err(Failure::new(ErrorKind::Canceled, "the run was called off while it was checked"));
        }
        Ended::TimedOut => return Err(broken(rendition, "measuring its VMAF took too long")),
    };
    if stderr.iter().any(|line| line.contains(measure::MISSING)) {
        return Ok(Err("this ffmpeg was built without libvmaf"));
    }
    match measure::score(stderr) {
        _ if !success => {
            Err(broken(rendition, &format!("its VMAF cannot be measured ({status}): {}", last_words(stderr))))
        }
        None => Ok(Err("the source has no keyframe near the sampled segments")),
        Some(score) if score >= f64::from(floor) => Ok(Ok(score)),
        Some(score) => Err(broken(
            rendition,
            &format!("segment {index} has a VMAF of {score:.2}, where the preset asks for {floor}"),
        )
        .hint("another attempt may do better if the GPU is at fault; else lower `vmaf_min` or `crf`")),
    }
}

fn last_words(stderr: &[String]) -> String {
    stderr.last().cloned().unwrap_or_else(|| "it said nothing".to_owned())
}

fn check(rendition: &str, floor: u32, scores: &[f64]) -> String {
    let lowest = scores.iter().copied().fold(100.0, f64::min);
    format!("VMAF of {} sampled segments of {rendition} at least {lowest:.1}; asked for: {floor}", scores.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quarters_are_measured() {
        assert_eq!(sampled(0), [0]);
        assert_eq!(sampled(1), [0]);
        assert_eq!(sampled(2), [0]);
        assert_eq!(sampled(5), [1, 2, 3]);
        assert_eq!(sampled(101), [25, 50, 75]);
    }

    fn ended(success: bool, stderr: &[&str]) -> Ended {
        let stderr = stderr.iter().map(|&line| line.to_owned()).collect();
        Ended::Exited { success, code: Some(1), status: "exit status: 1".to_owned(), stdout: Vec::new(), stderr }
    }

    #[test]
    fn what_is_worse_than_asked_is_not_published() {
        let judged = |ended: &Ended| judge("1080p", 7, ended, 80);
        assert_eq!(judged(&ended(true, &["VMAF score: 80.0"])), Ok(Ok(80.0)));
        assert_eq!(
            judged(&ended(false, &[measure::MISSING, "Error"])),
            Ok(Err("this ffmpeg was built without libvmaf"))
        );
        assert_eq!(
            judged(&ended(true, &["frame= 25"])),
            Ok(Err("the source has no keyframe near the sampled segments"))
        );
        let start = "the output was not published: rendition 1080p: ";
        for (ended, why) in [
            (ended(true, &["VMAF score: 79.96"]), "segment 7 has a VMAF of 79.96, where the preset asks for 80"),
            (ended(true, &["VMAF score: 12.3"]), "segment 7 has a VMAF of 12.30, where the preset asks for 80"),
            (ended(false, &["VMAF score: 99", "boom"]), "its VMAF cannot be measured (exit status: 1): boom"),
            (ended(false, &[]), "its VMAF cannot be measured (exit status: 1): it said nothing"),
            (Ended::TimedOut, "measuring its VMAF took too long"),
        ] {
            assert_eq!(judged(&ended).expect_err("a fault").message, format!("{start}{why}"));
        }
        assert_eq!(judged(&Ended::Canceled).expect_err("called off").kind, ErrorKind::Canceled);
    }
}
