//! Groups of renditions that a player chooses among: sound by channels, text. Each member with a name for people.

use std::collections::{BTreeMap, BTreeSet};

use reelmill_api::{Rendition, rendition::Track};

use crate::language;

/// What is offered beside the pictures.
#[derive(Debug, PartialEq)]
pub(crate) struct Groups<'a> {
    /// Groups of sound: what everyone can hear first, then with all channels where there are more. May be none.
    pub(crate) sounds: Vec<Group<'a>>,
    /// Subtitles; may be none.
    pub(crate) texts: Vec<Member<'a>>,
}

/// Renditions of the same tracks. All groups have the same members by name (RFC 8216bis, 4.4.6.1.1).
#[derive(Debug, PartialEq)]
pub(crate) struct Group<'a> {
    /// Its name in playlists.
    pub(crate) id: &'static str,
    /// A rendition for each track; at least one.
    pub(crate) members: Vec<Member<'a>>,
}

/// A rendition as it is offered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Member<'a> {
    /// What it is.
    pub(crate) rendition: &'a Rendition,
    /// Its name for people; no other member of its group has it.
    pub(crate) name: String,
    /// Its language by BCP 47.
    pub(crate) language: Option<String>,
    /// Whether it is played where the user chose nothing.
    pub(crate) default: bool,
    /// Whether a player may choose it by its language: the first of each language only, for they must differ.
    pub(crate) autoselect: bool,
}

/// The group of what everyone can hear.
const EVERYONE: &str = "audio";
/// The group with all channels.
const SURROUND: &str = "surround";

impl<'a> Groups<'a> {
    /// The groups of a ladder's renditions. A rendition with all channels follows the other one of its track.
    pub(crate) fn of(renditions: impl Iterator<Item = &'a Rendition>) -> Self {
        let (mut tracks, mut wide, mut texts) = (Vec::new(), BTreeMap::new(), Vec::new());
        for rendition in renditions {
            match rendition.track {
                Track::Audio { surround: true, .. } if !tracks.is_empty() => {
                    wide.insert(tracks.len() - 1, rendition);
                }
                Track::Audio { .. } => tracks.push(rendition),
                Track::Text { .. } => texts.push(rendition),
                Track::Video { .. } | Track::File { .. } => {}
            }
        }
        let everyone = members(&tracks, "Audio");
        let mut surround = everyone.clone();
        for (track, rendition) in &wide {
            surround[*track].rendition = rendition;
        }
        let mut sounds = vec![Group { id: EVERYONE, members: everyone }, Group { id: SURROUND, members: surround }];
        sounds.truncate(if wide.is_empty() { 1 } else { 2 });
        sounds.retain(|group| !group.members.is_empty());
        Self { sounds, texts: members(&texts, "Subtitles") }
    }
}

fn members<'a>(renditions: &[&'a Rendition], nameless: &str) -> Vec<Member<'a>> {
    let (mut names, mut offered) = (BTreeMap::new(), BTreeSet::new());
    let mut members = Vec::new();
    for (n, &rendition) in renditions.iter().enumerate() {
        let language = said_language(rendition).and_then(language::tag);
        let plain = language.as_deref().map_or_else(|| nameless.to_owned(), language::name) + purpose(rendition);
        let times = names.entry(plain.clone()).and_modify(|times| *times += 1).or_insert(1);
        let name = if *times == 1 { plain } else { format!("{plain} {times}") };
        let autoselect = offered.insert((language.clone(), purpose(rendition)));
        members.push(Member { rendition, name, language, default: n == 0, autoselect });
    }
    members
}

fn said_language(rendition: &Rendition) -> Option<&str> {
    match &rendition.track {
        Track::Audio { language, .. } | Track::Text { language, .. } => language.as_deref(),
        Track::Video { .. } | Track::File { .. } => None,
    }
}

/// What text is for, where it is not for everyone.
fn purpose(rendition: &Rendition) -> &'static str {
    match rendition.track {
        Track::Text { forced: true, .. } => " (forced)",
        Track::Text { hearing_impaired: true, .. } => " (for the hard of hearing)",
        _ => "",
    }
}
