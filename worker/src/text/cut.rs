//! Cues into segments: each segment holds all cues that are on screen in its time, so that a player needs no other to
//! show what it must (RFC 8216bis, 3.1.4). One that is on screen across a border is in both.

use super::{Cue, vtt};
use crate::verify::Made;

/// How long a text segment may be. Text is small: a request for each of the picture's segments would be many requests for
/// little. Subtitles may have a target duration of their own (RFC 8216bis, 6.2.4), but segments begin where the
/// picture's do.
const LONGEST_SECONDS: u64 = 30;
/// The most bytes that all segments of a track may have: lines that stay for hours are in thousands of segments.
const LARGEST: usize = 16 << 20;

/// Where segments end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cutter {
    /// Ticks per second.
    pub timescale: u32,
    /// The length of each segment; at least one.
    pub segment_ticks: Vec<u64>,
}

/// A track in segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Ticks per second.
    pub timescale: u32,
    /// The length of each segment.
    pub segment_ticks: Vec<u64>,
    /// How many cues each segment shows.
    pub segment_cues: Vec<u64>,
    /// The text of each segment.
    pub segments: Vec<String>,
}

impl Cutter {
    /// Segments for text beside this picture: as many of the picture's together as fit.
    pub fn beside(video: &Made) -> Self {
        let longest = video.segment_ticks.iter().copied().max().unwrap_or(0).max(1);
        let together = (LONGEST_SECONDS * u64::from(video.timescale) / longest).max(1);
        let together = usize::try_from(together).unwrap_or(usize::MAX);
        let segment_ticks = video.segment_ticks.chunks(together).map(|part| part.iter().sum()).collect();
        Self { timescale: video.timescale, segment_ticks }
    }

    /// The cues in segments. What comes after the last one's end is left out.
    ///
    /// # Errors
    /// If the segments would be many times what the track is.
    pub fn cut(&self, cues: &[Cue]) -> Result<Cut, String> {
        let mut segments = Vec::with_capacity(self.segment_ticks.len());
        let mut segment_cues = Vec::with_capacity(self.segment_ticks.len());
        let mut room = LARGEST;
        let mut start_ms = 0;
        let mut shown: Vec<&Cue> = Vec::new();
        let mut coming = cues.iter().peekable();
        for end_ms in self.ends_ms() {
            shown.retain(|cue| cue.end_ms > start_ms);
            while let Some(cue) = coming.next_if(|cue| cue.start_ms < end_ms) {
                shown.extend((cue.end_ms > start_ms).then_some(cue));
            }
            let bytes: usize = shown.iter().map(|cue| vtt::printed_bytes(cue)).sum();
            room = room.checked_sub(bytes).ok_or("too many of its lines are on screen for too long")?;
            let mut text = vtt::SEGMENT_HEAD.to_owned();
            shown.iter().for_each(|cue| vtt::print(&mut text, cue));
            segments.push(text);
            segment_cues.push(shown.len() as u64);
            start_ms = end_ms;
        }
        Ok(Cut { timescale: self.timescale, segment_ticks: self.segment_ticks.clone(), segment_cues, segments })
    }

    /// The end of each segment, to the millisecond above: a cue that begins in the same millisecond is in both.
    fn ends_ms(&self) -> impl Iterator<Item = u64> + '_ {
        self.segment_ticks.iter().scan(0u128, |ticks, length| {
            *ticks += u128::from(*length);
            Some(u64::try_from((*ticks * 1000).div_ceil(u128::from(self.timescale.max(1)))).unwrap_or(u64::MAX))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::verify::tests::two_rungs_and_sound;

    fn cue(start_ms: u64, end_ms: u64, text: &str) -> Cue {
        Cue { start_ms, end_ms, text: text.to_owned() }
    }

    fn cutter(seconds: &[u64]) -> Cutter {
        Cutter { timescale: 1000, segment_ticks: seconds.iter().map(|s| s * 1000).collect() }
    }

    #[test]
    fn a_cue_across_a_border_is_in_both_segments() {
        let cues = [cue(1000, 5000, "across"), cue(4500, 6000, "second"), cue(11_000, 12_000, "after the end")];
        let head = "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n";
        let across = "\n00:00:01.000 --> 00:00:05.000\nacross\n";
        let second = "\n00:00:04.500 --> 00:00:06.000\nsecond\n";
        let want = [format!("{head}{across}"), format!("{head}{across}{second}"), head.to_owned()];
        assert_eq!(cutter(&[4, 4, 2]).cut(&cues).expect("cut").segments, want);
    }

    #[test]
    fn a_cue_that_ends_on_a_border_is_in_one() {
        let cut = cutter(&[4, 4]).cut(&[cue(2000, 4000, "a"), cue(4000, 5000, "b")]).expect("cut");
        let has: Vec<_> = cut.segments.iter().map(|text| (text.contains("\na\n"), text.contains("\nb\n"))).collect();
        assert_eq!(has, [(true, false), (false, true)]);
    }

    #[test]
    fn segments_end_where_some_of_the_pictures_end() {
        let mut video = two_rungs_and_sound().renditions[0].clone();
        let four = 4 * u64::from(video.timescale);
        video.segment_ticks = [vec![four; 15], vec![100]].concat();
        assert_eq!(Cutter::beside(&video).segment_ticks, [four * 7, four * 7, four + 100]);
        video.segment_ticks = vec![four * 10; 2];
        assert_eq!(Cutter::beside(&video).segment_ticks, [four * 10; 2]);
    }

    #[test]
    fn lines_that_never_go_are_refused_before_they_fill_the_store() {
        let cues: Vec<_> = (0..2000).map(|n| cue(n, 3_600_000_000, &"x".repeat(100))).collect();
        let why = cutter(&[28; 100]).cut(&cues).expect_err("28 MB");
        assert_eq!(why, "too many of its lines are on screen for too long");
    }

    proptest! {
        #[test]
        fn every_cue_is_in_just_those_segments_in_whose_time_it_is_shown(
            lengths in proptest::collection::vec(1u64..9, 1..8),
            cues in proptest::collection::vec((0u64..40_000, 1u64..20_000), 0..20),
        ) {
            let mut cues: Vec<_> = cues.iter().enumerate().map(|(n, (at, long))| cue(*at, at + long, &format!("cue-{n}-"))).collect();
            cues.sort_by_key(|cue| cue.start_ms);
            let cut = cutter(&lengths).cut(&cues).expect("few");
            let mut start = 0;
            for (text, length) in cut.segments.iter().zip(&lengths) {
                let end = start + length * 1000;
                for cue in &cues {
                    prop_assert_eq!(text.contains(&cue.text), cue.start_ms < end && cue.end_ms > start);
                }
                start = end;
            }
        }
    }
}
