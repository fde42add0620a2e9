//! What arrived whole: the gateway's own record, and the only proof that a run succeeded.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use reelmill_api::Failure;
use tokio::sync::Notify;

use super::Awaited;
use crate::{
    fmp4::{BoxScanner, InitFacts, NotFmp4, SegmentFacts},
    storyboard::jpeg::Sheet,
};

/// The record of one run.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// By rendition.
    pub arrived: BTreeMap<String, Arrived>,
    /// Sheets of small pictures by index.
    pub sheets: BTreeMap<u64, Sheet>,
    /// Subtitle tracks by rendition.
    pub texts: BTreeMap<String, Words>,
    /// The first thing that went wrong.
    pub failure: Option<Failure>,
    /// Files that are being taken.
    pub(super) under_way: usize,
    /// Told whenever a file is settled.
    pub(super) changed: Arc<Notify>,
}

impl Record {
    /// Whether nothing more will come: all that is awaited is complete, or something failed, and nothing is under way.
    pub(super) fn is_settled(&self, awaited: &Awaited) -> bool {
        let complete = |name: &String| self.arrived.get(name).is_some_and(Arrived::is_whole);
        let all = || {
            awaited.renditions.iter().all(complete)
                && awaited.texts.iter().all(|name| self.texts.contains_key(name))
                && awaited.storyboard.is_none_or(|plan| self.sheets.len() as u64 >= plan.sheets(self.frames(awaited)))
        };
        self.under_way == 0 && (self.failure.is_some() || all())
    }

    /// Frames of the first rendition, a video where there is a storyboard.
    fn frames(&self, awaited: &Awaited) -> u64 {
        let first = awaited.renditions.first().and_then(|name| self.arrived.get(name));
        first.map_or(0, |arrived| arrived.segments.values().map(|segment| segment.samples).sum())
    }
}

/// A subtitle track as the media process printed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Words {
    /// All of it.
    Whole(Vec<u8>),
    /// More than is held of a track; thrown away.
    TooMany,
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
    /// Files that are being taken or were, of whatever kind.
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
