//! What may run at once: encoder sessions of this worker, and encoder sessions and a rate of pixels of the node, over all its
//! workers.

mod claims;
mod node;
mod seat;
mod slots;

pub use claims::PATIENCE;
pub use node::{Node, Share};
pub use seat::{Seat, Seats};

use crate::plan::{Plan, weight};

/// How much a task takes while it encodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Encoder sessions: one for each rendition with pictures. What has none counts as one.
    pub sessions: u64,
    /// Pixels per second of the source, of all renditions.
    pub pixels: u64,
}

impl Load {
    /// That of a plan.
    pub fn of(plan: &Plan) -> Self {
        let sessions = u64::try_from(plan.videos().len()).unwrap_or(u64::MAX).max(1);
        Self { sessions, pixels: weight::pixel_rate(plan) }
    }
}
