//! A DASH manifest read by ISO/IEC 23009-1 and nothing else: the tests' own reading, which shares no code with the worker.

use roxmltree::{Document, Node};

/// A manifest of a finished recording with one period.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Its own attributes, by name.
    pub profiles: String,
    /// `static` for a finished recording.
    pub kind: String,
    /// How long it lasts, seconds.
    pub seconds: f64,
    /// How long a player fetches before it plays, seconds.
    pub min_buffer_seconds: f64,
    /// Its adaptation sets.
    pub sets: Vec<Set>,
}

/// An adaptation set.
#[derive(Clone, Debug)]
pub struct Set {
    /// `video`, `audio` or `text`.
    pub content: String,
    /// The language.
    pub language: Option<String>,
    /// What its elements say, as (element, scheme, value).
    pub properties: Vec<(String, String, String)>,
    /// Its name for people.
    pub label: Option<String>,
    /// Its representations.
    pub representations: Vec<Representation>,
}

/// A representation with all addresses resolved.
#[derive(Clone, Debug)]
pub struct Representation {
    /// Its identifier.
    pub id: String,
    /// Its element's attributes.
    pub attributes: Vec<(String, String)>,
    /// Ticks per second.
    pub timescale: i64,
    /// The init segment's address, relative to the manifest; absent for single files.
    pub init: Option<String>,
    /// Start and length in ticks, and address of each segment.
    pub segments: Vec<(i64, i64, String)>,
}

impl Set {
    /// The value that an element with this scheme gives.
    pub fn says(&self, scheme: &str) -> Option<&str> {
        self.properties.iter().find(|(_, s, _)| s == scheme).map(|(.., value)| value.as_str())
    }
}

impl Representation {
    /// An attribute that has to be there.
    pub fn text(&self, name: &str) -> &str {
        let found = self.attributes.iter().find(|(n, _)| n == name);
        found.map_or_else(|| panic!("no {name} among {:?}", self.attributes), |(_, value)| value)
    }
}

impl Manifest {
    /// Reads a manifest.
    pub fn read(text: &str) -> Self {
        let document = Document::parse(text).unwrap_or_else(|e| panic!("{e} in {text}"));
        let root = document.root_element();
        assert_eq!(root.tag_name().name(), "MPD");
        assert_eq!(root.tag_name().namespace(), Some("urn:mpeg:dash:schema:mpd:2011"));
        let base = child(root, "BaseURL").and_then(|b| b.text()).unwrap_or("");
        let periods: Vec<_> = children(root, "Period").collect();
        let [period] = periods[..] else { panic!("{} periods", periods.len()) };
        Self {
            profiles: attribute(root, "profiles"),
            kind: attribute(root, "type"),
            seconds: seconds(&attribute(root, "mediaPresentationDuration")),
            min_buffer_seconds: seconds(&attribute(root, "minBufferTime")),
            sets: children(period, "AdaptationSet")
                .filter(|set| !is_thumbnails(*set))
                .map(|set| read_set(set, base))
                .collect(),
        }
    }
}

/// Small pictures for seeking play no part in what is seen and heard.
fn is_thumbnails(set: Node<'_, '_>) -> bool {
    set.attribute("contentType") == Some("image")
}

fn read_set(set: Node<'_, '_>, base: &str) -> Set {
    let property = |n: Node<'_, '_>| {
        let scheme = n.attribute("schemeIdUri")?;
        Some((n.tag_name().name().to_owned(), scheme.to_owned(), n.attribute("value").unwrap_or_default().to_owned()))
    };
    Set {
        content: attribute(set, "contentType"),
        language: set.attribute("lang").map(str::to_owned),
        properties: set.children().filter_map(property).collect(),
        label: child(set, "Label").and_then(|l| l.text()).map(str::to_owned),
        representations: children(set, "Representation").map(|r| read_representation(r, base)).collect(),
    }
}

fn read_representation(node: Node<'_, '_>, base: &str) -> Representation {
    let id = attribute(node, "id");
    let attributes = node.attributes().map(|a| (a.name().to_owned(), a.value().to_owned())).collect();
    let Some(template) = child(node, "SegmentTemplate") else {
        let file = child(node, "BaseURL").and_then(|b| b.text()).expect("a template or an address");
        return Representation {
            id,
            attributes,
            timescale: 1,
            init: None,
            segments: vec![(0, 0, format!("{base}{file}"))],
        };
    };
    let named = |name: &str| format!("{base}{}", attribute(template, name).replace("$RepresentationID$", &id));
    assert_eq!(template.attribute("presentationTimeOffset"), None, "the browser applies edit lists by itself");
    let mut number: u64 = attribute(template, "startNumber").parse().expect("a number");
    let (mut at, mut segments) = (0, Vec::new());
    for entry in children(child(template, "SegmentTimeline").expect("a timeline"), "S") {
        let ticks = |name: &str| entry.attribute(name).map(|n| n.parse::<i64>().expect("ticks"));
        at = ticks("t").unwrap_or(at);
        for _ in 0..=ticks("r").unwrap_or(0) {
            let length = ticks("d").expect("a length");
            segments.push((at, length, named("media").replace("$Number%05d$", &format!("{number:05}"))));
            (at, number) = (at + length, number + 1);
        }
    }
    let timescale = attribute(template, "timescale").parse().expect("ticks per second");
    let init = Some(named("initialization"));
    Representation { id, attributes, timescale, init, segments }
}

fn children<'a, 'input>(node: Node<'a, 'input>, name: &'static str) -> impl Iterator<Item = Node<'a, 'input>> {
    node.children().filter(move |n| n.tag_name().name() == name)
}

fn child<'a, 'input>(node: Node<'a, 'input>, name: &'static str) -> Option<Node<'a, 'input>> {
    children(node, name).next()
}

fn attribute(node: Node<'_, '_>, name: &str) -> String {
    node.attribute(name).unwrap_or_else(|| panic!("no {name} at {}", node.tag_name().name())).to_owned()
}

/// A duration in seconds alone.
fn seconds(duration: &str) -> f64 {
    let number = duration.strip_prefix("PT").and_then(|d| d.strip_suffix('S')).expect("a duration in seconds");
    number.parse().expect("a number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves_addresses_and_repeated_segments() {
        let manifest = Manifest::read(
            r#"<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="p" type="static" mediaPresentationDuration="PT7.5S"
                minBufferTime="PT4S"><BaseURL>a/</BaseURL><Period><AdaptationSet contentType="video"><Role schemeIdUri="s"
                value="main"/><Representation id="720p" width="1280"><SegmentTemplate timescale="2" startNumber="0"
                initialization="$RepresentationID$/i" media="$RepresentationID$/s_$Number%05d$"><SegmentTimeline>
                <S t="0" d="4" r="1"/><S d="7"/></SegmentTimeline></SegmentTemplate></Representation></AdaptationSet>
                </Period></MPD>"#,
        );
        let set = &manifest.sets[0];
        assert_eq!((manifest.seconds, set.says("s"), set.says("t")), (7.5, Some("main"), None));
        let representation = &set.representations[0];
        assert_eq!((representation.text("width"), representation.init.as_deref()), ("1280", Some("a/720p/i")));
        let at = |n: usize| (representation.segments[n].0, representation.segments[n].1);
        assert_eq!([at(0), at(1), at(2)], [(0, 4), (4, 4), (8, 7)]);
        assert_eq!(representation.segments[2].2, "a/720p/s_00002");
    }
}
