//! From what is wanted of a source to the whole order: one decode, repaired once, brought to a constant rate, and parted
//! into the rungs. Which elements do it is read from tables, so tests run the graph of a Jetson on any machine.

mod elements;
#[cfg(test)]
mod tests;
mod text;

use std::path::PathBuf;

use crate::order::{Codec, FrameRate, Order, Rung};
pub use elements::Family;

/// What is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    /// Whose elements.
    pub family: Family,
    /// Where plug-ins lie.
    pub plugin_folders: Vec<PathBuf>,
    /// Where pictures come from.
    pub input: Input,
    /// Where its first picture belongs, in microseconds from the grid's zero.
    pub first_picture_micros: u64,
    /// Whether two fields are made one frame.
    pub deinterlace: bool,
    /// The turn that makes it upright.
    pub turn: Turn,
    /// The constant rate of all rungs.
    pub frame_rate: FrameRate,
    /// What comes out; at least one.
    pub rungs: Vec<RungWish>,
}

/// Where pictures come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A source that is read over HTTP.
    Http {
        /// Its address.
        url: String,
        /// Its video track.
        source: Source,
    },
    /// Pictures made on the spot, of the first rung's size: to prove that the rest works.
    Test {
        /// How many.
        pictures: u32,
    },
}

/// What must be known of a track to choose its decoder; the names are those of ffprobe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The codec.
    pub codec: String,
    /// The pixel format.
    pub pixel_format: String,
}

/// A turn of the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Turn {
    /// None.
    #[default]
    None,
    /// A quarter, clockwise.
    Cw90,
    /// Half.
    Half,
    /// A quarter, counterclockwise.
    Ccw90,
}

/// One rung.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RungWish {
    /// How its frames are encoded.
    pub codec: Codec,
    /// Bits of a sample: 8 or 10.
    pub depth: u8,
    /// Pixels in a line.
    pub width: u16,
    /// Lines.
    pub height: u16,
    /// Frames from one keyframe to the next.
    pub gop: u32,
    /// The rate aimed at, bits per second.
    pub bitrate_bps: u32,
    /// The highest rate, bits per second.
    pub peak_bps: u32,
    /// Constant rate factor, for encoders that have one.
    pub crf: u8,
    /// 1, the fastest, to 7, the best.
    pub preset: u8,
    /// The open file descriptor that its frames are written to.
    pub fd: i32,
}

/// Why there is no order for a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// No element decodes that source.
    Decode(Source),
    /// No element encodes that.
    Encode(Codec, u8),
}

impl std::error::Error for Unfit {}

impl std::fmt::Display for Unfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Decode(source) => {
                write!(f, "no GStreamer element of ours decodes {} in {}", source.codec, source.pixel_format)
            }
            Self::Encode(codec, depth) => write!(f, "no GStreamer element of ours encodes {codec:?} in {depth} bit"),
        }
    }
}

/// The order for a graph.
///
/// # Errors
/// If no element decodes the source or encodes a rung.
pub fn order(graph: &Graph) -> Result<Order, Unfit> {
    let (pipeline, wishes) = text::pipeline(graph)?;
    let rungs = graph.rungs.iter().enumerate().map(|(n, wish)| Rung {
        sink: text::sink(n),
        codec: wish.codec,
        width: wish.width,
        height: wish.height,
    });
    Ok(Order {
        plugin_folders: graph.plugin_folders.clone(),
        plugins: elements::plugins(graph.family).map(str::to_owned).collect(),
        pipeline,
        wishes,
        first_picture_micros: graph.first_picture_micros,
        frame_rate: graph.frame_rate,
        rungs: rungs.collect(),
    })
}
