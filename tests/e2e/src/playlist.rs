//! Playlists read as text, by RFC 8216bis and nothing else: the tests' own reading, which shares no code with the worker.

use std::collections::BTreeMap;

/// The attributes of one tag, quotes taken off.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attributes(BTreeMap<String, String>);

impl Attributes {
    /// An attribute that has to be there.
    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).unwrap_or_else(|| panic!("no {name} among {self:?}"))
    }

    /// An attribute that may be there.
    pub fn find(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A whole number.
    pub fn number(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap_or_else(|_| panic!("{name} is no number in {self:?}"))
    }

    fn read(list: &str) -> Self {
        let (mut pairs, mut rest) = (BTreeMap::new(), list);
        while !rest.is_empty() {
            let (name, after) = rest.split_once('=').unwrap_or_else(|| panic!("no attribute: {rest}"));
            let (value, after) = match after.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').unwrap_or_else(|| panic!("an open quote: {rest}")),
                None => after.split_at(after.find(',').unwrap_or(after.len())),
            };
            assert!(pairs.insert(name.to_owned(), value.to_owned()).is_none(), "{name} twice in {list}");
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        Self(pairs)
    }
}

/// A multivariant playlist.
#[derive(Clone, Debug)]
pub struct Master {
    /// Variants: their attributes and their media playlist's address.
    pub variants: Vec<(Attributes, String)>,
    /// Renditions beside them.
    pub media: Vec<Attributes>,
}

impl Master {
    /// Reads a multivariant playlist.
    pub fn read(text: &str) -> Self {
        let lines = lines(text);
        assert!(!lines.iter().any(|l| l.starts_with("#EXTINF")), "a multivariant playlist lists no segments");
        let variants = lines.windows(2).filter_map(|pair| {
            let attributes = pair[0].strip_prefix("#EXT-X-STREAM-INF:")?;
            assert!(!pair[1].starts_with('#'), "an address follows each variant: {}", pair[1]);
            Some((Attributes::read(attributes), pair[1].to_owned()))
        });
        let media = lines.iter().filter_map(|l| l.strip_prefix("#EXT-X-MEDIA:")).map(Attributes::read);
        let master = Self { variants: variants.collect(), media: media.collect() };
        assert!(!master.variants.is_empty(), "no variants in {text}");
        master
    }
}

/// A media playlist.
#[derive(Clone, Debug)]
pub struct Media {
    /// The target duration in seconds.
    pub target: u64,
    /// The init segment's address.
    pub init: String,
    /// Seconds and address of each segment.
    pub segments: Vec<(f64, String)>,
}

impl Media {
    /// Reads a media playlist of a whole recording.
    pub fn read(text: &str) -> Self {
        let lines = lines(text);
        let tag = |name: &str| lines.iter().find_map(|l| l.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}"));
        assert_eq!(lines.last(), Some(&"#EXT-X-ENDLIST"), "a whole recording ends");
        assert_eq!((tag("#EXT-X-PLAYLIST-TYPE:"), tag("#EXT-X-MEDIA-SEQUENCE:")), ("VOD", "0"));
        let segments = lines.windows(2).filter_map(|pair| {
            let seconds = pair[0].strip_prefix("#EXTINF:")?.trim_end_matches(',');
            Some((seconds.parse().expect("seconds"), pair[1].to_owned()))
        });
        Self {
            target: tag("#EXT-X-TARGETDURATION:").parse().expect("whole seconds"),
            init: Attributes::read(tag("#EXT-X-MAP:")).text("URI").to_owned(),
            segments: segments.collect(),
        }
    }

    /// The sum of all segments' lengths.
    pub fn seconds(&self) -> f64 {
        self.segments.iter().map(|(seconds, _)| seconds).sum()
    }
}

fn lines(text: &str) -> Vec<&str> {
    assert!(text.starts_with("#EXTM3U\n") && text.ends_with('\n'), "a playlist begins with its tag: {text}");
    text.lines().filter(|l| !l.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_attributes_with_commas_in_quotes() {
        let read = Attributes::read("BANDWIDTH=12,CODECS=\"avc1.64001f,mp4a.40.2\",AUDIO=\"a\"");
        assert_eq!((read.number("BANDWIDTH"), read.text("CODECS")), (12, "avc1.64001f,mp4a.40.2"));
        assert_eq!((read.find("AUDIO"), read.find("VIDEO")), (Some("a"), None));
    }
}
