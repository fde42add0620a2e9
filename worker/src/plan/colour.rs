//! Colours: what the renditions are tagged with, and what becomes of a high dynamic range.

use reelmill_api::{
    media::{Colour, VideoFacts},
    preset::{Filter, Hdr, Preset, VideoCodec},
};

use super::{HdrSource, Plan};

/// The colours of renditions with a standard dynamic range.
pub(super) fn standard(video: &VideoFacts) -> Colour {
    if video.colour.is_hdr() { bt709() } else { tagged(video) }
}

/// The source's high dynamic range. Tags that it lacks are those of ITU-R BT.2100, which defines both curves.
pub(super) fn high(video: &VideoFacts) -> Option<HdrSource> {
    let colour = &video.colour;
    let or = |tag: &Option<String>, usual: &str| Some(tag.clone().unwrap_or_else(|| usual.to_owned()));
    colour.is_hdr().then(|| HdrSource {
        colour: Colour {
            primaries: or(&colour.primaries, "bt2020"),
            transfer: colour.transfer.clone(),
            matrix: or(&colour.matrix, "bt2020nc"),
            range: Some("tv".to_owned()),
        },
        metadata: video.hdr.clone().unwrap_or_default(),
    })
}

/// Whether a rendition of `codec` keeps a high dynamic range. Logos and colour tables are made for a standard one.
pub(super) fn keeps(source: &VideoFacts, preset: &Preset, codec: VideoCodec) -> bool {
    let standard_only = preset.filters.iter().any(|f| matches!(f, Filter::Logo(_) | Filter::Lut(_)));
    source.colour.is_hdr() && preset.video.hdr == Hdr::Keep && codec != VideoCodec::H264 && !standard_only
}

/// Bits of a sample: 10 for what is kept of a high dynamic range and for masters of deep sources, else 8.
pub(super) fn depth(source: &VideoFacts, codec: VideoCodec, hdr: bool) -> u32 {
    match codec {
        VideoCodec::Prores => 10,
        VideoCodec::Dnxhr if source.bit_depth() > 8 => 10,
        _ if hdr => 10,
        _ => 8,
    }
}

/// What becomes of a high dynamic range, in words.
pub(super) fn changes(plan: &Plan) -> Vec<String> {
    let Some(hdr) = &plan.picture.hdr else { return Vec::new() };
    let (kept, mapped): (Vec<_>, Vec<_>) = plan.videos().into_iter().partition(|v| v.hdr);
    let names = |videos: &[&super::VideoPlan]| videos.iter().map(|v| v.name.as_str()).collect::<Vec<_>>().join(", ");
    let transfer = hdr.colour.transfer.as_deref().unwrap_or("unknown");
    match (kept.is_empty(), mapped.is_empty()) {
        (true, _) => vec!["tone-mapped from HDR to SDR".to_owned()],
        (false, true) => vec![format!("kept HDR ({transfer})")],
        (false, false) => vec![
            format!("kept HDR ({transfer}) in {}", names(&kept)),
            format!("tone-mapped from HDR to SDR in {}", names(&mapped)),
        ],
    }
}

/// Whether samples are red, green and blue, which must be brought to the matrix that the renditions are tagged with:
/// left to itself, ffmpeg takes that of BT.601 for pictures of every size.
pub(super) fn is_rgb(video: &VideoFacts) -> bool {
    const RGB: [&str; 8] = ["rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr", "pal8"];
    RGB.iter().any(|name| video.pixel_format.starts_with(name))
}

fn bt709() -> Colour {
    let tag = || Some("bt709".to_owned());
    Colour { primaries: tag(), transfer: tag(), matrix: tag(), range: Some("tv".to_owned()) }
}

/// The source's own tags; where it has none, those that its size suggests (ITU-R BT.709 from 720 lines up, else BT.601).
fn tagged(video: &VideoFacts) -> Colour {
    let guess = if video.width.min(video.height) >= 720 { "bt709" } else { "smpte170m" };
    let or_guess = |tag: &Option<String>| Some(tag.clone().unwrap_or_else(|| guess.to_owned()));
    let colour = &video.colour;
    Colour {
        primaries: or_guess(&colour.primaries),
        transfer: or_guess(&colour.transfer),
        matrix: or_guess(&colour.matrix),
        range: Some("tv".to_owned()),
    }
}
