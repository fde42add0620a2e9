//! How moving pictures are encoded.

use std::{fmt, num::NonZeroU32};

use serde::{Deserialize, Serialize};

use super::number::bounded;

/// How moving pictures are encoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VideoRecipe {
    /// The codec.
    pub codec: VideoCodec,
    /// How much work a software encoder puts into each bit. Hardware has an effort of its own (`NVENC_PRESET`).
    #[serde(default)]
    pub effort: Effort,
    /// What becomes of a source with a high dynamic range. H.264 is always tone-mapped.
    #[serde(default)]
    pub hdr: Hdr,
    /// The highest frame rate; a faster source is halved until it fits.
    pub max_frame_rate: NonZeroU32,
    /// The least VMAF that each sampled segment of a ladder's largest rendition must have, where the node's ffmpeg can
    /// measure it; absent: it is not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vmaf_min: Option<VmafFloor>,
}

/// Video codecs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VideoCodec {
    /// H.264, 8 bit 4:2:0, High profile.
    H264,
    /// H.265, Main profile, or Main 10 where a high dynamic range is kept.
    Hevc,
    /// AV1, Main profile, 8 bit, or 10 where a high dynamic range is kept.
    Av1,
    /// Apple ProRes 422 HQ, 10 bit 4:2:2.
    Prores,
    /// Avid DNxHR: HQX for sources of more than 8 bit, else HQ; 4:2:2.
    Dnxhr,
}

impl VideoCodec {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::H264, Self::Hevc, Self::Av1, Self::Prores, Self::Dnxhr];

    /// Whether it is made for editing and keeping: every frame by itself, at a rate that follows from its size.
    pub fn is_mezzanine(self) -> bool {
        matches!(self, Self::Prores | Self::Dnxhr)
    }

    /// The name in presets and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::Hevc => "hevc",
            Self::Av1 => "av1",
            Self::Prores => "prores",
            Self::Dnxhr => "dnxhr",
        }
    }
}

impl fmt::Display for VideoCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::H264 => "H.264",
            Self::Hevc => "HEVC",
            Self::Av1 => "AV1",
            Self::Prores => "ProRes",
            Self::Dnxhr => "DNxHR",
        })
    }
}

/// How much work a software encoder does, by x264's words; other encoders' levels are matched to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
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

impl Effort {
    /// The name that x264 and x265 use.
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

/// What becomes of a high dynamic range (PQ, HLG).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hdr {
    /// It stays, with its metadata, where the codec can carry it.
    #[default]
    Keep,
    /// It is made what every screen shows.
    ToneMap,
}

bounded! {
    /// Constant rate factor: the quality aimed at, 0 (best) to 63; each encoder has a scale of its own (x264 and x265 to 51,
    /// SVT-AV1 to 63).
    #[derive(Eq)]
    Crf(u8), "u8", |n| n <= 63, "{n} is not a constant rate factor from 0 to 63"
}

bounded! {
    /// A least VMAF score (Netflix's model v0.6.1): 1 to 100, which is as good as the source.
    #[derive(Eq)]
    VmafFloor(u32), "u32", |n| (1..=100).contains(&n), "{n} is not a VMAF score from 1 to 100"
}

impl Crf {
    /// The worst quality that `codec`'s encoder has.
    pub fn worst(codec: VideoCodec) -> u8 {
        if codec == VideoCodec::Av1 { 63 } else { 51 }
    }
}
