//! Live streams: HLS with a sliding window.

use serde::{Deserialize, Serialize};

use super::number::bounded;
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

bounded! {
    /// Segments in a sliding window: 3 to 100.
    #[derive(Eq)]
    Window(u32), "u32", |n| (3..=100).contains(&n), "{n} segments is no window from 3 to 100"
}
