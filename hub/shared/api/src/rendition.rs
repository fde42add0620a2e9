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
    /// Segments stored.
    pub segments: u64,
    /// Frames or audio packets stored.
    pub samples: u64,
    /// Length in seconds.
    pub duration_seconds: f64,
    /// Mean bit rate over the whole rendition, bits per second.
    pub average_bps: u64,
    /// Highest bit rate of any segment, bits per second.
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
    },
}
