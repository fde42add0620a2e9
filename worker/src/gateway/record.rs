//! What arrived whole: the gateway's own record, and the only proof that a run succeeded.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use reelmill_api::Failure;
use tokio::sync::Notify;

use crate::fmp4::{BoxScanner, InitFacts, NotFmp4, SegmentFacts};

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
        let complete = |name: &String| self.arrived.get(name).is_some_and(Arrived::is_whole);
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
    /// How many segments the media process said there are, once it was through.
    pub listed: Option<u64>,
    /// Files that are being taken or were.
    pub(super) begun: BTreeSet<String>,
    /// Segments that were stored before their init segment, and can be read only with it.
    waiting: Vec<(u64, BoxScanner)>,
}

impl Arrived {
    fn is_whole(&self) -> bool {
        let all = self.listed.is_some_and(|listed| self.segments.len() as u64 >= listed);
        all && self.init.is_some() && self.waiting.is_empty()
    }

    /// Notes a stored init segment, and reads the segments that waited for it.
    pub(super) fn note_init(&mut self, scanner: BoxScanner) -> Result<(), NotFmp4> {
        let bytes = scanner.bytes();
        let init = scanner.init()?;
        for (index, segment) in std::mem::take(&mut self.waiting) {
            self.segments.insert(index, segment.segment(&init)?);
        }
        self.init = Some((init, bytes));
        Ok(())
    }

    /// Notes a stored segment. The two may come on connections of their own, so the init segment may still be under way.
    pub(super) fn note_segment(&mut self, index: u64, scanner: BoxScanner) -> Result<(), NotFmp4> {
        match &self.init {
            Some((init, _)) => drop(self.segments.insert(index, scanner.segment(init)?)),
            None => self.waiting.push((index, scanner)),
        }
        Ok(())
    }
}
