//! Playlists by RFC 8216bis, as text, from renditions that passed verification.

use std::fmt::Write as _;

use reelmill_api::{AttemptId, Rendition, layout, rendition::Track};

use crate::verify::Made;

/// The name of the group that all audio renditions are in.
const AUDIO_GROUP: &str = "audio";

/// The target duration of all media playlists, which must have one and the same (RFC 8216bis, 6.2.4): the longest
/// segment, rounded to the nearest second.
pub fn target_duration(made: &[Made]) -> u64 {
    let rounded = |made: &Made, ticks: u64| {
        let scale = u64::from(made.timescale);
        (ticks * 2 + scale) / (scale * 2)
    };
    made.iter().flat_map(|m| m.segment_ticks.iter().map(|t| rounded(m, *t))).max().unwrap_or(0).max(1)
}

/// A rendition's media playlist, for its own folder.
pub fn media(made: &Made, target: u64) -> String {
    let seconds = |ticks: u64| exact_seconds(ticks, made.timescale);
    let mut text = format!(
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{target}\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n\
         #EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MAP:URI=\"{}\"\n",
        layout::INIT_SEGMENT
    );
    for (index, &ticks) in (0..).zip(&made.segment_ticks) {
        let _ = write!(text, "#EXTINF:{},\n{}\n", seconds(ticks), layout::segment(index));
    }
    text + "#EXT-X-ENDLIST\n"
}

/// The multivariant playlist: a variant for each video rendition, the audio renditions beside them.
pub fn multivariant(attempt: &AttemptId, made: &[Made]) -> String {
    let is_audio = |r: &&Rendition| matches!(r.track, Track::Audio { .. });
    let all = || made.iter().map(|m| &m.rendition);
    let audio: Vec<_> = all().filter(is_audio).collect();
    let mut text = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n".to_owned();
    for (n, rendition) in audio.iter().enumerate() {
        text += &audio_line(attempt, rendition, n);
    }
    for video in all().filter(|r| !is_audio(r)) {
        text += &variant(attempt, video, &audio);
    }
    text
}

fn audio_line(attempt: &AttemptId, rendition: &Rendition, n: usize) -> String {
    let Track::Audio { channels, language, .. } = &rendition.track else { return String::new() };
    let name = match language {
        Some(language) if n == 0 => language.clone(),
        Some(language) => format!("{language} {}", n + 1),
        None => format!("Audio {}", n + 1),
    };
    let language = language.as_ref().map_or(String::new(), |l| format!(",LANGUAGE=\"{l}\""));
    let default = if n == 0 { "YES" } else { "NO" };
    format!(
        "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"{AUDIO_GROUP}\",NAME=\"{name}\"{language},DEFAULT={default},AUTOSELECT=YES,\
         CHANNELS=\"{channels}\",URI=\"{}\"\n",
        uri(attempt, rendition)
    )
}

fn variant(attempt: &AttemptId, video: &Rendition, audio: &[&Rendition]) -> String {
    let Track::Video { width, height, frame_rate, .. } = video.track else { return String::new() };
    // What a client must be able to fetch: the picture and the most demanding sound beside it.
    let most = |of: fn(&Rendition) -> u64| of(video) + audio.iter().map(|r| of(r)).max().unwrap_or(0);
    let mut codecs = vec![video.codecs.as_str()];
    for rendition in audio {
        if !codecs.contains(&rendition.codecs.as_str()) {
            codecs.push(&rendition.codecs);
        }
    }
    let group = if audio.is_empty() { String::new() } else { format!(",AUDIO=\"{AUDIO_GROUP}\"") };
    format!(
        "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={},CODECS=\"{}\",RESOLUTION={width}x{height},\
         FRAME-RATE={:.3}{group}\n{}\n",
        most(|r| r.peak_bps),
        most(|r| r.average_bps),
        codecs.join(","),
        frame_rate.as_f64(),
        uri(attempt, video)
    )
}

fn uri(attempt: &AttemptId, rendition: &Rendition) -> String {
    layout::attempt_file(attempt, &format!("{}/{}", rendition.name, layout::MEDIA_PLAYLIST))
}

/// Seconds with six decimals, rounded to the nearest.
fn exact_seconds(ticks: u64, timescale: u32) -> String {
    let scale = u128::from(timescale);
    let micros = (u128::from(ticks) * 2_000_000 + scale) / (scale * 2);
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::tests::two_rungs_and_sound;

    #[test]
    fn the_multivariant_playlist_says_what_the_bytes_are() {
        let want = "\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"eng\",LANGUAGE=\"eng\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"a1-00000007/audio/index.m3u8\"
#EXT-X-STREAM-INF:BANDWIDTH=2128000,AVERAGE-BANDWIDTH=1643607,CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=1280x720,FRAME-RATE=25.000,AUDIO=\"audio\"
a1-00000007/720p/index.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=2128000,AVERAGE-BANDWIDTH=1643607,CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=640x360,FRAME-RATE=25.000,AUDIO=\"audio\"
a1-00000007/360p/index.m3u8
";
        assert_eq!(multivariant(&AttemptId::new(1, 7), &two_rungs_and_sound().renditions), want);
    }

    #[test]
    fn all_media_playlists_have_the_longest_segments_target_duration() {
        let mut renditions = two_rungs_and_sound().renditions;
        renditions[1].segment_ticks = vec![u64::from(renditions[1].timescale) * 11 / 2];
        assert_eq!(target_duration(&renditions), 6);
    }

    #[test]
    fn a_media_playlist_lists_exact_lengths() {
        let verified = two_rungs_and_sound();
        let want = "\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:4
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MAP:URI=\"init.mp4\"
#EXTINF:4.000000,
seg_00000.m4s
#EXTINF:1.280000,
seg_00001.m4s
#EXT-X-ENDLIST
";
        assert_eq!(media(&verified.renditions[0], target_duration(&verified.renditions)), want);
        assert_eq!(exact_seconds(1001 * 120, 30000), "4.004000");
        assert_eq!(exact_seconds(1, 3), "0.333333");
        assert_eq!(exact_seconds(2, 3), "0.666667");
    }
}
