//! WebVTT, read from what a media process printed and written for players. The text is a stranger's: whatever it holds,
//! reading it gives lines or a reason, and never more of them than there are bytes.

use std::fmt::Write as _;

/// One line of subtitles, on screen from one moment to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cue {
    /// When it appears, milliseconds.
    pub start_ms: u64,
    /// When it goes, milliseconds; later than `start_ms`.
    pub end_ms: u64,
    /// Its text, with line breaks and WebVTT's own markup.
    pub text: String,
}

/// Text that is no WebVTT.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("what was decoded of it is no WebVTT")]
pub struct NotVtt;

/// What stands between the two times of a cue.
const ARROW: &str = "-->";
/// The latest moment that is read: 1000 hours.
const LATEST_MS: u64 = 3_600_000_000;

/// The cues in a file, by their beginnings. Text behind an empty line belongs to the cue before it: ffmpeg's muxer names
/// no cues and writes no notes, but prints empty lines of the source as they are.
///
/// # Errors
/// If it does not begin as such files do.
pub fn parse(bytes: &[u8]) -> Result<Vec<Cue>, NotVtt> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut lines = text.strip_prefix("WEBVTT").ok_or(NotVtt)?.lines();
    // The rest of the first line.
    lines.next();
    let mut cues: Vec<Cue> = Vec::new();
    // A cue whose times are nonsense takes its text along.
    let mut open = false;
    for line in lines {
        match line.split_once(ARROW) {
            Some((start, end)) if moment(start).is_some() => {
                let end = moment(end.split_whitespace().next().unwrap_or(""));
                let times = moment(start).zip(end).filter(|(start, end)| start < end);
                open = times.is_some();
                cues.extend(times.map(|(start_ms, end_ms)| Cue { start_ms, end_ms, text: String::new() }));
            }
            _ if open => {
                let cue = cues.last_mut().expect("it was opened");
                cue.text += line;
                cue.text.push('\n');
            }
            _ => {}
        }
    }
    cues.sort_by_key(|cue| cue.start_ms);
    Ok(cues)
}

/// A moment as `[HH...:]MM:SS.mmm`, in milliseconds.
fn moment(text: &str) -> Option<u64> {
    let (rest, millis) = text.trim().rsplit_once('.')?;
    let mut parts = rest.rsplit(':');
    let mut next = || parts.next();
    let (seconds, minutes, hours) = (digits(next()?)?, digits(next()?)?, next().map_or(Some(0), digits)?);
    let well_formed = millis.len() == 3 && seconds < 60 && minutes < 60 && parts.next().is_none();
    let whole = hours.checked_mul(3600)?.checked_add(minutes * 60 + seconds)?.checked_mul(1000)?;
    whole.checked_add(digits(millis)?).filter(|ms| well_formed && *ms <= LATEST_MS)
}

fn digits(text: &str) -> Option<u64> {
    let ok = (1..=9).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if ok { text.parse().ok() } else { None }
}

/// A moment as WebVTT has it.
pub fn time(ms: u64) -> String {
    format!("{:02}:{:02}:{:02}.{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
}

/// How many bytes [`print`] writes of a cue, at most.
pub(super) fn printed_bytes(cue: &Cue) -> usize {
    cue.text.len() + 40
}

/// One cue.
pub(super) fn print(to: &mut String, cue: &Cue) {
    let _ = write!(to, "\n{} {ARROW} {}\n{}\n", time(cue.start_ms), time(cue.end_ms), cue.text);
}

/// How a segment begins: the clock of its cues is that of the pictures, both from 0 (RFC 8216bis, 3.1.4).
pub(super) const SEGMENT_HEAD: &str = "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n";

/// All cues in one file.
pub fn whole(cues: &[Cue]) -> String {
    let mut text = "WEBVTT\n".to_owned();
    cues.iter().for_each(|cue| print(&mut text, cue));
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, want: &[(u64, u64, &str)]) {
        let cues = parse(text.as_bytes()).expect("WebVTT");
        let got: Vec<_> = cues.iter().map(|c| (c.start_ms, c.end_ms, c.text.trim_end())).collect();
        assert_eq!(got, want, "{text}");
    }

    /// What ffmpeg 5.1 and 8.1 print alike.
    #[test]
    fn reads_what_ffmpeg_prints() {
        check(
            "WEBVTT\n\n00:01.000 --> 00:02.500\nHello <b>bold</b> & <i>it</i>\n\n01:00:03.000 --> 01:00:05.000\ntwo\nlines\n",
            &[(1000, 2500, "Hello <b>bold</b> & <i>it</i>"), (3_603_000, 3_605_000, "two\nlines")],
        );
        check("WEBVTT\n", &[]);
        check(
            "\u{feff}WEBVTT - a title\r\n\r\n00:01.000 --> 00:02.000 line:0 align:start\r\ntop\r\n",
            &[(1000, 2000, "top")],
        );
    }

    #[test]
    fn text_behind_an_empty_line_is_not_lost() {
        check("WEBVTT\n\n00:01.000 --> 00:02.000\nabove\n\nbelow\n", &[(1000, 2000, "above\n\nbelow")]);
        check("WEBVTT\n\n00:01.000 --> 00:02.000\nan --> arrow\n", &[(1000, 2000, "an --> arrow")]);
    }

    #[test]
    fn cues_come_in_the_order_of_their_beginnings() {
        check(
            "WEBVTT\n\n00:05.000 --> 00:06.000\nb\n\n00:01.000 --> 00:09.000\na\n",
            &[(1000, 9000, "a"), (5000, 6000, "b")],
        );
    }

    #[test]
    fn a_cue_without_a_length_goes_with_its_text() {
        check(
            "WEBVTT\n\n00:02.000 --> 00:02.000\nno\n\n00:03.000 --> 00:01.000\nnever\n\n00:04.000 --> soon\nno\n",
            &[],
        );
        check("WEBVTT\n\n999999999:00:00.000 --> 999999999:00:01.000\nlate\n", &[]);
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "<html>", "1\n00:00:01,000 --> 00:00:02,000\na\n"] {
            assert_eq!(parse(text.as_bytes()), Err(NotVtt), "{text}");
        }
    }

    #[test]
    fn moments_are_read_strictly() {
        assert_eq!(
            [moment("00:01.500"), moment("1:00:00.000"), moment("100:00:00.000")],
            [Some(1500), Some(3_600_000), Some(360_000_000)]
        );
        for wrong in ["", ":", "1.5", "00:60.000", "00:01.5", "00:00:00:01.000", "-1:00.000", "00:01", "+0:01.000"] {
            assert_eq!(moment(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_cues_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&bytes);
            let _ = parse(&[b"WEBVTT\n\n00:01.000 --> 00:02.000\n", &bytes[..]].concat());
        }

        #[test]
        fn what_is_written_is_read_again(cues in proptest::collection::vec((0u64..9_000_000, 1u64..90_000, "[a-z ]{1,20}"), 0..20)) {
            let mut cues: Vec<_> = cues
                .into_iter()
                .map(|(start_ms, length, text)| Cue { start_ms, end_ms: start_ms + length, text: format!("x{text}x") })
                .collect();
            cues.sort_by_key(|cue| cue.start_ms);
            let mut again = parse(whole(&cues).as_bytes()).expect("WebVTT");
            again.iter_mut().for_each(|cue| cue.text = cue.text.trim_end().to_owned());
            prop_assert_eq!(again, cues);
        }
    }
}
