//! Segments of all renditions put together to rows, whatever order they are stored in.

use std::collections::BTreeMap;

use super::state::Figures;
use crate::fmp4::{BoxScanner, InitFacts, NotFmp4};

/// A file of a session that is stored whole.
pub(super) struct Arrival {
    /// Which rendition's.
    pub(super) rendition: usize,
    /// Its index; `None`: the init segment.
    pub(super) index: Option<u64>,
    /// Its boxes.
    pub(super) boxes: BoxScanner,
}

/// What arrived of one session and is not listed yet.
#[derive(Default)]
pub(super) struct Rows {
    tracks: Vec<Track>,
    next: u64,
}

#[derive(Default)]
struct Track {
    init: Option<InitFacts>,
    waiting: BTreeMap<u64, BoxScanner>,
    bytes_before: u64,
}

impl Rows {
    /// For so many renditions.
    pub(super) fn new(renditions: usize) -> Self {
        Self { tracks: (0..renditions).map(|_| Track::default()).collect(), next: 0 }
    }

    /// Notes a stored file.
    ///
    /// # Errors
    /// If it is an init segment that cannot be read.
    pub(super) fn note(&mut self, arrival: Arrival) -> Result<(), NotFmp4> {
        let Some(track) = self.tracks.get_mut(arrival.rendition) else { return Ok(()) };
        match arrival.index {
            None => {
                track.bytes_before = arrival.boxes.bytes();
                track.init = Some(arrival.boxes.init()?);
            }
            Some(index) => drop(track.waiting.insert(index, arrival.boxes)),
        }
        Ok(())
    }

    /// The next row, once a segment of every rendition is there: its index and their figures.
    ///
    /// # Errors
    /// If one of them cannot be read.
    pub(super) fn take(&mut self) -> Result<Option<(u64, Vec<Figures>)>, NotFmp4> {
        let whole = |t: &Track| t.init.is_some() && t.waiting.contains_key(&self.next);
        if self.tracks.is_empty() || !self.tracks.iter().all(whole) {
            return Ok(None);
        }
        let index = self.next;
        self.next += 1;
        let figures = self.tracks.iter_mut().map(|track| track.figures(index)).collect::<Result<_, _>>()?;
        Ok(Some((index, figures)))
    }

    /// What the init segments say, in the order of the renditions, once all are there.
    pub(super) fn inits(&self) -> Option<Vec<&InitFacts>> {
        self.tracks.iter().map(|track| track.init.as_ref()).collect()
    }
}

impl Track {
    fn figures(&mut self, index: u64) -> Result<Figures, NotFmp4> {
        let (Some(init), Some(boxes)) = (&self.init, self.waiting.remove(&index)) else {
            unreachable!("the row was looked at before")
        };
        let facts = boxes.segment(init)?;
        let micros = u128::from(facts.ticks) * 1_000_000 / u128::from(init.timescale.max(1));
        Ok(Figures {
            micros: u64::try_from(micros).unwrap_or(u64::MAX),
            samples: facts.samples,
            // An init segment's bytes count with the first.
            bytes: facts.bytes + std::mem::take(&mut self.bytes_before),
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn boxes(file: &str) -> BoxScanner {
        let path = format!("{}/tests/segments/{file}", env!("CARGO_MANIFEST_DIR"));
        let mut boxes = BoxScanner::default();
        boxes.feed(&Bytes::from(std::fs::read(path).expect("a real segment"))).expect("whole boxes");
        boxes
    }

    #[test]
    fn a_row_is_there_when_every_rendition_has_its_segment() {
        let mut rows = Rows::new(2);
        let mut seen = Vec::new();
        for (rendition, index, file) in [
            (0, Some(0), "video_seg.m4s"),
            (1, None, "audio_init.mp4"),
            (1, Some(0), "audio_seg.m4s"),
            (0, None, "video_init.mp4"),
            (1, Some(1), "audio_seg.m4s"),
        ] {
            rows.note(Arrival { rendition, index, boxes: boxes(file) }).expect("it can be read");
            seen.push(rows.take().expect("it can be read").map(|(index, figures)| (index, figures.len())));
        }
        assert_eq!(seen, [None, None, None, Some((0, 2)), None]);
        assert!(rows.inits().is_some_and(|inits| inits[0].size.is_some() && inits[1].sound.is_some()));
    }

    #[test]
    fn a_file_that_is_no_init_segment_is_refused() {
        let broken = Rows::new(1).note(Arrival { rendition: 0, index: None, boxes: boxes("video_seg.m4s") });
        assert!(broken.is_err());
    }
}
