//! Playlists by RFC 8216bis, as text, from renditions that passed verification.

pub(crate) mod groups;
mod text;

use std::fmt::Write as _;

use reelmill_api::{AttemptId, Rendition, layout, rendition::Track};

use crate::verify::Made;
use groups::{Group, Groups, Member};

/// The target duration of all media playlists, which must have one and the same (RFC 8216bis, 6.2.4): the longest
/// segment, rounded to the nearest second. Only those of text have their own.
pub fn target_duration(made: &[Made]) -> u64 {
    let rounded = |made: &Made, ticks: u64| {
        let scale = u64::from(made.timescale);
        (ticks * 2 + scale) / (scale * 2)
    };
    let made = made.iter().filter(|m| !text::is_text(m));
    made.flat_map(|m| m.segment_ticks.iter().map(|t| rounded(m, *t))).max().unwrap_or(0).max(1)
}

/// A rendition's media playlist, for its own folder.
pub fn media(made: &Made, target: u64) -> String {
    if text::is_text(made) {
        return text::media(made);
    }
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

/// The multivariant playlist: each video rendition a variant with each group of sound, the first group first.
pub fn multivariant(attempt: &AttemptId, made: &[Made]) -> String {
    let groups = Groups::of(made.iter().map(|m| &m.rendition));
    let mut text = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n".to_owned();
    for group in &groups.sounds {
        text.extend(group.members.iter().map(|member| audio_line(attempt, group.id, member)));
    }
    text.extend(groups.texts.iter().map(|member| text_line(attempt, member)));
    let videos: Vec<_> = made.iter().map(|m| &m.rendition).filter(|r| matches!(r.track, Track::Video { .. })).collect();
    let beside: Vec<Option<&Group<'_>>> =
        if groups.sounds.is_empty() { vec![None] } else { groups.sounds.iter().map(Some).collect() };
    let ranges =
        videos.iter().any(|r| !matches!(&r.track, Track::Video { dynamic_range, .. } if dynamic_range.is_standard()));
    for sounds in beside {
        for video in &videos {
            text += &variant(attempt, video, &Beside { sounds, texts: !groups.texts.is_empty(), ranges });
        }
    }
    text
}

fn audio_line(attempt: &AttemptId, group: &str, member: &Member<'_>) -> String {
    let Track::Audio { channels, .. } = &member.rendition.track else { return String::new() };
    format!(
        "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"{group}\",{},DEFAULT={},AUTOSELECT={},CHANNELS=\"{channels}\",URI=\"{}\"\n",
        label(member),
        yes(member.default),
        yes(member.autoselect),
        uri(attempt, member.rendition)
    )
}

fn text_line(attempt: &AttemptId, member: &Member<'_>) -> String {
    let Track::Text { forced, hearing_impaired, .. } = member.rendition.track else { return String::new() };
    let characteristics = if hearing_impaired { HEARING_IMPAIRED } else { "" };
    format!(
        "#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"{TEXTS}\",{},DEFAULT=NO,AUTOSELECT={},FORCED={}{characteristics},URI=\"{}\"\n",
        label(member),
        yes(member.autoselect),
        yes(forced),
        uri(attempt, member.rendition)
    )
}

/// The group that all subtitles are in.
const TEXTS: &str = "text";
/// What Apple's players ask for of subtitles for those who cannot hear.
const HEARING_IMPAIRED: &str = ",CHARACTERISTICS=\"public.accessibility.transcribes-spoken-dialog,\
                                public.accessibility.describes-music-and-sound\"";

fn label(member: &Member<'_>) -> String {
    let language = member.language.as_ref().map_or(String::new(), |tag| format!(",LANGUAGE=\"{tag}\""));
    format!("NAME=\"{}\"{language}", member.name)
}

fn yes(it_is: bool) -> &'static str {
    if it_is { "YES" } else { "NO" }
}

/// What a variant has besides its picture.
struct Beside<'a> {
    sounds: Option<&'a Group<'a>>,
    texts: bool,
    /// Whether the variants' dynamic ranges differ from what players assume.
    ranges: bool,
}

fn variant(attempt: &AttemptId, video: &Rendition, beside: &Beside<'_>) -> String {
    let Track::Video { width, height, frame_rate, dynamic_range } = video.track else { return String::new() };
    let sounds = || beside.sounds.iter().flat_map(|group| &group.members).map(|member| member.rendition);
    // What a client must be able to fetch: the picture and the most demanding sound beside it.
    let most = |of: fn(&Rendition) -> u64| of(video) + sounds().map(of).max().unwrap_or(0);
    let mut codecs = vec![video.codecs.as_str()];
    for rendition in sounds() {
        if !codecs.contains(&rendition.codecs.as_str()) {
            codecs.push(&rendition.codecs);
        }
    }
    let mut more = beside.sounds.map_or(String::new(), |group| format!(",AUDIO=\"{}\"", group.id));
    if beside.texts {
        let _ = write!(more, ",SUBTITLES=\"{TEXTS}\"");
    }
    if beside.ranges {
        let _ = write!(more, ",VIDEO-RANGE={}", dynamic_range.as_str());
    }
    format!(
        "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={},CODECS=\"{}\",RESOLUTION={width}x{height},\
         FRAME-RATE={:.3}{more}\n{}\n",
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
pub(crate) fn exact_seconds(ticks: u64, timescale: u32) -> String {
    let scale = u128::from(timescale);
    let micros = (u128::from(ticks) * 2_000_000 + scale) / (scale * 2);
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

#[cfg(test)]
mod tests;
