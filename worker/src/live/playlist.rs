//! Live playlists by RFC 8216bis, as text: a window that slides, and the multivariant playlist over it.

use std::fmt::Write as _;

use reelmill_api::{layout, rendition::Track};

use super::state::{Made, Row, State};

/// The name of the group that all audio renditions are in.
const AUDIO_GROUP: &str = "audio";

/// The media playlist of the rendition of that index.
pub(super) fn media(state: &State, rendition: usize) -> String {
    let name = &state.renditions[rendition].rendition.name;
    let mut text = format!(
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{}\n#EXT-X-MEDIA-SEQUENCE:{}\n\
         #EXT-X-DISCONTINUITY-SEQUENCE:{}\n#EXT-X-INDEPENDENT-SEGMENTS\n",
        state.target_seconds,
        state.first(),
        state.discontinuities
    );
    for (n, row) in state.rows.iter().enumerate() {
        if row.breaks {
            text += "#EXT-X-DISCONTINUITY\n";
        }
        if row.breaks || n == 0 {
            let _ = writeln!(text, "#EXT-X-MAP:URI=\"{}\"", uri(row, name, layout::INIT_SEGMENT));
        }
        let micros = row.micros.get(rendition).copied().unwrap_or(0);
        let _ = write!(
            text,
            "#EXT-X-PROGRAM-DATE-TIME:{}\n#EXTINF:{}.{:06},\n{}\n",
            moment(row.received_ms),
            micros / 1_000_000,
            micros % 1_000_000,
            uri(row, name, &layout::segment(row.index))
        );
    }
    if state.ended { text + "#EXT-X-ENDLIST\n" } else { text }
}

/// Relative to the media playlist, which lies in a folder of its rendition's name.
fn uri(row: &Row, rendition: &str, file: &str) -> String {
    format!("../{}", layout::live_file(&row.attempt, row.session, rendition, file))
}

/// RFC 3339, UTC, milliseconds.
fn moment(ms: u64) -> String {
    let at = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()).unwrap_or_default();
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// The multivariant playlist.
pub(super) fn multivariant(state: &State) -> String {
    let (sounds, pictures): (Vec<_>, Vec<_>) =
        state.renditions.iter().partition(|made| matches!(made.rendition.track, Track::Audio { .. }));
    let mut text = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n".to_owned();
    for (n, sound) in sounds.iter().enumerate() {
        text += &audio_line(sound, n);
    }
    for picture in pictures {
        text += &variant(picture, &sounds);
    }
    text
}

fn audio_line(sound: &Made, n: usize) -> String {
    let Track::Audio { channels, language, .. } = &sound.rendition.track else { return String::new() };
    // A tag of letters, digits and hyphens, as BCP 47 has it, or none.
    let plain = |l: &&String| l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let language = language.as_ref().filter(plain).map_or(String::new(), |l| format!(",LANGUAGE=\"{l}\""));
    let default = if n == 0 { "YES" } else { "NO" };
    format!(
        "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"{AUDIO_GROUP}\",NAME=\"Audio {}\"{language},DEFAULT={default},AUTOSELECT=YES,\
         CHANNELS=\"{channels}\",URI=\"{}\"\n",
        n + 1,
        layout::live_playlist(&sound.rendition.name)
    )
}

/// What a live encoder will make is not known before: the rates are those that its rate control allows. Its buffer holds
/// two seconds, so that no segment of two seconds has more than twice the highest rate.
fn variant(picture: &Made, sounds: &[&Made]) -> String {
    let Track::Video { width, height, frame_rate, .. } = &picture.rendition.track else { return String::new() };
    let sound = sounds.iter().map(|made| made.max_bps).max().unwrap_or(0);
    let mut codecs = vec![picture.rendition.codecs.as_str()];
    for made in sounds {
        if !codecs.contains(&made.rendition.codecs.as_str()) {
            codecs.push(&made.rendition.codecs);
        }
    }
    let group = if sounds.is_empty() { String::new() } else { format!(",AUDIO=\"{AUDIO_GROUP}\"") };
    format!(
        "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={},CODECS=\"{}\",RESOLUTION={width}x{height},\
         FRAME-RATE={:.3}{group}\n{}\n",
        2 * (picture.max_bps + sound),
        picture.max_bps + sound,
        codecs.join(","),
        frame_rate.as_f64(),
        layout::live_playlist(&picture.rendition.name)
    )
}

#[cfg(test)]
pub(super) mod tests {
    use reelmill_api::{AttemptId, JobId, Preset, preset::Product};

    use super::*;
    use crate::{
        live::{
            ladder,
            state::{
                Figures, NewRow,
                tests::{row, state},
            },
        },
        plan::tests::source,
    };

    /// All that players read of a live preset's output, file by file: a full window in which the source dropped once.
    pub(crate) fn playlists(preset: &Preset) -> String {
        let Product::Live(recipe) = &preset.product else { panic!("it is live") };
        let (seconds, window) = (recipe.segment_seconds.get().into(), recipe.window.get() as usize);
        let mut state = State::new(JobId::from_message("q", "1"), AttemptId::new(1, 7), seconds, window, 0);
        state.renditions = ladder::renditions(&ladder::tests::first_plan(preset, &source(1920, 1080, "25/1")));
        for made in &mut state.renditions {
            let is_sound = matches!(made.rendition.track, Track::Audio { .. });
            if is_sound { "mp4a.40.2" } else { "avc1.64001f" }.clone_into(&mut made.rendition.codecs);
        }
        let rows = [(1, 0..5), (2, 0..5)].into_iter().flat_map(|(session, rows)| rows.map(move |n| (session, n)));
        for (place, (session, index)) in (0..).zip(rows) {
            let figures = Figures { micros: seconds * 1_000_000, samples: 50, bytes: 100_000 };
            let segments = vec![figures; state.renditions.len()];
            let received_ms = 1_763_800_000_000 + place * 1000 * seconds + u64::from(session) * 7000;
            state.push(NewRow { attempt: AttemptId::new(1, 7), session, index, received_ms, segments }, 0);
        }
        let mut all = format!("== master.m3u8\n{}", multivariant(&state));
        for (n, made) in state.renditions.iter().enumerate() {
            all += &format!("\n== {}/index.m3u8\n{}", made.rendition.name, media(&state, n));
        }
        all
    }

    #[test]
    fn a_window_tells_where_it_stands_and_where_the_timeline_breaks() {
        let mut state = state();
        for (n, (session, index)) in (0..).zip([(1, 0), (1, 1), (1, 2), (2, 0)]) {
            state.push(row(session, index, 1_763_800_000_000 + n * 3000), 0);
        }
        let want = "\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:2
#EXT-X-MEDIA-SEQUENCE:1
#EXT-X-DISCONTINUITY-SEQUENCE:0
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MAP:URI=\"../a1-00000007/s1/audio/init.mp4\"
#EXT-X-PROGRAM-DATE-TIME:2025-11-22T08:26:42.005Z
#EXTINF:2.005333,
../a1-00000007/s1/audio/seg_00001.m4s
#EXT-X-PROGRAM-DATE-TIME:2025-11-22T08:26:44.010Z
#EXTINF:2.005333,
../a1-00000007/s1/audio/seg_00002.m4s
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI=\"../a1-00000007/s2/audio/init.mp4\"
#EXT-X-PROGRAM-DATE-TIME:2025-11-22T08:26:49.000Z
#EXTINF:2.005333,
../a1-00000007/s2/audio/seg_00000.m4s
";
        assert_eq!(media(&state, 1), want);
        state.ended = true;
        assert_eq!(media(&state, 1), format!("{want}#EXT-X-ENDLIST\n"));
    }

    #[test]
    fn the_multivariant_playlist_promises_what_rate_control_keeps() {
        let want = "\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Audio 1\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"audio/index.m3u8\"
#EXT-X-STREAM-INF:BANDWIDTH=1856000,AVERAGE-BANDWIDTH=928000,CODECS=\"avc1.64001e,mp4a.40.2\",RESOLUTION=640x360,FRAME-RATE=25.000,AUDIO=\"audio\"
360p/index.m3u8
";
        assert_eq!(multivariant(&state()), want);
    }
}
