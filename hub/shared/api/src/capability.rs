//! What a node can encode: facts, each proven by a short real encode.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::preset::VideoCodec;

/// One fact: an engine encodes a codec at a depth, up to a size, so fast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capability {
    /// The engine: `software`, `nvenc`, `jetson`.
    pub engine: String,
    /// The codec.
    pub codec: VideoCodec,
    /// Bits of a sample.
    pub depth: u32,
    /// Pixels across of the largest picture that was tried.
    pub width: u32,
    /// Pixels down of it.
    pub height: u32,
    /// Seconds of video at 30 frames per second that were made per second at that size, the program's start included.
    pub speed: f64,
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { engine, codec, depth, width, height, speed } = self;
        let digits = if *speed < 1.0 { 2 } else { 1 };
        write!(f, "{} {depth} bit up to {width}x{height} by {engine} at {speed:.digits$}x", codec.as_str())
    }
}
