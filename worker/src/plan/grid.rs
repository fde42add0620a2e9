//! The frame grid: which frames there are and where segments begin, decided once for all renditions.

use reelmill_api::{
    MediaFacts, Rational,
    media::{Fields, VideoFacts},
    preset::{Preset, Product},
};

use super::ladder::Source;

/// Evenly spaced frames from 0, with a keyframe and a segment start at every multiple of `gop`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Frames per second.
    pub frame_rate: Rational,
    /// Frames from one segment start to the next.
    pub gop: u32,
    /// How many frames the source should give, where it says.
    pub frames: Expected,
}

/// How many frames are expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Just so many: the source has evenly spaced frames and counts them.
    Exactly(u64),
    /// Computed from a declared length of the pictures.
    About(u64),
    /// Computed from a declared length of the source as a whole: another of its tracks may be the one that lasts so long.
    Within(u64),
    /// The source does not say.
    Unknown,
}

impl Expected {
    /// The number, if there is one.
    pub fn count(self) -> Option<u64> {
        match self {
            Self::Exactly(n) | Self::About(n) | Self::Within(n) => Some(n),
            Self::Unknown => None,
        }
    }
}

/// Declared lengths may be guessed from a bit rate; one that is wrong by more than this, and by more than ten minutes
/// besides, is no guess.
const WRONG_BY: u32 = 10;
const WRONG_BY_SECONDS: u32 = 600;

/// Whether so many seconds are so many that the source cannot have meant what it declares.
pub(crate) fn is_overrun(declared: f64, seconds: f64) -> bool {
    seconds > declared * f64::from(WRONG_BY) + f64::from(WRONG_BY_SECONDS)
}

/// How long a source is by what it and its tracks declare.
pub(super) fn declared(media: &MediaFacts) -> Option<f64> {
    let end = |starts_at: f64, lasts: Option<f64>| Some(starts_at.max(0.0) + lasts?);
    let video = media.video.as_ref().and_then(|video| end(video.starts_at_seconds, video.duration_seconds));
    let sounds = media.audio.iter().filter_map(|sound| end(sound.starts_at_seconds, sound.duration_seconds));
    media.duration_seconds.into_iter().chain(video).chain(sounds).reduce(f64::max)
}

impl Grid {
    /// How long so many frames last, in seconds.
    #[allow(clippy::cast_precision_loss, reason = "seconds for people; frame counts are far below 2^53")]
    pub fn seconds(&self, frames: u64) -> f64 {
        frames as f64 / self.frame_rate.as_f64()
    }

    /// Whether `frames` are so many that the source cannot have meant what it declares.
    pub fn is_overrun(&self, frames: u64) -> bool {
        let more = self.frame_rate.times_rounded(u64::from(WRONG_BY_SECONDS) * 1000);
        self.frames.count().is_some_and(|n| frames > n.saturating_mul(WRONG_BY.into()).saturating_add(more))
    }
}

/// Rates that variable-rate sources are brought to.
const STANDARD_RATES: [(u32, u32); 9] =
    [(24000, 1001), (24, 1), (25, 1), (30000, 1001), (30, 1), (48, 1), (50, 1), (60000, 1001), (60, 1)];

pub(super) fn grid(source: &Source<'_>, changes: &mut Vec<String>) -> Grid {
    let Source { preset, media, video, lead_micros } = source;
    let frame_rate = choose_rate(video, f64::from(preset.video.max_frame_rate.get()), changes);
    let gop = frame_rate.times_rounded(u64::from(segment_seconds(preset)) * 1000);
    let gop = u32::try_from(gop).expect("at most 10 s of a rate that a preset allows").max(1);
    let starts_at = video.starts_at_seconds - f64::from(*lead_micros) / 1e6;
    Grid { frame_rate, gop, frames: expected(video, starts_at, media.duration_seconds, frame_rate) }
}

/// Single files have keyframes of their own; their grid is a second long.
fn segment_seconds(preset: &Preset) -> u32 {
    match &preset.product {
        Product::Ladder(ladder) => ladder.segment_seconds.get(),
        Product::Live(live) => live.segment_seconds.get(),
        Product::Files(_) => 1,
    }
}

fn choose_rate(video: &VideoFacts, highest: f64, changes: &mut Vec<String>) -> Rational {
    let mut rate = video.frame_rate;
    if video.fields == Fields::Telecined {
        rate = film_rate(rate);
        changes.push(format!("inverse telecine: {} to {rate}", video.frame_rate));
    } else if !video.constant_rate {
        rate = standard_for(rate);
        changes.push(format!("variable frame rate made a constant {rate}"));
    }
    let before = rate;
    while rate.as_f64() > highest + 0.01 {
        rate = rate.half();
    }
    if rate != before {
        changes.push(format!("frame rate lowered from {before} to {rate}"));
    }
    rate
}

/// Four frames of film were spread over five of video.
fn film_rate(rate: Rational) -> Rational {
    let exact = Rational::new(rate.num().saturating_mul(4), rate.den().saturating_mul(5));
    nearest_standard(exact.unwrap_or(rate))
}

/// The rate for frames that come unevenly: the standard one they are meant to have, of which telephones come short in the
/// dark; else the next higher one, because a frame that is shown twice is less of a loss than one that is not shown.
fn standard_for(average: Rational) -> Rational {
    let nearest = nearest_standard(average);
    if nearest.as_f64() >= average.as_f64() * 0.98 {
        return nearest;
    }
    let higher = STANDARD_RATES.iter().filter_map(|&(n, d)| Rational::new(n, d));
    higher
        .filter(|r| r.as_f64() >= average.as_f64())
        .min_by(|a, b| a.as_f64().total_cmp(&b.as_f64()))
        .unwrap_or(nearest)
}

fn nearest_standard(rate: Rational) -> Rational {
    let rates = STANDARD_RATES.iter().filter_map(|&(n, d)| Rational::new(n, d));
    let distance = |r: &Rational| (r.as_f64() - rate.as_f64()).abs();
    rates.min_by(|a, b| distance(a).total_cmp(&distance(b))).expect("the list is not empty")
}

/// `starts_at`: seconds from the grid's zero to the first frame.
fn expected(video: &VideoFacts, starts_at: f64, duration: Option<f64>, rate: Rational) -> Expected {
    let from_zero = starts_at.abs() < 0.5 / rate.as_f64();
    if let (Some(frames), true, true) = (video.frames, video.constant_rate && from_zero, rate == video.frame_rate) {
        return Expected::Exactly(frames);
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float to integer cast saturates")]
    let frames = |seconds: f64| (seconds * rate.as_f64()).round() as u64;
    let given = |seconds: Option<f64>| seconds.filter(|s| *s > 0.0);
    match (given(video.duration_seconds), given(duration)) {
        (Some(own), _) => Expected::About(frames(own + starts_at.max(0.0))),
        // That is counted from where the source begins, and so holds what comes before the first frame.
        (None, Some(whole)) => Expected::Within(frames(whole)),
        (None, None) => Expected::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(frames: Expected, made: u64, want: bool) {
        let grid = Grid { frame_rate: Rational::whole(25).expect("not zero"), gop: 100, frames };
        assert_eq!(grid.is_overrun(made), want, "{frames:?} {made}");
    }

    #[test]
    fn what_comes_before_a_late_picture_is_counted_once() {
        let check = |own: Option<f64>, whole: Option<f64>, starts_at: f64, want: Expected| {
            let mut media = crate::plan::tests::source(640, 360, "25/1");
            let video = crate::plan::tests::video(&mut media);
            video.duration_seconds = own;
            assert_eq!(expected(video, starts_at, whole, video.frame_rate), want, "{own:?} {whole:?} {starts_at}");
        };
        check(Some(4.0), Some(6.0), 2.0, Expected::About(150));
        check(None, Some(6.0), 2.0, Expected::Within(150));
        check(Some(4.0), None, 2.0, Expected::About(150));
        check(Some(4.0), Some(4.0), -0.1, Expected::About(100));
        check(None, None, 2.0, Expected::Unknown);
    }

    #[test]
    fn uneven_frames_are_rather_shown_twice_than_left_out() {
        let check = |average: &str, want: &str| {
            assert_eq!(standard_for(average.parse().expect("a rate")).to_string(), want, "{average}");
        };
        check("2983/100", "30000/1001");
        check("3002/100", "30/1");
        check("273/10", "30000/1001");
        check("40/1", "48/1");
        check("241/10", "24/1");
        check("12/1", "24000/1001");
        check("90/1", "60/1");
    }

    #[test]
    fn the_longest_track_is_what_a_source_declares() {
        let mut media = crate::plan::tests::source(640, 360, "25/1");
        assert_eq!(declared(&media), Some(10.0));
        (media.audio[0].starts_at_seconds, media.audio[0].duration_seconds) = (2.0, Some(3600.0));
        assert_eq!(declared(&media), Some(3602.0));
        assert!(!is_overrun(3602.0, 36_620.0) && is_overrun(3602.0, 36_621.0));
        media.audio.clear();
        (media.duration_seconds, crate::plan::tests::video(&mut media).duration_seconds) = (None, None);
        assert_eq!(declared(&media), None);
    }

    #[test]
    fn a_hole_in_the_timestamps_is_told_from_a_bad_guess() {
        check(Expected::Exactly(250), 250, false);
        check(Expected::About(250), 2_500 + 15_000, false);
        check(Expected::About(250), 2_500 + 15_001, true);
        check(Expected::About(u64::MAX), u64::MAX, false);
        check(Expected::Unknown, u64::MAX, false);
    }
}
