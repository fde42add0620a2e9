//! The plan: a pure function from a preset and a source's facts to everything that an engine must make and that the
//! verification will check.

mod geometry;
mod grid;

use reelmill_api::{
    ErrorKind, Failure, MediaFacts, Preset, Rational,
    media::{AudioFacts, Colour, Rotation, VideoFacts},
    preset::X264Preset,
};

pub use geometry::Size;
pub use grid::{Expected, Grid};

/// What an engine makes of one source, in one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// How much of the source is left out because it comes before the first picture, microseconds.
    pub lead_micros: u32,
    /// The source's video track and what is done to it before the rungs part.
    pub picture: Picture,
    /// The frame grid that all video renditions share.
    pub grid: Grid,
    /// Video renditions, largest first; at least one.
    pub videos: Vec<VideoPlan>,
    /// Audio renditions in the source's order; may be none.
    pub audios: Vec<AudioPlan>,
    /// What is done to the source, in plain words for the report.
    pub changes: Vec<String>,
    /// x264's speed preset, for the software engine.
    pub x264_preset: X264Preset,
}

/// What is done to the picture once, before the rungs part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// The source's stream index.
    pub stream: u32,
    /// Whether two fields are made one frame.
    pub deinterlace: bool,
    /// The turn that makes it upright.
    pub rotation: Rotation,
    /// The colours of the renditions.
    pub colour: Colour,
    /// The source's transfer, primaries and matrix, if they must be tone-mapped to SDR.
    pub tone_map: Option<Colour>,
}

/// One video rendition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoPlan {
    /// Its name and folder.
    pub name: String,
    /// Its size in square pixels.
    pub size: Size,
    /// Constant rate factor.
    pub crf: u8,
    /// Highest rate, bits per second.
    pub max_bps: u32,
}

/// One audio rendition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioPlan {
    /// Its name and folder.
    pub name: String,
    /// The source's stream index.
    pub stream: u32,
    /// Bits per second.
    pub bitrate_bps: u32,
    /// Samples per second.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u32,
    /// Language, where the source says.
    pub language: Option<String>,
    /// Milliseconds from the first picture to the end of its sound, where the source says.
    pub ends_at_ms: Option<u64>,
}

impl Plan {
    /// The folders that the engine writes, video first.
    pub fn rendition_names(&self) -> impl Iterator<Item = &str> {
        self.videos.iter().map(|v| v.name.as_str()).chain(self.audios.iter().map(|a| a.name.as_str()))
    }
}

/// Plans what `preset` makes of a source.
///
/// # Errors
/// `bad_source` if the source lacks what the preset needs.
pub fn plan(preset: &Preset, media: &MediaFacts) -> Result<Plan, Failure> {
    let video = media.video.as_ref().ok_or_else(|| no_video(preset, media))?;
    let mut changes = picture_changes(video);
    let lead_micros = lead_micros(video);
    if lead_micros > 0 && !media.audio.is_empty() {
        changes.push(format!("sound before the first picture cut: {} ms", lead_micros.div_ceil(1000)));
    }
    let grid = grid::grid(video, lead_micros, media.duration_seconds, preset, &mut changes);
    let upright = geometry::upright(video);
    let videos = geometry::fit_ladder(preset.ladder.rungs(), upright, &mut changes);
    let audios = plan_audio(preset, &media.audio, lead_micros, &mut changes);
    let tone_map = video.colour.is_hdr().then(|| video.colour.clone());
    let picture = Picture {
        stream: video.index,
        deinterlace: video.interlaced,
        rotation: video.rotation,
        colour: if tone_map.is_some() { bt709() } else { tagged(video) },
        tone_map,
    };
    Ok(Plan { lead_micros, picture, grid, videos, audios, changes, x264_preset: preset.video.x264_preset })
}

/// The longest sound before the first picture that is cut. An AAC encoder's priming is up to 46 ms (1024 samples at
/// 22 050 Hz), which Matroska and MPEG-TS show as sound that comes early. The pictures would lie beside the frame grid
/// otherwise, moved by up to half a frame, and with the first one doubled.
const LONGEST_LEAD_MICROS: u32 = 50_000;

fn lead_micros(video: &VideoFacts) -> u32 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float to integer cast saturates")]
    let micros = (video.starts_at_seconds * 1e6).round() as u32;
    if micros <= LONGEST_LEAD_MICROS { micros } else { 0 }
}

fn no_video(preset: &Preset, media: &MediaFacts) -> Failure {
    let has = if media.audio.is_empty() { "no audio either" } else { "only audio" };
    let message = format!("it has no video track ({has}), and preset {} makes video", preset.name);
    Failure::new(ErrorKind::BadSource, message).hint("choose a source with moving pictures")
}

fn picture_changes(video: &VideoFacts) -> Vec<String> {
    let mut changes = Vec::new();
    if video.interlaced {
        changes.push("deinterlaced".to_owned());
    }
    if video.rotation != Rotation::None {
        changes.push(format!("rotated {}", video.rotation.degrees()));
    }
    if Some(video.sample_aspect) != Rational::whole(1) {
        changes.push(format!("made pixels square: they were {}", video.sample_aspect));
    }
    if video.colour.is_hdr() {
        changes.push("tone-mapped from HDR to SDR".to_owned());
    }
    if video.colour.range.as_deref() == Some("pc") {
        changes.push("full range made video range".to_owned());
    }
    changes
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float to integer cast saturates")]
fn ends_at_ms(track: &AudioFacts, lead_micros: u32) -> Option<u64> {
    let lasts = track.duration_seconds.filter(|d| *d > 0.0)?;
    Some(((track.starts_at_seconds + lasts) * 1e3 - f64::from(lead_micros) / 1e3) as u64)
}

fn plan_audio(preset: &Preset, tracks: &[AudioFacts], lead_micros: u32, changes: &mut Vec<String>) -> Vec<AudioPlan> {
    let recipe = &preset.audio;
    let mut plans = Vec::new();
    for (n, track) in tracks.iter().enumerate() {
        let channels = track.channels.clamp(1, recipe.channels.get());
        let name = if n == 0 { "audio".to_owned() } else { format!("audio-{}", n + 1) };
        if channels < track.channels {
            changes.push(format!("{name}: {} channels mixed down to {channels}", track.channels));
        }
        if track.starts_at_seconds > 0.05 {
            changes
                .push(format!("{name}: started {:.2} s late: kept, with silence before it", track.starts_at_seconds));
        }
        plans.push(AudioPlan {
            name,
            stream: track.index,
            bitrate_bps: recipe.bitrate_bps.get(),
            sample_rate: recipe.sample_rate.get(),
            channels,
            language: track.language.clone(),
            ends_at_ms: ends_at_ms(track, lead_micros),
        });
    }
    plans
}

fn bt709() -> Colour {
    let tag = || Some("bt709".to_owned());
    Colour { primaries: tag(), transfer: tag(), matrix: tag(), range: Some("tv".to_owned()) }
}

/// The source's own tags; where it has none, those that its size suggests (ITU-R BT.709 from 720 lines up, else BT.601).
fn tagged(video: &VideoFacts) -> Colour {
    let guess = if video.width.min(video.height) >= 720 { "bt709" } else { "smpte170m" };
    let or_guess = |tag: &Option<String>| Some(tag.clone().unwrap_or_else(|| guess.to_owned()));
    let colour = &video.colour;
    Colour {
        primaries: or_guess(&colour.primaries),
        transfer: or_guess(&colour.transfer),
        matrix: or_guess(&colour.matrix),
        range: Some("tv".to_owned()),
    }
}

#[cfg(test)]
pub(crate) mod tests;
