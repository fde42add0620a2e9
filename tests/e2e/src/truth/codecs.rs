//! The name of a codec by RFC 6381, from the bytes of its configuration box; it must say what a judge sees in the pictures.

use crate::output::Rendition;

/// The codec of a video rendition.
pub(super) fn of_video(video: &Rendition) -> String {
    match video.track.says("codec_name").as_str() {
        "h264" => avc(video),
        "hevc" => hevc(video),
        "av1" => av1(video),
        other => panic!("{}: a codec of {other}", video.name),
    }
}

/// Profile, constraints and level (ISO/IEC 14496-15, 5.3.3).
fn avc(video: &Rendition) -> String {
    let avcc = video.find_box(b"avcC");
    let (profile, constraints, level) = (avcc[5], avcc[6], avcc[7]);
    let name = match profile {
        0x42 => "Constrained Baseline",
        0x4d => "Main",
        0x64 => "High",
        other => panic!("profile {other}"),
    };
    seen(video, name, u32::from(level));
    format!("avc1.{profile:02x}{constraints:02x}{level:02x}")
}

/// Profile, compatibility from the last bit on, tier and level, constraints up to the last that is not 0 (ISO/IEC
/// 14496-15, E.3).
fn hevc(video: &Rendition) -> String {
    assert_eq!(video.track.says("codec_tag_string"), "hvc1", "parameter sets lie in the init segment alone");
    let hvcc = video.find_box(b"hvcC");
    let (tier, profile, level) = (if hvcc[5] & 0x20 == 0 { 'L' } else { 'H' }, hvcc[5] & 0x1f, hvcc[16]);
    assert_eq!(hvcc[5] >> 6, 0, "no profile space");
    seen(video, if profile == 2 { "Main 10" } else { "Main" }, u32::from(level));
    let flags = hvcc[6..10].iter().fold(0_u32, |all, byte| all << 8 | u32::from(*byte));
    let backwards = (0..32).fold(0_u32, |all, bit| all | (flags >> bit & 1) << (31 - bit));
    let mut constraints = hvcc[10..16].to_vec();
    while constraints.last() == Some(&0) {
        constraints.pop();
    }
    let constraints: String = constraints.iter().map(|byte| format!(".{byte:X}")).collect();
    format!("hvc1.{profile}.{backwards:X}.{tier}{level}{constraints}")
}

/// Profile, level and tier, depth (AV1 in ISO base media files, 5).
fn av1(video: &Rendition) -> String {
    let av1c = video.find_box(b"av1C");
    let (profile, level) = (av1c[5] >> 5, av1c[5] & 0x1f);
    let (tier, depth) = (if av1c[6] & 0x80 == 0 { 'M' } else { 'H' }, if av1c[6] & 0x40 == 0 { 8 } else { 10 });
    assert_eq!(profile, 0, "Main");
    seen(video, "Main", u32::from(level));
    format!("av01.{profile}.{level:02}{tier}.{depth:02}")
}

fn seen(video: &Rendition, profile: &str, level: u32) {
    assert_eq!((video.track.says("profile"), video.track.says("level")), (profile.to_owned(), level.to_string()));
}
