//! The checks of single files before they are stored: a pure function from the plan and what each file says of itself to
//! renditions, or to the reason why nothing may be published.

use reelmill_api::{
    Failure, Rendition,
    media::Colour,
    preset::{AudioCodec, Container, VideoCodec},
    rendition::{Sound, Track},
};

use super::{broken, frame_count, rate, sound_lasts};
use crate::{
    movie::{Kind, Movie, Tags, TimeCode, Track as Found},
    plan::{AudioPlan, Expected, FilePlan, Grid, Plan, VideoPlan, timecode},
};

/// Files that passed every check.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifiedFiles {
    /// What was made, in the plan's order.
    pub renditions: Vec<Rendition>,
    /// The checks, in plain words for the report.
    pub checks: Vec<String>,
    /// What was seen of the source that the plan could not know.
    pub remarks: Vec<String>,
}

/// A file as it lies on the disk, and where it will lie under the output.
pub struct Made<'a> {
    /// What it should be.
    pub plan: &'a FilePlan,
    /// What it says of itself.
    pub movie: &'a Movie,
    /// Where it will lie, relative to the output.
    pub path: String,
}

/// How far a start may lie from 0, in seconds: an edit list counts in milliseconds.
const START: f64 = 0.000_6;

/// Checks files against the plan; there is at least one.
///
/// # Errors
/// `infrastructure` if something is missing or broken: another attempt may succeed. `bad_source` if the source ended
/// before its declared length.
pub fn verify(plan: &Plan, files: &[Made<'_>]) -> Result<VerifiedFiles, Failure> {
    let mut renditions = Vec::new();
    for file in files {
        renditions.push(rendition(plan, file)?);
    }
    let frames = renditions.first().map_or(0, |first| first.samples);
    for made in &renditions {
        if made.samples != frames {
            let why = format!("it has {} frames, {} has {frames}", made.samples, renditions[0].name);
            return Err(broken(&made.name, &why));
        }
    }
    let remarks = frame_count(plan.grid, frames, files.iter().map(last_sound).fold(0.0, f64::max))?;
    Ok(VerifiedFiles { checks: checks(plan.grid, files, frames), renditions, remarks })
}

fn rendition(plan: &Plan, file: &Made<'_>) -> Result<Rendition, Failure> {
    let Made { plan: wished, movie, path } = file;
    let name = &wished.video.name;
    let broken = |why: String| broken(name, &why);
    let of = |kind: Kind| movie.tracks.iter().filter(move |track| track.kind == kind).collect::<Vec<_>>();
    let (videos, sounds, codes) = (of(Kind::Video), of(Kind::Audio), of(Kind::TimeCode));
    let [video] = videos.as_slice() else { return Err(broken(format!("it has {} tracks of video", videos.len()))) };
    if sounds.len() != wished.audios.len() {
        return Err(broken(format!("it has {} tracks of sound instead of {}", sounds.len(), wished.audios.len())));
    }
    if wished.container == Container::Mp4 && !movie.index_first {
        return Err(broken("its index lies behind its media".to_owned()));
    }
    codec(&wished.video, video).and_then(|()| on_grid(plan.grid, &wished.video, video)).map_err(broken)?;
    coloured(plan.colour_of(&wished.video), video).map_err(broken)?;
    for (wished, sound) in wished.audios.iter().zip(&sounds) {
        heard(wished, sound).map_err(|why| broken(format!("{}: {why}", wished.name)))?;
        sound_lasts(wished, milliseconds(sound))?;
    }
    time_code(wished, codes.first().and_then(|track| track.time_code)).map_err(broken)?;
    Ok(measured(plan.grid, wished, movie, path, video, &sounds))
}

fn codec(wished: &VideoPlan, found: &Found) -> Result<(), String> {
    let entry = &found.entry;
    let (codec, profile) = match (wished.codec, wished.depth) {
        (VideoCodec::H264, _) => ("avc1.", None),
        (VideoCodec::Hevc, _) => ("hvc1.", None),
        (VideoCodec::Av1, _) => ("av01.", None),
        (VideoCodec::Prores, _) => ("apch", None),
        (VideoCodec::Dnxhr, 8) => ("AVdh", Some(DNXHR_HQ)),
        (VideoCodec::Dnxhr, _) => ("AVdh", Some(DNXHR_HQX)),
    };
    if !found.upright {
        return Err("it says that its pictures are to be turned".to_owned());
    }
    let size = (wished.size.width, wished.size.height);
    let square = entry.pixel.is_none_or(|(width, height)| width == height);
    if entry.codec.starts_with(codec) && entry.size == Some(size) && entry.avid_profile == profile && square {
        return Ok(());
    }
    Err(format!(
        "it is {} (profile {:?}) {:?} with pixels {:?} instead of {} {size:?} with square ones",
        entry.codec, entry.avid_profile, entry.size, entry.pixel, wished.codec
    ))
}

/// Compression IDs of SMPTE ST 2019-1.
const DNXHR_HQX: u32 = 1271;
const DNXHR_HQ: u32 = 1272;

/// Every frame lasts one frame of the grid, from 0 on; decoding can start often enough, and all is shown.
fn on_grid(grid: Grid, wished: &VideoPlan, found: &Found) -> Result<(), String> {
    let (num, den) = (u64::from(grid.frame_rate.num()), u64::from(grid.frame_rate.den()));
    match found.each {
        Some(each) if u64::from(each) * num == u64::from(found.timescale) * den => {}
        Some(each) => return Err(format!("its frames last {each} of {} ticks", found.timescale)),
        None => return Err("its frames do not all last the same".to_owned()),
    }
    starts_at_zero(found)?;
    if found.shown + 0.5 / grid.frame_rate.as_f64() < found.seconds() {
        return Err(format!("it lasts {:.3} s, of which {:.3} s are shown", found.seconds(), found.shown));
    }
    match &found.keys {
        None => Ok(()),
        Some(_) if wished.codec.is_mezzanine() => Err("not all of its frames stand by themselves".to_owned()),
        Some(keys) => keys_in_time(keys, found.samples, u64::from(wished.gop)),
    }
}

fn starts_at_zero(found: &Found) -> Result<(), String> {
    if found.starts_at.abs() < START { Ok(()) } else { Err(format!("it starts at {:.3} s", found.starts_at)) }
}

fn keys_in_time(keys: &[u64], samples: u64, gop: u64) -> Result<(), String> {
    if keys.first() != Some(&0) {
        return Err("it does not begin with a keyframe".to_owned());
    }
    let ends = keys.iter().skip(1).chain([&samples]);
    match keys.iter().zip(ends).find(|(key, next)| **next > **key + gop) {
        None => Ok(()),
        Some((key, next)) => Err(format!("from the keyframe at {key} it is {} frames to the next", next - key)),
    }
}

/// Tags as their numbers (ITU-T H.273), for those that sources have as a rule.
const PRIMARIES: [(&str, u16); 5] = [("bt709", 1), ("bt470bg", 5), ("smpte170m", 6), ("bt2020", 9), ("smpte432", 12)];
const TRANSFERS: [(&str, u16); 5] =
    [("bt709", 1), ("smpte170m", 6), ("bt2020-10", 14), ("smpte2084", 16), ("arib-std-b67", 18)];
const MATRICES: [(&str, u16); 4] = [("bt709", 1), ("bt470bg", 5), ("smpte170m", 6), ("bt2020nc", 9)];

fn coloured(wished: &Colour, found: &Found) -> Result<(), String> {
    let number = |of: &[(&str, u16)], tag: &Option<String>| {
        of.iter().find(|(name, _)| tag.as_deref() == Some(name)).map(|(_, number)| *number)
    };
    let Some(tags) = found.entry.tags else { return Err("its colours are not tagged".to_owned()) };
    let Tags { primaries, transfer, matrix } = tags;
    let pairs = [
        (number(&PRIMARIES, &wished.primaries), primaries),
        (number(&TRANSFERS, &wished.transfer), transfer),
        (number(&MATRICES, &wished.matrix), matrix),
    ];
    if pairs.iter().all(|(wished, found)| wished.is_none_or(|wished| wished == *found)) {
        return Ok(());
    }
    Err(format!("its colours are tagged {primaries}-{transfer}-{matrix} instead of {}", words(wished)))
}

fn words(colour: &Colour) -> String {
    let tag = |tag: &Option<String>| tag.clone().unwrap_or_default();
    format!("{}, {}, {}", tag(&colour.primaries), tag(&colour.transfer), tag(&colour.matrix))
}

fn heard(wished: &AudioPlan, found: &Found) -> Result<(), String> {
    let entry = &found.entry;
    let codec = match wished.codec {
        AudioCodec::Aac => entry.codec == "mp4a.40.2",
        AudioCodec::Pcm => matches!(entry.codec.as_str(), "in24" | "lpcm" | "ipcm"),
    };
    if !codec || entry.sound != Some((wished.sample_rate, wished.channels)) {
        let (rate, channels) = (wished.sample_rate, wished.channels);
        return Err(format!("it is {} {:?} instead of {rate} Hz, {channels} channels", entry.codec, entry.sound));
    }
    starts_at_zero(found)
}

/// When the last sound of a file ends, seconds.
#[allow(clippy::cast_precision_loss, reason = "seconds for a comparison")]
fn last_sound(file: &Made<'_>) -> f64 {
    let sounds = file.movie.tracks.iter().filter(|track| track.kind == Kind::Audio);
    sounds.map(|sound| milliseconds(sound) as f64 / 1e3).fold(0.0, f64::max)
}

/// How long a sound is heard.
fn milliseconds(sound: &Found) -> u64 {
    let ticks = sound.ticks.saturating_sub(sound.skipped);
    u64::try_from(u128::from(ticks) * 1000 / u128::from(sound.timescale)).unwrap_or(u64::MAX)
}

fn time_code(wished: &FilePlan, found: Option<TimeCode>) -> Result<(), String> {
    let Some(text) = &wished.timecode else { return Ok(()) };
    let Some(found) = found else { return Err(format!("the time code {text} is missing")) };
    let number = timecode::number(text, found.per_second.into());
    if number == Some((found.frames, found.drops)) {
        return Ok(());
    }
    Err(format!("its time code is frame {} instead of {text}", found.frames))
}

#[allow(clippy::cast_precision_loss, reason = "seconds for people; the exact ticks are kept beside them")]
fn measured(grid: Grid, wished: &FilePlan, movie: &Movie, path: &str, video: &Found, sounds: &[&Found]) -> Rendition {
    let mut codecs = vec![video.entry.codec.clone()];
    for sound in sounds {
        if !codecs.contains(&sound.entry.codec) {
            codecs.push(sound.entry.codec.clone());
        }
    }
    let sound = |plan: &AudioPlan| Sound {
        channels: plan.channels,
        sample_rate: plan.sample_rate,
        language: plan.language.clone(),
    };
    Rendition {
        name: wished.video.name.clone(),
        codecs: codecs.join(","),
        track: Track::File {
            path: path.to_owned(),
            width: wished.video.size.width,
            height: wished.video.size.height,
            frame_rate: grid.frame_rate,
            sounds: wished.audios.iter().map(sound).collect(),
            timecode: wished.timecode.clone(),
        },
        segments: 0,
        samples: video.samples,
        duration_seconds: video.seconds(),
        average_bps: rate(movie.bytes, video.ticks, video.timescale),
        peak_bps: std::iter::once(video).chain(sounds.iter().copied()).map(fullest_second).sum(),
        bytes: movie.bytes,
    }
}

/// The most bits of a track in any second.
fn fullest_second(track: &Found) -> u64 {
    let samples = u128::from(track.samples) * u128::from(track.timescale);
    let in_a_second = samples.div_ceil(u128::from(track.ticks.max(1)));
    track.bytes.most_in(u64::try_from(in_a_second).unwrap_or(u64::MAX)).saturating_mul(8)
}

fn checks(grid: Grid, files: &[Made<'_>], frames: u64) -> Vec<String> {
    let mut checks = vec![
        "every file read back from the disk: all that its index names lies in it".to_owned(),
        format!("{frames} frames in every file, each as long as one of {}", grid.frame_rate),
        "codec, profile, picture size, colour tags and every track's channels as planned".to_owned(),
        "pictures and every sound start at 0 and last as long as the source's".to_owned(),
    ];
    for Made { plan, .. } in files {
        let name = &plan.video.name;
        match plan.video.codec.is_mezzanine() {
            true => checks.push(format!("{name}: every frame stands by itself")),
            false => checks.push(format!("{name}: a keyframe every {} frames at least", plan.video.gop)),
        }
        if plan.container == Container::Mp4 {
            checks.push(format!("{name}: the index lies before the media"));
        }
        if let Some(code) = &plan.timecode {
            checks.push(format!("{name}: time code {code}"));
        }
    }
    if grid.frames == Expected::Exactly(frames) {
        checks.push("frame count equal to the source's".to_owned());
    }
    checks
}

#[cfg(test)]
mod tests;
