//! The checks before publishing: a pure function from the plan and the gateway's record to renditions, or to the reason
//! why nothing may be published.

pub mod decode;
pub mod files;
pub mod quality;

use reelmill_api::{
    ErrorKind, Failure, Rational, Rendition,
    preset::VideoCodec,
    rendition::{DynamicRange, Track},
    report::Sheets,
};

use crate::{
    fmp4::{Cicp, InitFacts, SegmentFacts},
    gateway::{Arrived, Record},
    plan::{AudioPlan, Expected, Grid, LadderPlan, VideoPlan},
    storyboard,
};

/// An output that passed every check.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    /// What was made, video first.
    pub renditions: Vec<Made>,
    /// The small pictures, where the plan has some.
    pub storyboard: Option<Sheets>,
    /// The checks, in plain words for the report.
    pub checks: Vec<String>,
    /// What was seen of the source that the plan could not know.
    pub remarks: Vec<String>,
}

/// One rendition with the lengths of its segments.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// Its figures.
    pub rendition: Rendition,
    /// Ticks per second of `segment_ticks`.
    pub timescale: u32,
    /// The length of each segment.
    pub segment_ticks: Vec<u64>,
    /// The frames or packets of each segment.
    pub segment_samples: Vec<u64>,
    /// Ticks that the first segment begins with and nobody hears: an audio encoder's priming, before 0.
    pub priming_ticks: u64,
    /// Its colours, where its bytes say.
    pub colour: Option<Cicp>,
}

impl Made {
    /// How long it is seen or heard.
    pub fn shown_ticks(&self) -> u64 {
        self.segment_ticks.iter().sum::<u64>().saturating_sub(self.priming_ticks)
    }

    /// The frames or packets of one segment.
    pub fn samples_of(&self, index: u64) -> u64 {
        usize::try_from(index).ok().and_then(|at| self.segment_samples.get(at)).copied().unwrap_or(0)
    }
}

/// Checks what arrived against the plan.
///
/// # Errors
/// `infrastructure` if something is missing or broken: another attempt may succeed. `bad_source` if the source ended
/// before its declared length.
pub fn verify(grid: Grid, plan: &LadderPlan, record: &Record) -> Result<Verified, Failure> {
    if let Some(failure) = &record.failure {
        return Err(failure.clone());
    }
    let mut renditions = Vec::new();
    let mut frames = None;
    for video in &plan.videos {
        let (init, segments) = whole(record, &video.name)?;
        continuous(&video.name, &segments)?;
        on_grid(&video.name, &segments, grid, init.timescale)?;
        begins_at_zero(&video.name, init, &segments)?;
        let made = video_rendition(video, grid.frame_rate, init, &segments)?;
        let samples = made.rendition.samples;
        if *frames.get_or_insert(samples) != samples {
            return Err(broken(
                &video.name,
                &format!("it has {samples} frames, {} has {}", plan.videos[0].name, frames.unwrap_or(0)),
            ));
        }
        renditions.push(with_init_bytes(made, record, &video.name));
    }
    for audio in &plan.audios {
        let (init, segments) = whole(record, &audio.name)?;
        continuous(&audio.name, &segments)?;
        begins_at_zero(&audio.name, init, &segments)?;
        let made = audio_rendition(audio, init, &segments)?;
        renditions.push(with_init_bytes(made, record, &audio.name));
    }
    let remarks = frame_count(grid, frames.unwrap_or(0), heard(&renditions))?;
    let mut checks = checks(grid, frames.unwrap_or(0));
    let storyboard = plan.storyboard.map(|plan| storyboard::verify(plan, grid, frames.unwrap_or(0), &record.sheets));
    let storyboard = storyboard.transpose()?;
    checks.extend(storyboard.as_ref().map(storyboard::check));
    Ok(Verified { renditions, storyboard, checks, remarks })
}

fn checks(grid: Grid, frames: u64) -> Vec<String> {
    let mut checks = vec![
        "every segment stored whole, in order, none missing".to_owned(),
        "timestamps run on from segment to segment to the tick, from 0".to_owned(),
        "pictures and sound both begin at 0".to_owned(),
        format!("one keyframe grid in all video renditions: every {} frames", grid.gop),
        format!("{frames} frames in every video rendition"),
        "codec and picture size as planned, read from the stored bytes".to_owned(),
    ];
    if let Expected::Exactly(n) = grid.frames
        && n == frames
    {
        checks.push("frame count equal to the source's".to_owned());
    }
    checks
}

fn broken(rendition: &str, why: &str) -> Failure {
    Failure::new(ErrorKind::Infrastructure, format!("the output was not published: rendition {rendition}: {why}"))
}

/// The init segment and all segments, from 0 without a hole.
fn whole<'a>(record: &'a Record, name: &str) -> Result<(&'a InitFacts, Vec<&'a SegmentFacts>), Failure> {
    let nothing = || broken(name, "nothing of it arrived");
    let arrived: &Arrived = record.arrived.get(name).ok_or_else(nothing)?;
    let (init, _) = arrived.init.as_ref().ok_or_else(|| broken(name, "its init segment did not arrive"))?;
    let listed = arrived.listed.ok_or_else(|| broken(name, "the engine ended before it was complete"))?;
    for (expected, &index) in (0..).zip(arrived.segments.keys()) {
        if expected != index {
            return Err(broken(name, &format!("segment {expected} did not arrive")));
        }
    }
    match arrived.segments.len() as u64 {
        0 => return Err(broken(name, "it has no segments")),
        n if n < listed => return Err(broken(name, &format!("segment {n} did not arrive"))),
        n if n > listed => return Err(broken(name, &format!("the engine lists {listed} segments and made {n}"))),
        _ => {}
    }
    Ok((init, arrived.segments.values().collect()))
}

fn continuous(name: &str, segments: &[&SegmentFacts]) -> Result<(), Failure> {
    let mut at = 0;
    for (index, segment) in segments.iter().enumerate() {
        if segment.starts_at != at {
            return Err(broken(name, &format!("segment {index} starts at tick {} instead of {at}", segment.starts_at)));
        }
        at += segment.ticks;
    }
    Ok(())
}

/// The longest that an audio encoder primes its decoder: two packets of AAC at 22 050 Hz.
const LONGEST_PRIMING_MS: u64 = 93;

/// Pictures are shown from 0 on, and sound is heard from 0 on: what an edit list skips of sound is an encoder's priming,
/// and nothing else moves one against the other.
fn begins_at_zero(name: &str, init: &InitFacts, segments: &[&SegmentFacts]) -> Result<(), Failure> {
    let first = segments.first().map_or(0, |segment| segment.shown_from);
    let skipped = i64::try_from(init.skipped_ticks).unwrap_or(i64::MAX);
    if init.sound.is_none() && first != skipped {
        let at = first.saturating_sub(skipped);
        return Err(broken(name, &format!("its first picture is shown at tick {at} instead of 0")));
    }
    let longest = u64::from(init.timescale) * LONGEST_PRIMING_MS / 1000;
    if init.sound.is_some() && (first != 0 || init.skipped_ticks > longest) {
        return Err(broken(name, &format!("its sound begins at tick {first}, of which {skipped} are skipped")));
    }
    Ok(())
}

/// Each segment begins with a keyframe, holds one group of pictures of `gop` frames (the last one may be shorter), and
/// each frame lasts one frame of the grid.
fn on_grid(name: &str, segments: &[&SegmentFacts], grid: Grid, timescale: u32) -> Result<(), Failure> {
    let last = segments.len() - 1;
    for (index, segment) in segments.iter().enumerate() {
        let fits =
            if index == last { segment.samples <= u64::from(grid.gop) } else { segment.samples == u64::from(grid.gop) };
        if !fits {
            return Err(broken(
                name,
                &format!("segment {index} has {} frames instead of {}", segment.samples, grid.gop),
            ));
        }
        if segment.sync_samples != [0] {
            return Err(broken(
                name,
                &format!("segment {index} has keyframes at {:?} instead of only at its start", segment.sync_samples),
            ));
        }
        let (num, den) = (u64::from(grid.frame_rate.num()), u64::from(grid.frame_rate.den()));
        if segment.ticks * num != segment.samples * den * u64::from(timescale) {
            return Err(broken(
                name,
                &format!("segment {index} lasts {} ticks, not {} frames", segment.ticks, segment.samples),
            ));
        }
    }
    Ok(())
}

fn video_rendition(
    plan: &VideoPlan,
    frame_rate: Rational,
    init: &InitFacts,
    segments: &[&SegmentFacts],
) -> Result<Made, Failure> {
    let (width, height) = (plan.size.width, plan.size.height);
    if init.size != Some((width, height)) || !init.codecs.starts_with(codec_prefix(plan.codec)) {
        let found = init.size.map_or("no picture".to_owned(), |(w, h)| format!("{w}x{h}"));
        let why = format!("it is {} {found} instead of {} {width}x{height}", init.codecs, plan.codec);
        return Err(broken(&plan.name, &why));
    }
    let dynamic_range = init.colour.map_or(DynamicRange::Sdr, Cicp::dynamic_range);
    if plan.hdr == dynamic_range.is_standard() {
        let wanted = if plan.hdr { "a high dynamic range" } else { "a standard one" };
        return Err(broken(
            &plan.name,
            &format!("its dynamic range is {} instead of {wanted}", dynamic_range.as_str()),
        ));
    }
    Ok(made(&plan.name, Track::Video { width, height, frame_rate, dynamic_range }, init, segments))
}

/// How the name of a codec in segments begins (RFC 6381).
fn codec_prefix(codec: VideoCodec) -> &'static str {
    match codec {
        VideoCodec::H264 => "avc1.",
        VideoCodec::Hevc => "hvc1.",
        VideoCodec::Av1 => "av01.",
        VideoCodec::Prores | VideoCodec::Dnxhr => unreachable!("a preset with such segments is refused"),
    }
}

fn audio_rendition(plan: &AudioPlan, init: &InitFacts, segments: &[&SegmentFacts]) -> Result<Made, Failure> {
    if init.sound != Some((plan.sample_rate, plan.channels)) {
        return Err(broken(
            &plan.name,
            &format!("its sound is {:?} instead of {} Hz, {} channels", init.sound, plan.sample_rate, plan.channels),
        ));
    }
    sound_length(plan, init, segments)?;
    let language = plan.language.clone();
    Ok(made(
        &plan.name,
        Track::Audio { channels: plan.channels, sample_rate: plan.sample_rate, language, surround: plan.surround },
        init,
        segments,
    ))
}

/// Whether the sound lasts as long as the source promised.
fn sound_length(plan: &AudioPlan, init: &InitFacts, segments: &[&SegmentFacts]) -> Result<(), Failure> {
    let ticks: u64 = segments.iter().map(|s| s.ticks).sum();
    sound_lasts(plan, u64::try_from(u128::from(ticks) * 1000 / u128::from(init.timescale)).unwrap_or(u64::MAX))
}

/// Whether so many milliseconds of sound are as much as the source promised.
#[allow(clippy::cast_precision_loss, reason = "seconds for people")]
fn sound_lasts(plan: &AudioPlan, made: u64) -> Result<(), Failure> {
    let Some(expected) = plan.ends_at_ms else { return Ok(()) };
    let tolerated = 500.max(expected / 100);
    if made + tolerated >= expected {
        return Ok(());
    }
    let seconds = |ms: u64| ms as f64 / 1000.0;
    Err(cut_source(&format!("sound in track {}", plan.stream), seconds(expected), seconds(made)))
}

fn cut_source(of: &str, declared: f64, decoded: f64) -> Failure {
    let message =
        format!("it is cut or damaged: it declares {declared:.1} s of {of}, and only {decoded:.1} s could be decoded");
    Failure::new(ErrorKind::BadSource, message).hint("upload it again, whole")
}

#[allow(clippy::cast_precision_loss, reason = "seconds for people; the exact ticks are kept beside them")]
fn made(name: &str, track: Track, init: &InitFacts, segments: &[&SegmentFacts]) -> Made {
    let timescale = init.timescale;
    let sum = |of: fn(&SegmentFacts) -> u64| segments.iter().map(|s| of(s)).sum::<u64>();
    let (ticks, bytes) = (sum(|s| s.ticks), sum(|s| s.bytes));
    let rendition = Rendition {
        name: name.to_owned(),
        codecs: init.codecs.clone(),
        track,
        segments: segments.len() as u64,
        samples: sum(|s| s.samples),
        duration_seconds: ticks as f64 / f64::from(timescale),
        average_bps: rate(bytes, ticks, timescale),
        peak_bps: peak(segments, timescale),
        bytes,
    };
    Made {
        rendition,
        timescale,
        segment_ticks: segments.iter().map(|s| s.ticks).collect(),
        segment_samples: segments.iter().map(|s| s.samples).collect(),
        // The edit list of video only undoes its reordering: it is decoded from 0 and shown from 0.
        priming_ticks: if init.sound.is_some() { init.skipped_ticks } else { 0 },
        colour: init.colour,
    }
}

fn with_init_bytes(mut made: Made, record: &Record, name: &str) -> Made {
    made.rendition.bytes += record.arrived.get(name).and_then(|a| a.init.as_ref()).map_or(0, |(_, bytes)| *bytes);
    made
}

/// The largest rate over any run of segments that lasts between half and one and a half target durations (RFC 8216bis,
/// 4.1): a short last segment counts only together with the one before.
fn peak(segments: &[&SegmentFacts], timescale: u32) -> u64 {
    let target = segments.iter().map(|s| s.ticks).max().unwrap_or(0);
    let counts = |ticks: u64| ticks * 2 >= target && ticks * 2 <= target * 3;
    let mut peak = 0;
    for start in 0..segments.len() {
        let (mut ticks, mut bytes) = (0, 0);
        for segment in &segments[start..] {
            ticks += segment.ticks;
            bytes += segment.bytes;
            if ticks * 2 > target * 3 {
                break;
            }
            if counts(ticks) {
                peak = peak.max(rate(bytes, ticks, timescale));
            }
        }
    }
    peak
}

/// Bits per second, rounded up.
fn rate(bytes: u64, ticks: u64, timescale: u32) -> u64 {
    let bits = u128::from(bytes) * 8 * u128::from(timescale);
    u64::try_from(bits.div_ceil(u128::from(ticks.max(1)))).unwrap_or(u64::MAX)
}

/// Whether the frames are as many as the source promised; `heard` is when its last sound ends, seconds.
fn frame_count(grid: Grid, made: u64, heard: f64) -> Result<Vec<String>, Failure> {
    let Some(expected) = grid.frames.count() else { return Ok(Vec::new()) };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "half a second of frames")]
    let half_second = (grid.frame_rate.as_f64() / 2.0).ceil() as u64;
    let tolerated = match grid.frames {
        Expected::Exactly(_) => half_second,
        Expected::About(_) | Expected::Within(_) | Expected::Unknown => half_second.max(expected / 100),
    };
    if made + tolerated < expected {
        let (declared, decoded) = (grid.seconds(expected), grid.seconds(made));
        match grid.frames {
            Expected::Within(_) if heard + grid.seconds(tolerated) >= declared => {}
            Expected::Within(_) => return Err(cut_source("video and sound", declared, decoded.max(heard))),
            _ => return Err(cut_source("video", declared, decoded)),
        }
    }
    match grid.frames {
        Expected::Exactly(n) if n != made => Ok(vec![format!("the source declares {n} frames and gave {made}")]),
        _ => Ok(Vec::new()),
    }
}

/// When the last sound of a ladder ends, seconds.
#[allow(clippy::cast_precision_loss, reason = "seconds; the exact ticks are kept beside them")]
fn heard(renditions: &[Made]) -> f64 {
    let sounds = renditions.iter().filter(|made| matches!(made.rendition.track, Track::Audio { .. }));
    sounds.map(|made| made.shown_ticks() as f64 / f64::from(made.timescale)).fold(0.0, f64::max)
}

#[cfg(test)]
pub(crate) mod tests;
