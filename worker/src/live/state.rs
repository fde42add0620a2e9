//! How far a live output is: what its playlists list, what has just left them, and the totals. Values in, values out.

use reelmill_api::{AttemptId, JobId, MediaFacts, Rendition, rendition::Track};
use serde::{Deserialize, Serialize};

/// `live.json`: all that another worker needs to go on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// The job whose output it is.
    pub(super) job: JobId,
    /// The attempt that has it. Another one takes it over by writing its own name here.
    pub(super) attempt: AttemptId,
    /// The target duration of all media playlists, seconds; it never changes.
    pub(super) target_seconds: u64,
    /// Rows that a playlist lists at once.
    pub(super) window: usize,
    /// The renditions, as the first session made them.
    pub(super) renditions: Vec<Made>,
    /// The source as it was probed last.
    pub(super) source: Option<MediaFacts>,
    /// What encoded it last.
    pub(super) engine: String,
    /// What was done to it, in plain words.
    pub(super) changes: Vec<String>,
    /// The media sequence number of the next row.
    pub(super) next: u64,
    /// Discontinuities before the first row of the window.
    pub(super) discontinuities: u64,
    /// The rows that playlists list, oldest first.
    pub(super) rows: Vec<Row>,
    /// Rows that left the window, and when, in milliseconds since 1970.
    pub(super) retired: Vec<(u64, Row)>,
    /// Sessions so far.
    pub(super) sessions: u32,
    /// When it began, in milliseconds since 1970.
    pub(super) began_ms: u64,
    /// Whether it was stopped.
    pub(super) ended: bool,
}

/// One rendition and its totals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Made {
    /// What it is, and all that was made of it so far.
    #[serde(flatten)]
    pub(super) rendition: Rendition,
    /// The highest rate that its encoder allows, bits per second.
    pub(super) max_bps: u64,
}

/// One segment of each rendition, cut at the same moment. They are listed together or not at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Row {
    /// The attempt that made it.
    pub(super) attempt: AttemptId,
    /// The attempt's session.
    pub(super) session: u32,
    /// The segments' index within the session.
    pub(super) index: u64,
    /// Whether the timeline breaks before it.
    pub(super) breaks: bool,
    /// When it was received, in milliseconds since 1970.
    pub(super) received_ms: u64,
    /// How long its segments are, in the order of the renditions, microseconds.
    pub(super) micros: Vec<u64>,
}

/// A stored segment's figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Figures {
    /// How long it is, microseconds.
    pub(super) micros: u64,
    /// Frames or audio packets.
    pub(super) samples: u64,
    /// Bytes.
    pub(super) bytes: u64,
}

/// A new row before it has a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NewRow {
    /// The attempt that made it.
    pub(super) attempt: AttemptId,
    /// Its session.
    pub(super) session: u32,
    /// The segments' index within the session.
    pub(super) index: u64,
    /// When it was received, in milliseconds since 1970.
    pub(super) received_ms: u64,
    /// A segment of each rendition, in their order.
    pub(super) segments: Vec<Figures>,
}

impl Row {
    /// How long it is: its longest segment, milliseconds.
    pub(super) fn millis(&self) -> u64 {
        self.micros.iter().max().copied().unwrap_or(0) / 1000
    }
}

impl State {
    /// Nothing yet.
    pub(super) fn new(job: JobId, attempt: AttemptId, target_seconds: u64, window: usize, now_ms: u64) -> Self {
        Self {
            job,
            attempt,
            target_seconds,
            window,
            renditions: Vec::new(),
            source: None,
            engine: String::new(),
            changes: Vec::new(),
            next: 0,
            discontinuities: 0,
            rows: Vec::new(),
            retired: Vec::new(),
            sessions: 0,
            began_ms: now_ms,
            ended: false,
        }
    }

    /// Lists a row that is stored whole, and lets the oldest go.
    pub(super) fn push(&mut self, new: NewRow, now_ms: u64) {
        let same = |last: &Row| last.attempt == new.attempt && last.session == new.session;
        let breaks = self.next > 0 && !self.rows.last().is_some_and(same);
        // Times never run backwards, also where a clock was set or a source gave more than it took.
        let earliest = self.rows.last().map_or(0, |last| last.received_ms + last.millis());
        let received_ms = if breaks || self.rows.is_empty() { new.received_ms.max(earliest) } else { earliest };
        for (made, figures) in self.renditions.iter_mut().zip(&new.segments) {
            made.add(figures);
        }
        let micros = new.segments.iter().map(|s| s.micros).collect();
        let NewRow { attempt, session, index, .. } = new;
        self.rows.push(Row { attempt, session, index, breaks, received_ms, micros });
        self.next += 1;
        while self.rows.len() > self.window {
            let gone = self.rows.remove(0);
            self.discontinuities += u64::from(gone.breaks);
            self.retired.push((now_ms, gone));
        }
    }

    /// The media sequence number of the first row listed.
    pub(super) fn first(&self) -> u64 {
        self.next - self.rows.len() as u64
    }

    /// Takes out the rows that no reader can want any more: a playlist that listed one may be read for as long as it
    /// lasts, and the segment as long again (RFC 8216bis, 6.2.2).
    pub(super) fn take_due(&mut self, now_ms: u64) -> Vec<Row> {
        let grace = self.grace_ms();
        let (due, kept) = std::mem::take(&mut self.retired).into_iter().partition(|(at, _)| *at + grace <= now_ms);
        self.retired = kept;
        due.into_iter().map(|(_, row): (u64, Row)| row).collect()
    }

    /// How long rows stay after they left the window, milliseconds.
    pub(super) fn grace_ms(&self) -> u64 {
        (self.window as u64 + 2) * self.target_seconds * 1000
    }

    /// Whether a session's segment of this index, or its init segment, is one that a reader may want.
    pub(super) fn keeps(&self, attempt: &AttemptId, session: u32, index: Option<u64>) -> bool {
        let rows = self.rows.iter().chain(self.retired.iter().map(|(_, row)| row));
        rows.into_iter()
            .any(|r| r.attempt == *attempt && r.session == session && index.is_none_or(|index| r.index == index))
    }
}

impl Made {
    /// A rendition of which nothing is made; its codec is told by the first bytes.
    pub(super) fn nothing_yet(name: &str, track: Track, max_bps: u64) -> Self {
        let rendition = Rendition {
            name: name.to_owned(),
            codecs: String::new(),
            track,
            segments: 0,
            samples: 0,
            duration_seconds: 0.0,
            average_bps: 0,
            peak_bps: 0,
            bytes: 0,
        };
        Self { rendition, max_bps }
    }

    #[allow(clippy::cast_precision_loss, reason = "figures for people; all far below 2^53")]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float to integer cast saturates")]
    fn add(&mut self, figures: &Figures) {
        let made = &mut self.rendition;
        let seconds = figures.micros as f64 / 1e6;
        let rate =
            |bytes: u64, seconds: f64| if seconds > 0.0 { (bytes as f64 * 8.0 / seconds).ceil() as u64 } else { 0 };
        made.segments += 1;
        made.samples += figures.samples;
        made.duration_seconds += seconds;
        made.bytes += figures.bytes;
        made.average_bps = rate(made.bytes, made.duration_seconds);
        // What is left when a source drops is too short to tell a rate.
        if seconds >= 0.5 {
            made.peak_bps = made.peak_bps.max(rate(figures.bytes, seconds));
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn made(name: &str, codecs: &str, track: Track, max_bps: u64) -> Made {
        let mut made = Made::nothing_yet(name, track, max_bps);
        codecs.clone_into(&mut made.rendition.codecs);
        made
    }

    pub(crate) fn state() -> State {
        let job = JobId::from_message("q", "1");
        let mut state = State::new(job, AttemptId::new(1, 7), 2, 3, 1_000_000);
        let picture = Track::Video {
            width: 640,
            height: 360,
            frame_rate: reelmill_api::Rational::whole(25).expect("not zero"),
            dynamic_range: Default::default(),
        };
        let sound = Track::Audio { channels: 2, sample_rate: 48_000, language: None, surround: false };
        state.renditions =
            vec![made("360p", "avc1.64001e", picture, 800_000), made("audio", "mp4a.40.2", sound, 128_000)];
        state
    }

    pub(crate) fn row(session: u32, index: u64, received_ms: u64) -> NewRow {
        let figures = |micros| Figures { micros, samples: 50, bytes: 100_000 };
        let segments = vec![figures(2_000_000), figures(2_005_333)];
        NewRow { attempt: AttemptId::new(1, 7), session, index, received_ms, segments }
    }

    #[test]
    fn the_window_slides_and_counts_the_breaks_that_leave_it() {
        let mut state = state();
        let mut seen = Vec::new();
        for (n, (session, index)) in (0..).zip([(1, 0), (1, 1), (2, 0), (3, 0), (3, 1), (3, 2)]) {
            state.push(row(session, index, 1_000_000 + n * 2000), 1_000_000);
            let breaks: Vec<_> = state.rows.iter().map(|r| u8::from(r.breaks)).collect();
            seen.push((state.first(), state.discontinuities, breaks));
        }
        let want = [
            (0, 0, vec![0]),
            (0, 0, vec![0, 0]),
            (0, 0, vec![0, 0, 1]),
            (1, 0, vec![0, 1, 1]),
            (2, 0, vec![1, 1, 0]),
            (3, 1, vec![1, 0, 0]),
        ];
        assert_eq!(seen, want);
        let total = &state.renditions[0].rendition;
        assert_eq!((total.segments, total.bytes, total.duration_seconds), (6, 600_000, 12.0));
    }

    #[test]
    fn what_left_the_window_stays_as_long_as_a_reader_may_want_it() {
        let mut state = state();
        for n in 0..5 {
            state.push(row(1, n, 0), n * 2000);
        }
        let left: Vec<_> = state.retired.iter().map(|(at, r)| (*at, r.index)).collect();
        assert_eq!(left, [(6000, 0), (8000, 1)]);
        assert!(state.take_due(6000 + 9_999).is_empty());
        assert_eq!(state.take_due(6000 + 10_000).iter().map(|r| r.index).collect::<Vec<_>>(), [0]);
        let id = AttemptId::new(1, 7);
        let kept: Vec<_> = (0..6).map(|n| state.keeps(&id, 1, Some(n))).collect();
        assert_eq!(kept, [false, true, true, true, true, false]);
        assert!(
            state.keeps(&id, 1, None) && !state.keeps(&id, 2, None) && !state.keeps(&AttemptId::new(2, 7), 1, None)
        );
    }

    #[test]
    fn times_of_rows_never_run_backwards() {
        let mut state = state();
        for (session, index, received) in [(1, 0, 5000), (1, 1, 5000), (2, 0, 6000), (3, 0, 99_000)] {
            state.push(row(session, index, received), 0);
        }
        let all = state.retired.iter().map(|(_, r)| r).chain(&state.rows);
        assert_eq!(all.map(|r| r.received_ms).collect::<Vec<_>>(), [5000, 7005, 9010, 99_000]);
    }
}
