//! Named encoding recipes, read from TOML.

mod audio;
mod files;
pub mod filter;
mod known;
mod ladder;
mod live;
mod names;
mod number;
mod settings;
#[cfg(test)]
mod tests;
mod video;

use serde::{Deserialize, Serialize};

pub use audio::{AudioCodec, AudioRecipe, Loudness};
pub use files::{Container, FileRecipe, Fit, Frame, FrameSide};
pub use filter::Filter;
pub use known::{BUILT_IN, Presets};
pub use ladder::{Ladder, LadderRecipe, Rung, SegmentSeconds, Side, Storyboard, Tiles};
pub use live::{LiveRecipe, Window};
pub use names::{BadPresetName, OutputName, PresetName};
pub use settings::Settings;
pub use video::{Crf, Effort, Hdr, VideoCodec, VideoRecipe, VmafFloor};

/// A recipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct Preset {
    /// Its name.
    pub name: PresetName,
    /// What it is for, in plain words.
    pub description: String,
    /// Whether software may do what hardware cannot.
    pub fallback: Fallback,
    /// What becomes of a source that is damaged in the middle.
    pub damage: Damage,
    /// Tags that a node must have to serve it.
    pub requires: Vec<Tag>,
    /// How pictures are encoded.
    pub video: VideoRecipe,
    /// How sound is encoded.
    pub audio: AudioRecipe,
    /// Extra filters, in order.
    pub filters: Vec<Filter>,
    /// What is made.
    pub product: Product,
}

/// What a preset makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Product {
    /// A ladder in segments.
    Ladder(LadderRecipe),
    /// One or more single files; the first is the one that a person opens.
    Files(Vec<FileRecipe>),
    /// A live ladder.
    Live(LiveRecipe),
}

impl Product {
    /// How many renditions with pictures it has at most.
    pub fn renditions(&self) -> usize {
        match self {
            Self::Ladder(ladder) => ladder.rungs.rungs().len(),
            Self::Files(files) => files.len(),
            Self::Live(live) => live.rungs.rungs().len(),
        }
    }
}

/// A preset as it is written: `[ladder]`, `[[files]]` or `[live]` says what is made.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    name: PresetName,
    description: String,
    #[serde(default)]
    fallback: Fallback,
    #[serde(default)]
    damage: Damage,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    requires: Vec<Tag>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    filters: Vec<Filter>,
    video: VideoRecipe,
    audio: AudioRecipe,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ladder: Option<LadderRecipe>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    live: Option<LiveRecipe>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    files: Vec<FileRecipe>,
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

/// What becomes of a source that is damaged in the middle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Damage {
    /// It is refused, with the reason.
    #[default]
    Refuse,
    /// What can be decoded is used, and the report says what could not.
    Tolerate,
}

/// A property that the owner gives to nodes, e.g. `lan`: 1 to 40 lower-case letters, digits and hyphens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag(String);

impl Tag {
    /// The tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Tag {
    type Error = String;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        let ok =
            (1..=40).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if ok {
            Ok(Self(s))
        } else {
            Err(format!("`{s}` is no tag: use up to 40 lower-case letters, digits and hyphens"))
        }
    }
}

impl From<Tag> for String {
    fn from(t: Tag) -> Self {
        t.0
    }
}

impl std::str::FromStr for Tag {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        s.to_owned().try_into()
    }
}

impl TryFrom<Document> for Preset {
    type Error = String;

    fn try_from(document: Document) -> Result<Self, Self::Error> {
        let Document { name, description, fallback, damage, requires, filters, video, audio, ladder, live, files } =
            document;
        let product = match (ladder, files.is_empty(), live) {
            (Some(ladder), true, None) => Product::Ladder(ladder),
            (None, false, None) => Product::Files(files),
            (None, true, Some(live)) => Product::Live(live),
            _ => {
                return Err(
                    "a preset makes one thing: give it [ladder], [[files]] or [live], and only one of them".to_owned()
                );
            }
        };
        let preset = Self { name, description, fallback, damage, requires, video, audio, filters, product };
        preset.check()?;
        Ok(preset)
    }
}

impl From<Preset> for Document {
    fn from(preset: Preset) -> Self {
        let Preset { name, description, fallback, damage, requires, video, audio, filters, product } = preset;
        let (mut ladder, mut live, mut files) = (None, None, Vec::new());
        match product {
            Product::Ladder(recipe) => ladder = Some(recipe),
            Product::Files(recipes) => files = recipes,
            Product::Live(recipe) => live = Some(recipe),
        }
        Self { name, description, fallback, damage, requires, filters, video, audio, ladder, live, files }
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
            format!("{file}:{line}:{column}: {}", crate::error::printable(e.message()))
        })
    }

    /// Whether it is for live sources.
    pub fn is_live(&self) -> bool {
        matches!(self.product, Product::Live(_))
    }

    /// The codecs of its pictures.
    pub fn codecs(&self) -> Vec<VideoCodec> {
        let own = |codec: Option<VideoCodec>| codec.unwrap_or(self.video.codec);
        let mut codecs: Vec<_> = match &self.product {
            Product::Ladder(LadderRecipe { rungs, .. }) | Product::Live(LiveRecipe { rungs, .. }) => {
                rungs.rungs().iter().map(|rung| own(rung.codec)).collect()
            }
            Product::Files(files) => files.iter().map(|file| own(file.codec)).collect(),
        };
        codecs.sort_by_key(|codec| codec.as_str());
        codecs.dedup();
        codecs
    }

    /// What no single value is wrong about, but several together are.
    fn check(&self) -> Result<(), String> {
        let own = |codec: Option<VideoCodec>| codec.unwrap_or(self.video.codec);
        match &self.product {
            Product::Ladder(LadderRecipe { rungs, .. }) | Product::Live(LiveRecipe { rungs, .. }) => {
                if self.audio.codec != AudioCodec::Aac {
                    return Err("segments hold AAC: set codec = \"aac\" under [audio]".to_owned());
                }
                for rung in rungs.rungs() {
                    check_rung(rung, own(rung.codec))?;
                }
                Ok(())
            }
            Product::Files(files) => {
                files.iter().try_for_each(|file| check_file(file, own(file.codec), self.audio.codec))
            }
        }
    }
}

fn check_rung(rung: &Rung, codec: VideoCodec) -> Result<(), String> {
    if codec.is_mezzanine() {
        return Err(format!("rung {}: {codec} does not go into segments", rung.name));
    }
    check_quality(&format!("rung {}", rung.name), rung.crf, codec)
}

fn check_quality(of: &str, crf: Crf, codec: VideoCodec) -> Result<(), String> {
    let worst = Crf::worst(codec);
    if crf.get() <= worst { Ok(()) } else { Err(format!("{of}: {codec} has constant rate factors from 0 to {worst}")) }
}

fn check_file(file: &FileRecipe, codec: VideoCodec, audio: AudioCodec) -> Result<(), String> {
    let of = format!("file {}", file.name);
    if file.container == Container::Mp4 && (codec.is_mezzanine() || audio == AudioCodec::Pcm) {
        return Err(format!("{of}: {codec} or PCM does not go into mp4: set container = \"mov\""));
    }
    match (file.crf, codec.is_mezzanine()) {
        (Some(_), true) => Err(format!("{of}: {codec} has a quality of its own, so crf means nothing")),
        (None, false) => Err(format!("{of}: crf is missing: the quality aimed at")),
        (Some(crf), false) => check_quality(&of, crf, codec),
        (None, true) => Ok(()),
    }
}

/// Line and column (both from 1, the column in characters) of a byte offset.
pub fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (line, column)
}
