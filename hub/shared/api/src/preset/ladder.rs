//! Adaptive ladders: segments for HLS and DASH.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::number::bounded;
use super::{Crf, OutputName, VideoCodec};

/// A ladder of renditions in CMAF segments, with an HLS multivariant playlist and a DASH manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LadderRecipe {
    /// Length of a segment in seconds; cut at the nearest whole frame.
    pub segment_seconds: SegmentSeconds,
    /// Whether text subtitles become WebVTT renditions. Default: yes.
    #[serde(default = "yes")]
    pub subtitles: bool,
    /// Small pictures for seeking; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storyboard: Option<Storyboard>,
    /// The wished rungs, largest first.
    pub rungs: Ladder,
}

fn yes() -> bool {
    true
}

/// Sheets of small pictures, and a WebVTT index that says which is where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storyboard {
    /// Seconds from one picture to the next.
    pub every_seconds: SegmentSeconds,
    /// The long side of each in pixels.
    pub long_side: Side,
    /// Pictures in a row of a sheet.
    pub columns: Tiles,
    /// Rows of a sheet.
    pub rows: Tiles,
}

bounded! {
    /// A side of a small picture: 32 to 640 pixels.
    #[derive(Eq)]
    Side(u32), "u32", |n| (32..=640).contains(&n), "{n} pixels is no side from 32 to 640"
}

bounded! {
    /// Pictures side by side: 1 to 10.
    #[derive(Eq)]
    Tiles(u32), "u32", |n| (1..=10).contains(&n), "{n} is no number of pictures from 1 to 10"
}

bounded! {
    /// Length of a segment: 1 to 10 whole seconds.
    #[derive(Eq)]
    SegmentSeconds(u32), "u32", |n| (1..=10).contains(&n), "{n} seconds is not a segment length from 1 to 10"
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
    pub name: OutputName,
    /// The box's long side in pixels.
    pub long_side: NonZeroU32,
    /// The box's short side in pixels.
    pub short_side: NonZeroU32,
    /// Its codec, where it differs from the preset's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codec: Option<VideoCodec>,
    /// Constant rate factor: the quality aimed at.
    pub crf: Crf,
    /// Highest rate that the rate control allows, bits per second.
    pub max_bps: NonZeroU32,
}
