//! What arrived whole: the gateway's own record, and the only proof that a run succeeded.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use reelmill_api::Failure;
use tokio::sync::Notify;

use crate::fmp4::{InitFacts, SegmentFacts};

/// The record of one run.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// By rendition.
    pub arrived: BTreeMap<String, Arrived>,
    /// The first thing that went wrong.
    pub failure: Option<Failure>,
    /// Files that are being taken.
    pub(super) under_way: usize,
    /// Told whenever a file is settled.
    pub(super) changed: Arc<Notify>,
}

impl Record {
    /// Whether nothing more will come: all renditions are complete, or something failed, and nothing is under way.
    pub(super) fn is_settled(&self, renditions: &[String]) -> bool {
        let complete = |name: &String| self.arrived.get(name).is_some_and(|a| a.complete);
        self.under_way == 0 && (self.failure.is_some() || renditions.iter().all(complete))
    }
}

/// What arrived of one rendition: stored whole in the store, read from its bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arrived {
    /// The init segment and its size.
    pub init: Option<(InitFacts, u64)>,
    /// Segments by index.
    pub segments: BTreeMap<u64, SegmentFacts>,
    /// Whether the media process said that it was through.
    pub complete: bool,
    /// Files that are being taken or were.
    pub(super) begun: BTreeSet<String>,
}
