//! The DASH manifest (ISO/IEC 23009-1) over the same segments as the playlists, as text, from the same renditions.
//!
//! Its timeline is that of what is shown, after edit lists, because players hand segments to the browser as they are and
//! the browser applies each track's edit list: so nothing is shifted by `presentationTimeOffset`, and the first segment
//! of sound is shorter by the encoder's priming, which lies before 0. Video is shown from 0 on (`engine/ffmpeg/segments`).

mod sets;
mod thumbnails;

use std::fmt::Write as _;

use reelmill_api::{AttemptId, layout, rendition::Track, report::Sheets};

use crate::{playlist::exact_seconds, verify::Made};

/// What a profile says to players: segments of a finished recording by template.
const PROFILE: &str = "urn:mpeg:dash:profile:isoff-live:2011";
/// What the period, and with it all that has addresses, begins with.
const PERIOD: &str = "  <Period";

/// The manifest for an attempt's own folder.
pub fn manifest(made: &[Made], storyboard: Option<&Sheets>) -> String {
    let played = || made.iter().filter(|m| !matches!(m.rendition.track, Track::Text { .. }));
    let lasts = played().map(|m| (m.shown_ticks(), m.timescale)).max_by(|a, b| longer(*a, *b)).unwrap_or((0, 1));
    // A player that has fetched for as long as the longest segment lasts can play on at `bandwidth`, which is the highest
    // rate of any stretch of about a segment.
    let segments = played().flat_map(|m| m.segment_ticks.iter().map(|ticks| (*ticks, m.timescale)));
    let longest = segments.max_by(|a, b| longer(*a, *b)).unwrap_or((0, 1));
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" profiles=\"{PROFILE}\" \
         type=\"static\" mediaPresentationDuration=\"PT{}S\" minBufferTime=\"PT{}S\">\n{PERIOD} id=\"0\" start=\"PT0S\">\n",
        exact_seconds(lasts.0, lasts.1),
        exact_seconds(longest.0, longest.1),
    );
    let sets = sets::of(made);
    for (n, set) in sets.iter().enumerate() {
        let _ = write!(text, "{}", set.element(n + 1));
    }
    text.extend(storyboard.map(|sheets| thumbnails::element(sheets, sets.len() + 1)));
    text + "  </Period>\n</MPD>\n"
}

/// The same manifest for the folder above that of the attempt.
pub fn beside(attempt: &AttemptId, manifest: &str) -> String {
    let base = format!("  <BaseURL>{}/</BaseURL>\n{PERIOD}", layout::attempt_folder(attempt));
    manifest.replacen(PERIOD, &base, 1)
}

/// Which of two lengths in ticks of their own is longer.
fn longer(a: (u64, u32), b: (u64, u32)) -> std::cmp::Ordering {
    (u128::from(a.0) * u128::from(b.1)).cmp(&(u128::from(b.0) * u128::from(a.1)))
}

#[cfg(test)]
mod tests;
