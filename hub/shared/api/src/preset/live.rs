//! Live streams: HLS with a sliding window.

use serde::{Deserialize, Serialize};

use super::{Ladder, SegmentSeconds};

/// A live ladder: runs until it is stopped, and comes back after its source drops.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveRecipe {
    /// Length of a segment in seconds; cut at the nearest whole frame.
    pub segment_seconds: SegmentSeconds,
    /// Segments that a playlist lists at once.
    pub window: Window,
    /// The wished rungs, largest first.
    pub rungs: Ladder,
}

/// Segments in a sliding window: 3 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Window(u32);

impl Window {
    /// How many.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Window {
    type Error = String;

    fn try_from(n: u32) -> Result<Self, Self::Error> {
        if (3..=100).contains(&n) { Ok(Self(n)) } else { Err(format!("{n} segments is no window from 3 to 100")) }
    }
}

impl From<Window> for u32 {
    fn from(w: Window) -> Self {
        w.0
    }
}
