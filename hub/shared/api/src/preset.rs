//! Named encoding recipes, read from TOML.

use std::{fmt, num::NonZeroU32, str::FromStr};

use serde::{Deserialize, Serialize};

/// The presets that come with Reelmill, as (file name, text).
pub const BUILT_IN: &[(&str, &str)] = &[("hls-ladder.toml", include_str!("../../../presets/hls-ladder.toml"))];

/// A preset's name: 1 to 40 lower-case letters, digits and hyphens, starting with a letter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PresetName(String);

/// Text that cannot name a preset.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` cannot name a preset: use up to 40 lower-case letters, digits and hyphens, starting with a letter")]
pub struct BadPresetName(String);

impl PresetName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PresetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PresetName {
    type Err = BadPresetName;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let ok = (1..=40).contains(&s.len())
            && s.starts_with(|c: char| c.is_ascii_lowercase())
            && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if ok { Ok(Self(s.to_owned())) } else { Err(BadPresetName(s.to_owned())) }
    }
}

impl TryFrom<String> for PresetName {
    type Error = BadPresetName;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<PresetName> for String {
    fn from(n: PresetName) -> Self {
        n.0
    }
}

/// A recipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// Its name.
    pub name: PresetName,
    /// What it is for, in plain words.
    pub description: String,
    /// Length of a segment in seconds; cut at the nearest whole frame.
    pub segment_seconds: SegmentSeconds,
    /// The highest frame rate it makes; a faster source is halved until it fits.
    pub max_frame_rate: NonZeroU32,
    /// Whether software may do what hardware cannot.
    #[serde(default)]
    pub fallback: Fallback,
    /// How video is encoded.
    pub video: VideoRecipe,
    /// How audio is encoded.
    pub audio: AudioRecipe,
    /// The wished rungs, largest first.
    pub ladder: Ladder,
}

/// Length of a segment: 1 to 10 whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct SegmentSeconds(u32);

impl SegmentSeconds {
    /// Seconds.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for SegmentSeconds {
    type Error = String;

    fn try_from(n: u32) -> Result<Self, Self::Error> {
        if (1..=10).contains(&n) {
            Ok(Self(n))
        } else {
            Err(format!("{n} seconds is not a segment length from 1 to 10"))
        }
    }
}

impl From<SegmentSeconds> for u32 {
    fn from(s: SegmentSeconds) -> Self {
        s.0
    }
}

/// Whether software may do what hardware cannot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fallback {
    /// Give the task back for a node whose hardware can.
    Forbid,
    /// Encode in software, and say so.
    #[default]
    Allow,
}

/// How video is encoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VideoRecipe {
    /// The codec.
    pub codec: VideoCodec,
    /// x264's speed preset for the software engine.
    #[serde(default)]
    pub x264_preset: X264Preset,
}

/// Video codecs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VideoCodec {
    /// H.264, 8 bit 4:2:0, High profile.
    H264,
}

/// x264's speed presets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum X264Preset {
    /// Least work.
    Ultrafast,
    /// Very little work.
    Superfast,
    /// Little work.
    Veryfast,
    /// Less work than `fast`.
    Faster,
    /// The default here: most of the quality for half the time of `medium`.
    #[default]
    Fast,
    /// x264's own default.
    Medium,
    /// More work for a little quality.
    Slow,
}

impl X264Preset {
    /// x264's name for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ultrafast => "ultrafast",
            Self::Superfast => "superfast",
            Self::Veryfast => "veryfast",
            Self::Faster => "faster",
            Self::Fast => "fast",
            Self::Medium => "medium",
            Self::Slow => "slow",
        }
    }
}

/// How audio is encoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AudioRecipe {
    /// The codec.
    pub codec: AudioCodec,
    /// Bits per second.
    pub bitrate_bps: NonZeroU32,
    /// Samples per second.
    pub sample_rate: NonZeroU32,
    /// Channels; a source with more is mixed down.
    pub channels: NonZeroU32,
}

/// Audio codecs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AudioCodec {
    /// AAC-LC.
    Aac,
}

/// The wished rungs, largest first, at least one, no name twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Rung>", into = "Vec<Rung>")]
pub struct Ladder(Vec<Rung>);

impl Ladder {
    /// The rungs, largest first.
    pub fn rungs(&self) -> &[Rung] {
        &self.0
    }
}

impl TryFrom<Vec<Rung>> for Ladder {
    type Error = String;

    fn try_from(rungs: Vec<Rung>) -> Result<Self, Self::Error> {
        if rungs.is_empty() {
            return Err("a ladder needs at least one rung".to_owned());
        }
        for pair in rungs.windows(2) {
            if pair[1].long_side >= pair[0].long_side || pair[1].short_side >= pair[0].short_side {
                return Err(format!("rung {} must be smaller than {} before it", pair[1].name, pair[0].name));
            }
        }
        Ok(Self(rungs))
    }
}

impl From<Ladder> for Vec<Rung> {
    fn from(l: Ladder) -> Self {
        l.0
    }
}

/// One wished rung: a box that the upright picture is fitted into, whichever way it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rung {
    /// Its name, which becomes its rendition's folder.
    pub name: RungName,
    /// The box's long side in pixels.
    pub long_side: NonZeroU32,
    /// The box's short side in pixels.
    pub short_side: NonZeroU32,
    /// Constant rate factor: the quality aimed at.
    pub crf: Crf,
    /// Highest rate that the rate control allows, bits per second.
    pub max_bps: NonZeroU32,
}

/// x264's constant rate factor, 0 (lossless) to 51.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Crf(u8);

impl Crf {
    /// The factor.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Crf {
    type Error = String;

    fn try_from(n: u8) -> Result<Self, Self::Error> {
        if n <= 51 { Ok(Self(n)) } else { Err(format!("{n} is not a constant rate factor from 0 to 51")) }
    }
}

impl From<Crf> for u8 {
    fn from(c: Crf) -> Self {
        c.0
    }
}

/// A rung's name: 1 to 20 lower-case letters, digits and hyphens. `audio` is taken.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RungName(String);

impl fmt::Display for RungName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for RungName {
    type Error = String;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        let ok = (1..=20).contains(&s.len())
            && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !s.starts_with("audio");
        if ok {
            Ok(Self(s))
        } else {
            Err(format!(
                "`{s}` cannot name a rung: use up to 20 lower-case letters, digits and hyphens, not starting with `audio`"
            ))
        }
    }
}

impl From<RungName> for String {
    fn from(n: RungName) -> Self {
        n.0
    }
}

/// Presets by name: the built-in ones, overridden by a user's own of the same name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Presets(Vec<Preset>);

impl Presets {
    /// The presets that come with Reelmill.
    pub fn built_in() -> Self {
        let parse =
            |&(file, text): &(&str, &str)| Preset::from_toml(file, text).expect("a test parses every built-in preset");
        Self(BUILT_IN.iter().map(parse).collect())
    }

    /// Adds a preset; one of the same name gives way to it.
    pub fn add(&mut self, preset: Preset) {
        self.0.retain(|p| p.name != preset.name);
        self.0.push(preset);
    }

    /// Adds presets of a user's own, given as (file name, text).
    ///
    /// # Errors
    /// The first that is wrong, with file, line and column.
    pub fn add_files(&mut self, files: &[(String, String)]) -> Result<(), String> {
        for (file, text) in files {
            self.add(Preset::from_toml(file, text)?);
        }
        Ok(())
    }

    /// The preset of that name.
    pub fn get(&self, name: &PresetName) -> Option<&Preset> {
        self.0.iter().find(|p| p.name == *name)
    }

    /// All names, sorted.
    pub fn names(&self) -> Vec<&PresetName> {
        let mut names: Vec<_> = self.0.iter().map(|p| &p.name).collect();
        names.sort();
        names
    }

    /// All presets.
    pub fn iter(&self) -> impl Iterator<Item = &Preset> {
        self.0.iter()
    }
}

impl Preset {
    /// A preset from TOML text; `file` names it in errors.
    ///
    /// # Errors
    /// What is wrong, with file, line and column.
    pub fn from_toml(file: &str, text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|e| {
            let (line, column) = e.span().map_or((1, 1), |s| line_and_column(text, s.start));
            format!("{file}:{line}:{column}: {}", e.message())
        })
    }
}

/// Line and column (both from 1, the column in characters) of a byte offset.
pub fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_preset_parses_and_is_named_like_its_file() {
        for (file, text) in BUILT_IN {
            let preset = Preset::from_toml(file, text).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(*file, format!("{}.toml", preset.name));
        }
    }

    #[test]
    fn a_preset_of_ones_own_overrides_the_built_in_one() {
        let text = BUILT_IN[0].1.replace("segment_seconds = 4", "segment_seconds = 6");
        let mut presets = Presets::built_in();
        presets.add_files(&[("mine.toml".to_owned(), text)]).expect("a good preset");
        let name = "hls-ladder".parse().expect("a name");
        assert_eq!(presets.get(&name).map(|p| p.segment_seconds.get()), Some(6));
        assert_eq!(presets.names().len(), BUILT_IN.len());
    }

    fn check_error(change: (&str, &str), want: &str) {
        let (_, text) = BUILT_IN[0];
        assert!(text.contains(change.0), "the preset holds {}", change.0);
        let error = Preset::from_toml("mine.toml", &text.replacen(change.0, change.1, 1)).expect_err("a bad preset");
        assert!(error.starts_with("mine.toml:") && error.contains(want), "{error}");
    }

    #[test]
    fn a_bad_preset_is_refused_with_line_and_column() {
        check_error(("segment_seconds = 4", "segment_seconds = 0"), "segment length");
        check_error(("codec = \"h264\"", "codec = \"h265x\""), "h265x");
        check_error(("[audio]", "colour = 1\n[audio]"), "colour");
        check_error(("name = \"720p\"", "name = \"../etc\""), "cannot name a rung");
        check_error(("short_side = 720", "short_side = 1080"), "must be smaller");
    }
}
