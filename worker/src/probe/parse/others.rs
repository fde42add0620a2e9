//! Subtitles, time code, and the streams that no product uses.

use reelmill_api::media::SubtitleFacts;

use super::{
    document::{Output, Stream},
    language,
};

/// Codecs of subtitles that are text, by ffmpeg's names.
const TEXT: &[&str] = &[
    "subrip",
    "srt",
    "mov_text",
    "webvtt",
    "ass",
    "ssa",
    "text",
    "microdvd",
    "mpl2",
    "sami",
    "subviewer",
    "subviewer1",
    "stl",
    "jacosub",
    "pjs",
    "realtext",
    "vplayer",
    "hdmv_text_subtitle",
];
/// More streams than any honest source has beside its media; further ones are not told one by one.
const MOST_TOLD: usize = 16;

pub(super) fn subtitles(streams: &[Stream]) -> Vec<SubtitleFacts> {
    let are = streams.iter().filter(|s| s.codec_type.as_deref() == Some("subtitle"));
    are.map(|stream| {
        let codec = stream.codec_name.clone().unwrap_or_else(|| "unknown".to_owned());
        SubtitleFacts {
            index: stream.index,
            text: TEXT.contains(&codec.as_str()),
            codec,
            language: language(stream),
            forced: stream.disposition.forced != 0,
            hearing_impaired: stream.disposition.hearing_impaired != 0,
        }
    })
    .collect()
}

/// The time code, wherever a container keeps it: with the pictures, on a track of its own, or for the whole file.
pub(super) fn timecode(output: &Output) -> Option<String> {
    let tags = output.streams.iter().map(|s| &s.tags).chain([&output.format.tags]);
    tags.filter_map(|tags| tags.timecode.clone()).find(|code| is_timecode(code))
}

/// `HH:MM:SS:FF`, with `;` or `.` before the frames where numbers are dropped.
fn is_timecode(text: &str) -> bool {
    let digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<_> = text.split([':', ';', '.']).collect();
    parts.len() == 4 && text.len() == 11 && parts.into_iter().all(digits)
}

/// Streams that are neither the pictures, nor sound, nor subtitles.
pub(super) fn left_out(streams: &[Stream], picture: Option<&Stream>) -> Vec<String> {
    let used = |s: &Stream| picture.is_some_and(|p| p.index == s.index);
    let mut told: Vec<_> = streams.iter().filter(|s| !used(s)).filter_map(in_words).collect();
    let more = told.len().saturating_sub(MOST_TOLD);
    told.truncate(MOST_TOLD);
    if more > 0 {
        told.push(format!("{more} more streams"));
    }
    told
}

fn in_words(stream: &Stream) -> Option<String> {
    let codec = stream.codec_name.as_deref().unwrap_or("unknown");
    match stream.codec_type.as_deref() {
        Some("video") if stream.disposition.attached_pic != 0 => Some(format!("cover art ({codec})")),
        Some("video") => Some(format!("a further video track ({codec})")),
        // What a time code track holds is kept.
        Some("data") if stream.tags.timecode.is_some() => None,
        Some("data") => Some(format!("a data stream ({codec})")),
        Some("attachment") => Some(format!("an attachment ({codec})")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timecode_is_told_from_other_text() {
        for good in ["01:00:00:00", "00:59:59;28", "10:00:00.12"] {
            assert!(is_timecode(good), "{good}");
        }
        for bad in ["", "1:00:00:00", "01:00:00", "01:00:00:00:00", "aa:00:00:00", "01:00:00:000", "-1:00:00:00"] {
            assert!(!is_timecode(bad), "{bad}");
        }
    }
}
