//! The order: one JSON document on the child's standard input.

use std::{num::NonZeroU32, path::PathBuf};

use serde::{Deserialize, Serialize};

/// All that the child is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Where plug-ins lie, in the order in which to look.
    pub plugin_folders: Vec<PathBuf>,
    /// The plug-ins that are loaded, and no others: what is not here cannot be reached by a hostile source. Releases
    /// differ in how elements are parted into plug-ins, so one that is missing is told only if an element is.
    pub plugins: Vec<String>,
    /// The pipeline in GStreamer's words. Frames enter an element called `grid`.
    pub pipeline: String,
    /// Properties that only some releases or chips have.
    pub wishes: Vec<Wish>,
    /// Where the first picture belongs, in microseconds from the grid's zero.
    pub first_picture_micros: u64,
    /// The constant rate of all rungs.
    pub frame_rate: FrameRate,
    /// What comes out; at least one.
    pub rungs: Vec<Rung>,
}

/// A property that is set where the element has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// The element's name.
    pub element: String,
    /// The property's name.
    pub property: String,
    /// Its value, in GStreamer's words.
    pub value: String,
}

/// Frames per second, as a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrameRate {
    /// Frames ...
    pub numerator: NonZeroU32,
    /// ... in so many seconds.
    pub denominator: NonZeroU32,
}

/// One stream of encoded frames.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rung {
    /// The name of its `fdsink`, which writes to an open file descriptor.
    pub sink: String,
    /// How its frames are encoded.
    pub codec: Codec,
    /// Pixels in a line.
    pub width: u16,
    /// Lines.
    pub height: u16,
}

/// How frames are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// H.264, Annex B, one access unit a frame.
    H264,
    /// H.265, Annex B, one access unit a frame.
    H265,
    /// AV1, one temporal unit a frame.
    Av1,
}

impl FrameRate {
    /// Which frame of the grid is shown at `nanos`.
    pub fn frame_at(self, nanos: u64) -> u64 {
        let per_frame = u128::from(self.denominator.get()) * 1_000_000_000;
        let frames = (u128::from(nanos) * u128::from(self.numerator.get()) + per_frame / 2) / per_frame;
        u64::try_from(frames).unwrap_or(u64::MAX)
    }

    /// When a frame of the grid is shown, in microseconds.
    pub fn micros(self, frame: u64) -> u64 {
        let micros = u128::from(frame) * u128::from(self.denominator.get()) * 1_000_000;
        u64::try_from(micros / u128::from(self.numerator.get())).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(numerator: u32, denominator: u32) -> FrameRate {
        let number = |n| NonZeroU32::new(n).expect("not zero");
        FrameRate { numerator: number(numerator), denominator: number(denominator) }
    }

    #[test]
    fn nanoseconds_that_were_rounded_give_back_the_frame() {
        for rate in [rate(24_000, 1001), rate(30_000, 1001), rate(25, 1), rate(120_000, 1001), rate(2983, 100)] {
            for frame in [0, 1, 2, 299, 107_892, 10_357_632] {
                let nanos = frame * u64::from(rate.denominator.get()) * 1_000_000_000 / u64::from(rate.numerator.get());
                for shifted in [nanos, nanos + 1, nanos.saturating_sub(1)] {
                    assert_eq!(rate.frame_at(shifted), frame, "{rate:?}");
                }
            }
        }
    }

    #[test]
    fn times_do_not_overflow() {
        assert_eq!(rate(u32::MAX, 1).frame_at(u64::MAX), u64::MAX);
        assert_eq!(rate(1, u32::MAX).micros(u64::MAX), u64::MAX);
        assert_eq!(rate(30_000, 1001).micros(30_000), 1_001_000_000);
    }
}
