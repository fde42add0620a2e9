//! Looking at the pictures where headers are silent or known to lie: whether all lines of a frame were taken at once, and
//! whether film was spread over the fields of television.
//!
//! ffmpeg's `idet` compares each frame's lines with those of the frames around it. What it prints is read here by pure
//! functions; how the frames are decoded is `super`'s work.

use reelmill_api::{
    Rational,
    media::{Fields, VideoFacts},
};

/// The filters that tell of each frame on standard output.
pub(super) const FILTERS: &str = "idet,metadata=mode=print:file=-";
/// Seconds that are looked at in each place.
pub(super) const SECONDS: &str = "4";

/// Codecs in which fields are kept that nobody declared, and which cameras, tape decks and archives write.
const FIELD_CODECS: &[&str] = &[
    "mpeg2video",
    "dvvideo",
    "prores",
    "dnxhd",
    "mjpeg",
    "ffv1",
    "huffyuv",
    "ffvhuff",
    "utvideo",
    "v210",
    "v210x",
    "v410",
    "rawvideo",
    "vc1",
];
/// Nobody interlaces beyond it.
const HIGHEST_RATE: f64 = 30.5;
/// Fewer lines are no television.
const FEWEST_LINES: u32 = 144;
/// From this length on, the middle of a source is looked at as well, and from the second one on two places in it.
const LONG: f64 = 12.0;
const VERY_LONG: f64 = 60.0;

/// Whether it is worth the time to look.
pub(super) fn is_worthwhile(video: &VideoFacts) -> bool {
    let may_have_fields = video.fields != Fields::Progressive || FIELD_CODECS.contains(&video.codec.as_str());
    may_have_fields && video.frame_rate.as_f64() <= HIGHEST_RATE && video.height >= FEWEST_LINES
}

/// Where to look, in seconds.
pub(super) fn places(duration: Option<f64>) -> Vec<f64> {
    match duration {
        Some(d) if d >= VERY_LONG => vec![0.0, d / 3.0, d * 2.0 / 3.0],
        Some(d) if d >= LONG => vec![0.0, d / 2.0],
        _ => vec![0.0],
    }
}

/// What was seen in one place.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Seen {
    /// Frames.
    frames: u32,
    /// Frames whose lines are of two moments, the top ones first.
    top_first: u32,
    /// Frames whose lines are of two moments, the bottom ones first.
    bottom_first: u32,
    /// Frames whose lines are of one moment.
    whole: u32,
    /// Frames whose top lines are those of the frame before.
    top_again: u32,
    /// Frames whose bottom lines are those of the frame before.
    bottom_again: u32,
    /// When the first frame is shown.
    from: f64,
    /// When the last frame is shown.
    to: f64,
}

impl Seen {
    /// Reads what [`FILTERS`] print.
    pub(super) fn read(text: &str) -> Self {
        let mut seen = Self::default();
        for line in text.lines() {
            seen.line(line.trim());
        }
        seen
    }

    fn line(&mut self, line: &str) {
        if line.starts_with("frame:") {
            let time = line.rsplit_once("pts_time:").and_then(|(_, time)| time.trim().parse().ok());
            self.to = time.unwrap_or(self.to);
            if self.frames == 0 {
                self.from = self.to;
            }
            self.frames += 1;
        } else if let Some(kind) = line.strip_prefix("lavfi.idet.multiple.current_frame=") {
            match kind {
                "tff" => self.top_first += 1,
                "bff" => self.bottom_first += 1,
                "progressive" => self.whole += 1,
                _ => {}
            }
        } else if let Some(field) = line.strip_prefix("lavfi.idet.repeated.current_frame=") {
            match field {
                "top" => self.top_again += 1,
                "bottom" => self.bottom_again += 1,
                _ => {}
            }
        }
    }

    fn combed(&self) -> u32 {
        self.top_first + self.bottom_first
    }

    /// Hundredths of all frames.
    fn share(&self, of: u32) -> u32 {
        of * 100 / self.frames.max(1)
    }

    /// Of five frames of telecined film, two are combed and each kind of field is repeated once.
    fn is_telecined(&self) -> bool {
        let again = [self.top_again, self.bottom_again].map(|n| self.share(n));
        again.iter().all(|share| (10..=30).contains(share)) && self.share(self.combed()) >= 30
    }

    fn kind(&self) -> Kind {
        if self.frames < FEWEST_FRAMES {
            Kind::Unclear
        } else if self.is_telecined() {
            Kind::Telecined
        } else if self.share(self.combed()) >= 10 && self.combed() > self.whole {
            Kind::Interlaced
        } else if self.share(self.whole) >= 95 && self.combed() == 0 {
            Kind::Whole
        } else {
            Kind::Unclear
        }
    }

    fn frame_rate(&self) -> f64 {
        f64::from(self.frames.saturating_sub(1)) / (self.to - self.from).max(0.001)
    }
}

/// Too few frames say nothing.
const FEWEST_FRAMES: u32 = 20;

/// What the frames of one place are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Nothing moves, or it could be one or the other.
    Unclear,
    /// Each frame is of one moment.
    Whole,
    /// Each frame is of two moments.
    Interlaced,
    /// Some are, as film on television is.
    Telecined,
}

/// Sets right what the headers say by what was seen. Where it is not clear, the headers hold.
pub(super) fn settle(video: &mut VideoFacts, seen: &[Seen]) {
    let kinds: Vec<Kind> = seen.iter().map(Seen::kind).collect();
    let any = |kind| kinds.contains(&kind);
    let television = close(video.frame_rate.as_f64(), 30.0, 0.01);
    if any(Kind::Interlaced) || (any(Kind::Telecined) && !television) {
        video.fields = Fields::Interlaced;
    } else if any(Kind::Telecined) {
        video.fields = Fields::Telecined;
    } else if !kinds.is_empty() && kinds.iter().all(|k| *k == Kind::Whole) {
        video.fields = Fields::Progressive;
        if television && seen.iter().all(|s| close(s.frame_rate(), FILM, 0.01)) {
            shown_by_repeating(video);
        }
    }
}

/// Film that MPEG-2 marks to be shown as television, by showing some fields for longer: its frames are whole, and fewer
/// than the headers say.
fn shown_by_repeating(video: &mut VideoFacts) {
    video.frame_rate = Rational::new(24_000, 1001).expect("not zero");
    video.constant_rate = false;
    video.frames = None;
}

const FILM: f64 = 24_000.0 / 1001.0;

fn close(a: f64, b: f64, share: f64) -> bool {
    (a / b - 1.0).abs() < share
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::{source, video};

    /// What ffmpeg 5.1 printed of the first frames of telecined film.
    const TELECINED: &str = include_str!("../../tests/probes/idet.txt");

    fn seen(frames: u32, combed: u32, whole: u32, again: u32) -> Seen {
        let to = f64::from(frames - 1) / 29.97;
        Seen { frames, top_first: combed, whole, top_again: again, bottom_again: again, to, ..Seen::default() }
    }

    fn check(declared: Fields, rate: &str, seen: &[Seen], want: Fields) {
        let mut media = source(720, 480, rate);
        video(&mut media).fields = declared;
        settle(video(&mut media), seen);
        assert_eq!(video(&mut media).fields, want, "{declared:?} {rate} {seen:?}");
    }

    #[test]
    fn reads_what_idet_prints() {
        let seen = Seen::read(TELECINED);
        assert_eq!((seen.frames, seen.combed(), seen.whole), (11, 10, 0));
        assert_eq!((seen.top_again, seen.bottom_again, seen.bottom_first), (2, 2, 0));
        assert!((seen.to - 0.333_667).abs() < 1e-6, "{seen:?}");
        assert_eq!(Seen::read("nonsense\nframe:x pts_time:y\n").frames, 1);
    }

    #[test]
    fn pictures_are_believed_more_than_headers() {
        use Fields::{Interlaced, Progressive, Telecined};
        let (film, fields, whole) = (seen(100, 95, 0, 20), seen(100, 80, 20, 0), seen(100, 0, 99, 0));
        check(Interlaced, "30000/1001", &[film], Telecined);
        check(Interlaced, "30000/1001", &[film, whole], Telecined);
        check(Interlaced, "30000/1001", &[film, fields], Interlaced);
        check(Interlaced, "25/1", &[film], Interlaced);
        check(Progressive, "25/1", &[fields], Interlaced);
        check(Interlaced, "25/1", &[whole, whole], Progressive);
        check(Interlaced, "25/1", &[whole, fields], Interlaced);
    }

    #[test]
    fn where_nothing_moves_the_headers_hold() {
        use Fields::{Interlaced, Progressive};
        let (still, few) = (seen(100, 0, 0, 0), seen(5, 5, 0, 0));
        for declared in [Interlaced, Progressive] {
            check(declared, "25/1", &[still], declared);
            check(declared, "25/1", &[few], declared);
            check(declared, "25/1", &[seen(100, 12, 88, 0)], declared);
            check(declared, "25/1", &[], declared);
        }
        check(Interlaced, "25/1", &[seen(100, 0, 99, 0), still], Interlaced);
    }

    #[test]
    fn film_that_is_shown_as_television_has_its_own_rate() {
        let mut media = source(720, 480, "179/6");
        let film = Seen { to: 99.0 / FILM, ..seen(100, 0, 99, 0) };
        settle(video(&mut media), &[film]);
        assert_eq!(video(&mut media).frame_rate.to_string(), "24000/1001");
        let mut media = source(720, 480, "30000/1001");
        settle(video(&mut media), &[seen(100, 0, 99, 0)]);
        assert_eq!(video(&mut media).frame_rate.to_string(), "30000/1001");
    }

    #[test]
    fn long_sources_are_looked_at_in_the_middle_too() {
        assert_eq!(places(None), [0.0]);
        assert_eq!(places(Some(5.0)), [0.0]);
        assert_eq!(places(Some(20.0)), [0.0, 10.0]);
        assert_eq!(places(Some(90.0)), [0.0, 30.0, 60.0]);
    }
}
