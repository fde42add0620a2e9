//! Media playlists of subtitles: segments of plain text, longer than those of pictures and sound.

use std::fmt::Write as _;

use reelmill_api::{layout, rendition::Track};

use super::exact_seconds;
use crate::verify::Made;

/// Whether a rendition is subtitles.
pub(super) fn is_text(made: &Made) -> bool {
    matches!(made.rendition.track, Track::Text { .. })
}

/// The media playlist of subtitles, with a target duration of its own: that of text may differ in a finished
/// presentation (RFC 8216bis, 6.2.4).
pub(super) fn media(made: &Made) -> String {
    let scale = u64::from(made.timescale);
    let longest = made.segment_ticks.iter().copied().max().unwrap_or(0);
    let target = ((longest * 2 + scale) / (scale * 2)).max(1);
    let mut text = format!(
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{target}\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n"
    );
    for (index, &ticks) in (0..).zip(&made.segment_ticks) {
        let _ = write!(text, "#EXTINF:{},\n{}\n", exact_seconds(ticks, made.timescale), layout::text_segment(index));
    }
    text + "#EXT-X-ENDLIST\n"
}

#[cfg(test)]
mod tests {
    use reelmill_api::rendition::Track;

    use crate::{playlist, verify::tests::two_rungs_and_sound};

    #[test]
    fn segments_of_text_are_longer_and_leave_the_others_target_alone() {
        let mut renditions = two_rungs_and_sound().renditions;
        let mut words = renditions[0].clone();
        words.rendition.track = Track::Text { language: None, forced: false, hearing_impaired: false };
        words.segment_ticks = vec![u64::from(words.timescale) * 28, u64::from(words.timescale) / 2];
        renditions.push(words.clone());
        let target = playlist::target_duration(&renditions);
        let want = "\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:28
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-PLAYLIST-TYPE:VOD
#EXTINF:28.000000,
seg_00000.vtt
#EXTINF:0.500000,
seg_00001.vtt
#EXT-X-ENDLIST
";
        assert_eq!((target, playlist::media(&words, target).as_str()), (4, want));
    }
}
