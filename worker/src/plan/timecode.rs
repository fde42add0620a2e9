//! Time codes (SMPTE ST 12-1): which a file may carry, and which number a frame has by one.

use reelmill_api::Rational;

/// A time code's parts; `;` or `.` before the frames says that numbers are dropped.
struct Parts {
    hours: u32,
    minutes: u32,
    seconds: u32,
    frames: u32,
    drops: bool,
}

fn parts(text: &str) -> Option<Parts> {
    let (clock, frames) = text.rsplit_once([':', ';', '.'])?;
    let drops = !text[clock.len()..].starts_with(':');
    let mut clock = clock.split([':', ';']).map(two_digits);
    let (hours, minutes, seconds) = (clock.next()??, clock.next()??, clock.next()??);
    let frames = frames.parse().ok().filter(|_| (2..=3).contains(&frames.len()))?;
    let whole = clock.next().is_none() && hours < 24 && minutes < 60 && seconds < 60;
    whole.then_some(Parts { hours, minutes, seconds, frames, drops })
}

fn two_digits(text: &str) -> Option<u32> {
    (text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// The number of the frame that has this time code, counted from midnight, and whether numbers are dropped.
pub fn number(text: &str, per_second: u32) -> Option<(u32, bool)> {
    let Parts { hours, minutes, seconds, frames, drops } = parts(text)?;
    let counted = ((hours * 60 + minutes) * 60 + seconds) * per_second + frames;
    // Of 30 numbers two are left out at each full minute but each tenth, of 60 four.
    let minutes = hours * 60 + minutes;
    let dropped = if drops { per_second / 15 * (minutes - minutes / 10) } else { 0 };
    Some((counted.checked_sub(dropped)?, drops))
}

/// Why a source's time code cannot be that of a file with this frame rate; `None` if it can.
pub(super) fn unfit(text: &str, source: Rational, file: Rational) -> Option<String> {
    let Some(Parts { frames, drops, .. }) = parts(text) else { return Some("it is none".to_owned()) };
    if source != file {
        return Some("it counts the source's frames, of which there are others now".to_owned());
    }
    let rounded = file.as_f64().round();
    let drops_well = file.den() == 1001 && (rounded == 30.0 || rounded == 60.0);
    if drops && !drops_well {
        return Some(format!("numbers are dropped only at 29.97 and 59.94 frames a second, not at {file}"));
    }
    (f64::from(frames) >= rounded).then(|| format!("there is no frame {frames} at {file}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_frames_as_clocks_and_tapes_do() {
        assert_eq!(number("00:00:00:00", 25), Some((0, false)));
        assert_eq!(number("01:00:00:02", 25), Some((90_002, false)));
        assert_eq!(number("01:00:00;00", 30), Some((107_892, true)));
        assert_eq!(number("00:01:00;02", 30), Some((1800, true)), "after 00:00:59;29 comes 00:01:00;02");
        assert_eq!(number("00:10:00;00", 30), Some((17_982, true)));
        assert_eq!(number("00:01:00;04", 60), Some((3600, true)));
        assert_eq!(number("23:59:59:24", 25), Some((2_159_999, false)));
        for wrong in ["", "1:00:00:00", "24:00:00:00", "00:60:00:00", "00:00:00", "00:00:00:0x", "00:00:00:00:00"] {
            assert_eq!(number(wrong, 25), None, "{wrong}");
        }
    }

    #[test]
    fn only_a_time_code_that_counts_these_frames_fits() {
        let rate = |n, d| Rational::new(n, d).expect("not zero");
        let (pal, ntsc, film) = (rate(25, 1), rate(30_000, 1001), rate(24_000, 1001));
        let check = |text, source, file, want: Option<&str>| {
            let why = unfit(text, source, file);
            assert_eq!(why.is_some(), want.is_some(), "{text} at {file}: {why:?}");
            assert!(want.is_none_or(|part| why.expect("it was there").contains(part)), "{text} at {file}");
        };
        check("10:00:00:24", pal, pal, None);
        check("01:00:00;02", ntsc, ntsc, None);
        check("01:00:00:29", ntsc, ntsc, None);
        check("01:00:00:25", pal, pal, Some("no frame 25"));
        check("01:00:00;02", pal, pal, Some("dropped only at"));
        check("01:00:00;02", film, film, Some("dropped only at"));
        check("01:00:00:02", ntsc, film, Some("of which there are others"));
        check("tomorrow", pal, pal, Some("none"));
    }
}
