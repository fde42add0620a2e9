//! What a rung or an audio track became for one source: figures read from the bytes that were stored.

use serde::{Deserialize, Serialize};

use crate::Rational;

/// One rendition of an output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rendition {
    /// Its name and folder, e.g. `720p`, `audio`.
    pub name: String,
    /// Its codec by RFC 6381, e.g. `avc1.64001f`, `mp4a.40.2`.
    pub codecs: String,
    /// What kind of track it is.
    #[serde(flatten)]
    pub track: Track,
    /// Segments stored; none of a single file.
    pub segments: u64,
    /// Frames, audio packets or subtitle lines stored.
    pub samples: u64,
    /// Length in seconds.
    pub duration_seconds: f64,
    /// Mean bit rate over the whole rendition, bits per second.
    pub average_bps: u64,
    /// Highest bit rate of any segment, of a single file of any second, bits per second.
    pub peak_bps: u64,
    /// Bytes stored, init segment included.
    pub bytes: u64,
}

/// What kind of track a rendition is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "track", rename_all = "snake_case")]
pub enum Track {
    /// Moving pictures.
    Video {
        /// Width in square pixels.
        width: u32,
        /// Height in square pixels.
        height: u32,
        /// Frames per second.
        frame_rate: Rational,
        /// Its dynamic range.
        #[serde(default, skip_serializing_if = "DynamicRange::is_standard")]
        dynamic_range: DynamicRange,
    },
    /// Sound.
    Audio {
        /// Channels.
        channels: u32,
        /// Samples per second.
        sample_rate: u32,
        /// Its language where the source says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        language: Option<String>,
        /// Whether it is the second one of its track, with all channels.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        surround: bool,
    },
    /// Subtitles as WebVTT.
    Text {
        /// Their language where the source says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        language: Option<String>,
        /// Whether they are for those parts only that everyone needs, such as foreign dialogue.
        #[serde(default)]
        forced: bool,
        /// Whether they also tell sounds, for those who cannot hear them.
        #[serde(default)]
        hearing_impaired: bool,
    },
    /// Pictures with all sound in a file of their own.
    File {
        /// Where it lies, relative to the output, e.g. `a1-7f3c9d2b/archive-prores.mov`.
        path: String,
        /// Width in square pixels.
        width: u32,
        /// Height in square pixels.
        height: u32,
        /// Frames per second.
        frame_rate: Rational,
        /// Its audio tracks, in order.
        sounds: Vec<Sound>,
        /// The time code of its first frame, where it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timecode: Option<String>,
    },
}

/// How bright and how dark pictures can be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DynamicRange {
    /// As on every screen.
    #[default]
    Sdr,
    /// High, by the perceptual quantiser (SMPTE ST 2084).
    Pq,
    /// High, by hybrid log-gamma (ARIB STD-B67).
    Hlg,
}

impl DynamicRange {
    /// Whether it is that of every screen.
    pub fn is_standard(&self) -> bool {
        *self == Self::Sdr
    }

    /// Its name in playlists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sdr => "SDR",
            Self::Pq => "PQ",
            Self::Hlg => "HLG",
        }
    }
}

/// One audio track of a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sound {
    /// Channels.
    pub channels: u32,
    /// Samples per second.
    pub sample_rate: u32,
    /// Its language where the source says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}
