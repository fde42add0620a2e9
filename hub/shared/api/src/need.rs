//! What a task may need that not every node has: something to be encoded, up to a size, perhaps by hardware. The set is
//! closed, so that lanes can be named by it, and a worker knows which of them it can serve.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    Preset,
    preset::{Fallback, Frame, Hdr, Product, Rung, VideoCodec},
};

/// Sizes up to which encoders are proven, as width and height; a picture belongs to the first that holds it, whichever way
/// it stands.
pub const CLASSES: [(u32, u32); 3] = [(1920, 1088), (4096, 2304), (8192, 4352)];
/// What the classes are called in a lane's name.
const WORDS: [&str; 3] = ["hd", "uhd", "8k"];
/// What begins the name where hardware is needed.
const HARDWARE: &str = "hardware";

/// Something that must be encoded: a codec, bits of a sample, and a size class (its place in [`CLASSES`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Need {
    /// The codec.
    pub codec: VideoCodec,
    /// Bits of a sample.
    pub depth: u32,
    /// The size class.
    pub class: usize,
}

/// What a node was found to lack for a task, all of which one that is able must have.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Needs {
    hardware: bool,
    all: Vec<Need>,
}

/// Text that names no needs.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` names nothing that a task may need, such as hardware-hevc_10bit_uhd")]
pub struct UnknownNeeds(String);

impl Need {
    /// The need of pictures of this size.
    pub fn new(codec: VideoCodec, depth: u32, width: u32, height: u32) -> Self {
        let (long, short) = (width.max(height), width.min(height));
        let class = CLASSES.iter().position(|size| long <= size.0 && short <= size.1);
        Self { codec, depth, class: class.unwrap_or(CLASSES.len() - 1) }
    }

    /// What a preset may need. Files of the source's own size are counted as full HD; larger ones are proven when they come.
    pub fn of_preset(preset: &Preset) -> Vec<Self> {
        Self::at(preset, (1920, 1080))
    }

    /// What a preset may need where files of the source's own size are no larger than this.
    fn at(preset: &Preset, own: (u32, u32)) -> Vec<Self> {
        let codec = |own: Option<VideoCodec>| own.unwrap_or(preset.video.codec);
        let sizes: Vec<(VideoCodec, u32, u32)> = match &preset.product {
            Product::Ladder(ladder) => ladder.rungs.rungs().iter().map(|r| rung(r, codec(r.codec))).collect(),
            Product::Live(live) => live.rungs.rungs().iter().map(|r| rung(r, codec(r.codec))).collect(),
            Product::Files(files) => files
                .iter()
                .map(|f| {
                    let (width, height) = f.frame.as_ref().map_or(own, frame);
                    (codec(f.codec), width, height)
                })
                .collect(),
        };
        let needs = sizes.into_iter().flat_map(|(codec, width, height)| {
            depths(codec, preset.video.hdr).iter().map(move |depth| Self::new(codec, *depth, width, height))
        });
        largest(needs.collect())
    }

    /// Whether what meets this need meets the other, too.
    fn holds(self, other: Self) -> bool {
        (self.codec, self.depth) == (other.codec, other.depth) && self.class >= other.class
    }

    fn word(self) -> String {
        format!("{}_{}bit_{}", self.codec.as_str(), self.depth, WORDS[self.class])
    }

    fn of_word(word: &str) -> Option<Self> {
        let (codec, rest) = word.split_once('_')?;
        let (depth, class) = rest.split_once("bit_")?;
        let codec = VideoCodec::ALL.into_iter().find(|known| known.as_str() == codec)?;
        let class = WORDS.iter().position(|known| *known == class)?;
        Some(Self { codec, depth: depth.parse().ok()?, class }).filter(|need| need.word() == word)
    }
}

fn rung(rung: &Rung, codec: VideoCodec) -> (VideoCodec, u32, u32) {
    (codec, rung.long_side.get(), rung.short_side.get())
}

fn frame(frame: &Frame) -> (u32, u32) {
    (frame.width.get().min(1920), frame.height.get().min(1920))
}

/// The bits of a sample that a codec may be asked for.
fn depths(codec: VideoCodec, hdr: Hdr) -> &'static [u32] {
    match codec {
        VideoCodec::H264 => &[8],
        VideoCodec::Prores => &[10],
        VideoCodec::Dnxhr => &[8, 10],
        VideoCodec::Hevc | VideoCodec::Av1 if hdr == Hdr::Keep => &[8, 10],
        VideoCodec::Hevc | VideoCodec::Av1 => &[8],
    }
}

/// Of each codec and depth only the largest class: what holds it holds the smaller ones.
pub fn largest(mut needs: Vec<Need>) -> Vec<Need> {
    needs.sort_by_key(|need| (need.codec.as_str(), need.depth, std::cmp::Reverse(need.class)));
    needs.dedup_by_key(|need| (need.codec, need.depth));
    needs
}

impl Needs {
    /// All these, by hardware or by whatever encodes them.
    pub fn new(hardware: bool, all: Vec<Need>) -> Self {
        Self { hardware, all: largest(all) }
    }

    /// Whether hardware must do it.
    pub fn hardware(&self) -> bool {
        self.hardware
    }

    /// What must be encoded.
    pub fn all(&self) -> &[Need] {
        &self.all
    }

    /// Each of them alone.
    pub fn each(&self) -> impl Iterator<Item = Self> {
        self.all.iter().map(|need| Self::new(self.hardware, vec![*need]))
    }

    /// These and others: what a task needs is never forgotten on its way.
    #[must_use]
    pub fn and(&self, others: &Self) -> Self {
        Self::new(self.hardware || others.hardware, [self.all(), others.all()].concat())
    }

    /// Whether a node that has these has the others, too.
    pub fn hold(&self, others: &Self) -> bool {
        let held = |other: &Need| self.all.iter().any(|need| need.holds(*other));
        self.hardware == others.hardware && others.all.iter().all(held)
    }

    /// Everything that a task of this preset may turn out to need beyond what a node must have to serve the preset, from
    /// little to much: files of large sources, and hardware where a job forbids software and its preset does not.
    pub fn beyond(preset: &Preset) -> Vec<Self> {
        let usual = Need::of_preset(preset);
        let mut found: Vec<Self> = Vec::new();
        for hardware in [false, true] {
            let forbidden = preset.fallback == Fallback::Forbid;
            if forbidden && !hardware {
                continue;
            }
            let known: &[Need] = if hardware && !forbidden { &[] } else { &usual };
            for size in CLASSES {
                let mut rare = Need::at(preset, size);
                rare.retain(|need| !(known.contains(need) || hardware && need.codec.is_mezzanine()));
                found.extend(rare.iter().map(|need| Self::new(hardware, vec![*need])));
                found.extend((rare.len() > 1).then(|| Self::new(hardware, rare)));
            }
        }
        let mut seen = std::collections::HashSet::new();
        found.retain(|needs| seen.insert(needs.clone()));
        found
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (width, height) = CLASSES[self.class];
        write!(f, "{} {} bit up to {width}x{height}", self.codec.as_str(), self.depth)
    }
}

/// As in the name of a lane: `prores_10bit_uhd`, `hardware-hevc_8bit_hd-hevc_10bit_hd`.
impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hardware = self.hardware.then(|| HARDWARE.to_owned());
        let words: Vec<_> = hardware.into_iter().chain(self.all.iter().map(|need| need.word())).collect();
        f.write_str(&words.join("-"))
    }
}

impl FromStr for Needs {
    type Err = UnknownNeeds;

    fn from_str(text: &str) -> Result<Self, UnknownNeeds> {
        let unknown = || UnknownNeeds(text.to_owned());
        let mut words = text.split('-').peekable();
        let hardware = words.next_if_eq(&HARDWARE).is_some();
        let all = words.map(|word| Need::of_word(word).ok_or_else(unknown)).collect::<Result<_, _>>()?;
        Some(Self::new(hardware, all)).filter(|needs| needs.to_string() == text).ok_or_else(unknown)
    }
}

impl TryFrom<String> for Needs {
    type Error = UnknownNeeds;

    fn try_from(text: String) -> Result<Self, UnknownNeeds> {
        text.parse()
    }
}

impl From<Needs> for String {
    fn from(needs: Needs) -> Self {
        needs.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset::Presets;

    fn beyond(name: &str, change: impl Fn(&mut Preset)) -> Vec<String> {
        let mut preset = Presets::built_in().get(&name.parse().expect("a name")).expect("built in").clone();
        change(&mut preset);
        Needs::beyond(&preset).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_preset_has_few_lanes_beside_its_own() {
        let same = |_: &mut Preset| {};
        assert_eq!(beyond("hls-ladder", same), ["hardware-h264_8bit_hd"]);
        assert_eq!(beyond("archive-prores", same), ["prores_10bit_uhd", "prores_10bit_8k"]);
        assert_eq!(
            beyond("archive-dnxhr", same),
            [
                "dnxhr_8bit_uhd",
                "dnxhr_10bit_uhd",
                "dnxhr_8bit_uhd-dnxhr_10bit_uhd",
                "dnxhr_8bit_8k",
                "dnxhr_10bit_8k",
                "dnxhr_8bit_8k-dnxhr_10bit_8k"
            ]
        );
        let forbid = |preset: &mut Preset| preset.fallback = Fallback::Forbid;
        assert_eq!(beyond("hls-ladder", forbid), [""; 0]);
        let all: usize = Presets::built_in().names().iter().map(|name| beyond(name.as_str(), same).len()).sum();
        assert!(all < 40, "{all} more lanes for a worker that serves everything");
    }

    #[test]
    fn needs_are_read_as_they_were_written() {
        for text in ["prores_10bit_uhd", "hardware-hevc_8bit_hd-hevc_10bit_8k", "hardware"] {
            assert_eq!(text.parse::<Needs>().expect(text).to_string(), text);
        }
        for text in ["", "prores", "prores_10bit_", "hevc_10bit_8k-hevc_8bit_hd", "hevc_+8bit_hd", "vp9_8bit_hd"] {
            assert_eq!(text.parse::<Needs>(), Err(UnknownNeeds(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn what_is_needed_only_grows() {
        let needs = |text: &str| text.parse::<Needs>().expect(text);
        let both = needs("dnxhr_8bit_uhd").and(&needs("dnxhr_10bit_8k"));
        assert_eq!(both, needs("dnxhr_8bit_uhd-dnxhr_10bit_8k"));
        assert!(both.hold(&needs("dnxhr_10bit_uhd")) && !needs("dnxhr_10bit_8k").hold(&both));
        assert!(!needs("hardware-h264_8bit_hd").hold(&needs("h264_8bit_hd")), "another kind of node");
    }
}
