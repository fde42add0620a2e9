//! Single files: archive masters, proxies, clips for social media.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::number::bounded;
use super::{Crf, OutputName, VideoCodec};

/// One file that a preset makes, with pictures and sound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRecipe {
    /// Its name, to which the container's ending is added.
    pub name: OutputName,
    /// Its container.
    pub container: Container,
    /// Its codec, where it differs from the preset's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codec: Option<VideoCodec>,
    /// How pictures fit into it; absent: the source's size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<Frame>,
    /// Constant rate factor: the quality aimed at. Codecs for editing have a quality of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crf: Option<Crf>,
    /// Highest rate that the rate control allows, bits per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bps: Option<NonZeroU32>,
    /// Seconds from one keyframe to the next at most. Codecs for editing have nothing else.
    #[serde(default = "two")]
    pub keyframe_seconds: super::SegmentSeconds,
}

fn two() -> super::SegmentSeconds {
    super::SegmentSeconds::try_from(2).expect("2 is from 1 to 10")
}

/// Containers of single files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Container {
    /// MP4, its index first (faststart).
    Mp4,
    /// QuickTime.
    Mov,
}

impl Container {
    /// The ending of a file's name, which is also the name of ffmpeg's muxer.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::Mov => "mov",
        }
    }
}

/// The frame that pictures are fitted into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frame {
    /// Pixels across.
    pub width: FrameSide,
    /// Pixels down.
    pub height: FrameSide,
    /// What is done with pictures of another shape.
    pub fit: Fit,
}

bounded! {
    /// A side of a frame: 16 to 8192 pixels, an even number.
    #[derive(Eq)]
    FrameSide(u32), "u32", |n| (16..=8192).contains(&n) && n.is_multiple_of(2), "{n} pixels is no even side from 16 to 8192"
}

/// What is done with pictures whose shape is not the frame's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// Made to lie within the frame and never enlarged; the file is as large as that.
    Inside,
    /// Made to fill the frame; what lies beyond it on both sides is cut.
    Crop,
    /// Made to lie within the frame, over an enlarged and blurred copy that fills it.
    Blur,
}
