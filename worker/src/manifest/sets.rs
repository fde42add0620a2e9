//! Adaptation sets: renditions that a player may change between, and what tells it which set to take.

use std::fmt::Write as _;

use reelmill_api::{Rational, layout, rendition::Track};

use crate::{
    fmp4::Cicp,
    playlist::groups::{Groups, Member},
    verify::Made,
};

/// One adaptation set.
pub(super) enum Set<'a> {
    /// Pictures of one codec and one dynamic range; the places, counted from 1, of the sets with the same range.
    Video { made: Vec<&'a Made>, siblings: Vec<usize> },
    /// One track of sound in one layout.
    Audio { made: &'a Made, member: Member<'a>, everyone: bool },
    /// One track of text.
    Text { member: Member<'a> },
}

/// The sets of all renditions: video, sound that everyone can hear, sound with all channels, text.
pub(super) fn of(made: &[Made]) -> Vec<Set<'_>> {
    let groups = Groups::of(made.iter().map(|m| &m.rendition));
    let mut sets = videos(made);
    let named = |member: &Member<'_>| made.iter().find(|m| std::ptr::eq(&raw const m.rendition, member.rendition));
    for (n, group) in groups.sounds.iter().enumerate() {
        let own = group.members.iter().filter(|member| n == 0 || is_surround(member));
        sets.extend(own.filter_map(|m| Some(Set::Audio { made: named(m)?, member: m.clone(), everyone: n == 0 })));
    }
    sets.extend(groups.texts.iter().map(|member| Set::Text { member: member.clone() }));
    sets
}

fn is_surround(member: &Member<'_>) -> bool {
    matches!(member.rendition.track, Track::Audio { surround: true, .. })
}

fn videos(made: &[Made]) -> Vec<Set<'_>> {
    let kind = |m: &Made| match m.rendition.track {
        Track::Video { dynamic_range, .. } => {
            m.rendition.codecs.get(..4).map(|codec| (codec.to_owned(), dynamic_range))
        }
        _ => None,
    };
    let mut kinds: Vec<_> = made.iter().filter_map(kind).collect();
    kinds.dedup();
    let siblings = |n: usize| {
        let same = |other: usize| other != n && kinds[other].1 == kinds[n].1;
        (0..kinds.len()).filter(|other| same(*other)).map(|other| other + 1).collect()
    };
    let of_kind = |n: usize| made.iter().filter(|m| kind(m).as_ref() == Some(&kinds[n])).collect();
    (0..kinds.len()).map(|n| Set::Video { made: of_kind(n), siblings: siblings(n) }).collect()
}

impl Set<'_> {
    /// Its element, as the set of that number.
    pub(super) fn element(&self, id: usize) -> String {
        match self {
            Self::Video { made, siblings } => {
                let mut inside = siblings_property(siblings);
                inside += &made.first().and_then(|m| m.colour).map_or(String::new(), colours);
                inside.extend(made.iter().map(|m| video(m)));
                set(
                    id,
                    "contentType=\"video\" mimeType=\"video/mp4\" segmentAlignment=\"true\" startWithSAP=\"1\"",
                    &inside,
                )
            }
            Self::Audio { made, member, everyone } => {
                let first = if *everyone && member.default { " selectionPriority=\"2\"" } else { "" };
                let about = format!(
                    "contentType=\"audio\" mimeType=\"audio/mp4\" segmentAlignment=\"true\" startWithSAP=\"1\"{}{first}",
                    language(member)
                );
                let role = if member.default { "main" } else { "alternate" };
                set(id, &about, &(layout_of(made) + &label(member) + &self::role(role) + &audio(made)))
            }
            Self::Text { member } => {
                let about = format!("contentType=\"text\" mimeType=\"text/vtt\"{}", language(member));
                set(id, &about, &(label(member) + &purposes(member) + &text(member)))
            }
        }
    }
}

fn set(id: usize, about: &str, inside: &str) -> String {
    format!("    <AdaptationSet id=\"{id}\" {about}>\n{inside}    </AdaptationSet>\n")
}

fn property(name: &str, scheme: &str, value: &str) -> String {
    format!("      <{name} schemeIdUri=\"{scheme}\" value=\"{value}\"/>\n")
}

/// Rungs of another codec lie in another set, and a player may change over to it.
fn siblings_property(siblings: &[usize]) -> String {
    let ids: Vec<_> = siblings.iter().map(ToString::to_string).collect();
    if ids.is_empty() {
        return String::new();
    }
    property("SupplementalProperty", "urn:mpeg:dash:adaptation-set-switching:2016", &ids.join(","))
}

/// Colours that differ from what players assume (ISO/IEC 23091-2).
fn colours(colour: Cicp) -> String {
    if colour.dynamic_range().is_standard() {
        return String::new();
    }
    let say = |what: &str, value: u16| {
        property("SupplementalProperty", &format!("urn:mpeg:mpegB:cicp:{what}"), &value.to_string())
    };
    say("ColourPrimaries", colour.primaries)
        + &say("TransferCharacteristics", colour.transfer)
        + &say("MatrixCoefficients", colour.matrix)
}

fn language(member: &Member<'_>) -> String {
    member.language.as_ref().map_or(String::new(), |tag| format!(" lang=\"{tag}\""))
}

fn label(member: &Member<'_>) -> String {
    format!("      <Label>{}</Label>\n", member.name)
}

fn role(role: &str) -> String {
    property("Role", "urn:mpeg:dash:role:2011", role)
}

fn purposes(member: &Member<'_>) -> String {
    match member.rendition.track {
        Track::Text { forced: true, .. } => role("forced-subtitle"),
        // Captions also tell sounds.
        Track::Text { hearing_impaired: true, .. } => role("caption"),
        _ => role("subtitle"),
    }
}

/// Where the channels are heard (ISO/IEC 23091-3); up to 5.1 the number is that of the channels, the low-frequency one
/// included, because AAC has them in these layouts.
fn layout_of(made: &Made) -> String {
    let Track::Audio { channels, .. } = made.rendition.track else { return String::new() };
    let configuration = match channels {
        7 => 11,
        8 => 12,
        n => n,
    };
    property("AudioChannelConfiguration", "urn:mpeg:mpegB:cicp:ChannelConfiguration", &configuration.to_string())
}

fn video(made: &Made) -> String {
    let Track::Video { width, height, frame_rate, .. } = made.rendition.track else { return String::new() };
    let rate = frame_rate_of(frame_rate);
    representation(made, &format!("width=\"{width}\" height=\"{height}\" frameRate=\"{rate}\" sar=\"1:1\""))
}

fn frame_rate_of(rate: Rational) -> String {
    if rate.den() == 1 { rate.num().to_string() } else { rate.to_string() }
}

fn audio(made: &Made) -> String {
    let Track::Audio { sample_rate, .. } = made.rendition.track else { return String::new() };
    representation(made, &format!("audioSamplingRate=\"{sample_rate}\""))
}

fn text(member: &Member<'_>) -> String {
    let rendition = member.rendition;
    format!(
        "      <Representation id=\"{0}\" bandwidth=\"{1}\">\n        <BaseURL>{0}/{2}</BaseURL>\n      </Representation>\n",
        rendition.name,
        rendition.peak_bps.max(1),
        layout::WHOLE_TEXT
    )
}

fn representation(made: &Made, about: &str) -> String {
    let rendition = &made.rendition;
    format!(
        "      <Representation id=\"{}\" codecs=\"{}\" bandwidth=\"{}\" {about}>\n        <SegmentTemplate timescale=\"{}\" \
         initialization=\"$RepresentationID$/{}\" media=\"$RepresentationID$/{}\" startNumber=\"0\">\n          \
         <SegmentTimeline>\n{}          </SegmentTimeline>\n        </SegmentTemplate>\n      </Representation>\n",
        rendition.name,
        rendition.codecs,
        rendition.peak_bps,
        made.timescale,
        layout::INIT_SEGMENT,
        layout::SEGMENT_TEMPLATE,
        timeline(made),
    )
}

/// How long each segment is shown; segments of one length in a row are one entry.
fn timeline(made: &Made) -> String {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for (index, ticks) in made.segment_ticks.iter().enumerate() {
        let shown = if index == 0 { ticks.saturating_sub(made.priming_ticks).max(1) } else { *ticks };
        match runs.last_mut() {
            Some((same, more)) if *same == shown => *more += 1,
            _ => runs.push((shown, 0)),
        }
    }
    let mut text = String::new();
    for (n, (shown, more)) in runs.iter().enumerate() {
        let start = if n == 0 { "t=\"0\" " } else { "" };
        let again = if *more == 0 { String::new() } else { format!(" r=\"{more}\"") };
        let _ = writeln!(text, "            <S {start}d=\"{shown}\"{again}/>");
    }
    text
}
