//! What a worker and its GStreamer child say to each other: the order of a graph, frames in IVF, and the ways the child may end.
//! Only the child itself needs GStreamer.

pub mod ending;
pub mod graph;
pub mod ivf;
pub mod order;

pub use ending::Ending;
pub use order::{Codec, FrameRate, Order, Rung, Wish};
