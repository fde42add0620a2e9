//! What an attempt made and verified, whatever product it is.

use reelmill_api::{Rendition, layout, rendition::Track, report::Sheets};

use crate::verify::{Verified, files::VerifiedFiles};

/// A verified output that is not published yet.
pub(super) enum Made {
    /// A ladder.
    Ladder(Verified),
    /// Single files.
    Files(VerifiedFiles),
}

impl Made {
    /// The file that a player opens, relative to the output.
    pub(super) fn entry(&self) -> &str {
        let first = match self {
            Self::Ladder(_) => None,
            Self::Files(files) => files.renditions.first(),
        };
        match first.map(|rendition| &rendition.track) {
            Some(Track::File { path, .. }) => path,
            _ => layout::MASTER_PLAYLIST,
        }
    }

    /// What was made.
    pub(super) fn renditions(&self) -> Vec<Rendition> {
        match self {
            Self::Ladder(ladder) => ladder.renditions.iter().map(|made| made.rendition.clone()).collect(),
            Self::Files(files) => files.renditions.clone(),
        }
    }

    /// The checks that it passed.
    pub(super) fn checks(&self) -> &[String] {
        match self {
            Self::Ladder(ladder) => &ladder.checks,
            Self::Files(files) => &files.checks,
        }
    }

    /// What was seen of the source that the plan could not know.
    pub(super) fn remarks(&self) -> &[String] {
        match self {
            Self::Ladder(ladder) => &ladder.remarks,
            Self::Files(files) => &files.remarks,
        }
    }

    /// Its small pictures for seeking.
    pub(super) fn storyboard(&self) -> Option<Sheets> {
        match self {
            Self::Ladder(ladder) => ladder.storyboard,
            Self::Files(_) => None,
        }
    }

    /// How long it lasts, in seconds.
    pub(super) fn seconds(&self) -> f64 {
        match self {
            Self::Ladder(ladder) => ladder.renditions.first().map_or(0.0, |made| made.rendition.duration_seconds),
            Self::Files(files) => files.renditions.first().map_or(0.0, |rendition| rendition.duration_seconds),
        }
    }
}
