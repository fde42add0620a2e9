//! How sound is encoded.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::number::bounded;

/// How sound is encoded. Every track of a source is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AudioRecipe {
    /// The codec.
    pub codec: AudioCodec,
    /// Bits per second; of no meaning for PCM.
    pub bitrate_bps: NonZeroU32,
    /// Samples per second.
    pub sample_rate: NonZeroU32,
    /// Channels at most; a source with more is mixed down. Absent: as many as the source has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<NonZeroU32>,
    /// Bits per second of a second rendition with all channels, for tracks that have more; absent: none is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surround_bps: Option<NonZeroU32>,
    /// The loudness that every track is brought to; absent: it stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loudness_lufs: Option<Loudness>,
}

/// Audio codecs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AudioCodec {
    /// AAC-LC.
    Aac,
    /// Uncompressed, 24 bit.
    Pcm,
}

bounded! {
    /// Integrated loudness by EBU R 128 in LUFS, -70 to -5.
    Loudness(f64), "f64", |lufs| (-70.0..=-5.0).contains(&lufs), "{n} is not a loudness from -70 to -5 LUFS"
}
