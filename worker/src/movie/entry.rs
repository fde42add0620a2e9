//! A track's sample description: its codec, and the size, colours or channels that go with it.

use mp4_atom::{Av1c, Avcc, Esds, Hvcc};

use super::{Kind, NotAMovie, broken, bytes_at, children, find, u16_at, u32_at, u64_at};
use crate::fmp4;

/// What a track's samples are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// Its codec: by RFC 6381 where that knows one, else the four letters.
    pub codec: String,
    /// Width and height for video.
    pub size: Option<(u32, u32)>,
    /// Width of a pixel and its height, where it says.
    pub pixel: Option<(u32, u32)>,
    /// Colours, where it says.
    pub tags: Option<Tags>,
    /// The number of an Avid profile (SMPTE ST 2019-1, compression ID).
    pub avid_profile: Option<u32>,
    /// Samples per second and channels for audio.
    pub sound: Option<(u32, u32)>,
}

/// Colours by their numbers (ITU-T H.273).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tags {
    /// Primaries.
    pub primaries: u16,
    /// Transfer curve.
    pub transfer: u16,
    /// Matrix.
    pub matrix: u16,
}

/// Where the boxes of a video entry begin.
const VIDEO_BOXES: usize = 78;
/// Where those of an audio entry do, and how much later in its second and third form.
const AUDIO_BOXES: [usize; 3] = [28, 28 + 16, 28 + 36];

/// Reads an `stsd` box, which must have one entry.
pub(super) fn read(stsd: &[u8], kind: Kind) -> Result<Entry, NotAMovie> {
    let entries = children(stsd.get(8..).unwrap_or_default())?;
    let [(code, entry)] = entries.as_slice() else {
        return Err(broken(format!("a track has {} sample descriptions instead of one", entries.len())));
    };
    match kind {
        Kind::Video => video(code, entry),
        Kind::Audio => audio(code, entry),
        Kind::TimeCode | Kind::Other => Ok(Entry { codec: letters(code), ..Entry::default() }),
    }
}

fn letters(code: &[u8; 4]) -> String {
    code.escape_ascii().to_string()
}

fn video(code: &[u8; 4], entry: &[u8]) -> Result<Entry, NotAMovie> {
    let rest = entry.get(VIDEO_BOXES..).ok_or_else(|| broken("a video entry is cut"))?;
    let boxes = children(rest)?;
    let pixel = find(&boxes, b"pasp").map(|p| Ok::<_, NotAMovie>((u32_at(p, 0)?, u32_at(p, 4)?))).transpose()?;
    Ok(Entry {
        codec: video_codec(code, rest)?,
        size: Some((u16_at(entry, 24)?.into(), u16_at(entry, 26)?.into())),
        pixel,
        tags: find(&boxes, b"colr").map_or(Ok(None), tags)?,
        avid_profile: find(&boxes, b"ADHR").map(|adhr| u32_at(adhr, 4)).transpose()?,
        sound: None,
    })
}

fn video_codec(code: &[u8; 4], boxes: &[u8]) -> Result<String, NotAMovie> {
    let not = |e: fmp4::NotFmp4| broken(e.to_string());
    let missing = || broken("a video track has no decoder configuration");
    match code {
        b"avc1" => {
            let c: Avcc = fmp4::find(boxes).map_err(not)?.ok_or_else(missing)?;
            Ok(format!(
                "avc1.{:02x}{:02x}{:02x}",
                c.avc_profile_indication, c.profile_compatibility, c.avc_level_indication
            ))
        }
        b"hvc1" => Ok(fmp4::names::hevc(&fmp4::find::<Hvcc>(boxes).map_err(not)?.ok_or_else(missing)?)),
        b"av01" => Ok(fmp4::names::av1(&fmp4::find::<Av1c>(boxes).map_err(not)?.ok_or_else(missing)?)),
        _ => Ok(letters(code)),
    }
}

fn tags(colr: &[u8]) -> Result<Option<Tags>, NotAMovie> {
    if !matches!(&bytes_at::<4>(colr, 0)?, b"nclc" | b"nclx") {
        return Ok(None);
    }
    Ok(Some(Tags { primaries: u16_at(colr, 4)?, transfer: u16_at(colr, 6)?, matrix: u16_at(colr, 8)? }))
}

fn audio(code: &[u8; 4], entry: &[u8]) -> Result<Entry, NotAMovie> {
    let version = usize::from(u16_at(entry, 8)?);
    let from = *AUDIO_BOXES.get(version).ok_or_else(|| broken("an audio entry has an unknown form"))?;
    let boxes = entry.get(from..).ok_or_else(|| broken("an audio entry is cut"))?;
    let (channels, rate) = match version {
        2 => (u32_at(entry, 40)?, whole(f64::from_bits(u64_at(entry, 32)?))),
        _ => (u32::from(u16_at(entry, 16)?), u32_at(entry, 24)? >> 16),
    };
    if code != b"mp4a" {
        return Ok(Entry { codec: letters(code), sound: Some((rate, channels)), ..Entry::default() });
    }
    let (profile, configured) = aac(boxes)?;
    let sound = Some((rate, configured.unwrap_or(channels)));
    Ok(Entry { codec: format!("mp4a.40.{profile}"), sound, ..Entry::default() })
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float to integer cast saturates")]
fn whole(rate: f64) -> u32 {
    rate.round() as u32
}

/// The profile and the channels of AAC, which only its own configuration tells. QuickTime keeps it in a `wave` box.
fn aac(boxes: &[u8]) -> Result<(u8, Option<u32>), NotAMovie> {
    let wave = find(&children(boxes)?, b"wave");
    let found: Option<Esds> = fmp4::find(wave.unwrap_or(boxes)).map_err(|e| broken(e.to_string()))?;
    let esds = found.ok_or_else(|| broken("an AAC track has no decoder configuration"))?;
    let config = esds.es_desc.dec_config.dec_specific.as_ref();
    let config = config.ok_or_else(|| broken("an AAC track has no decoder configuration"))?;
    let channels = match config.chan_conf {
        0 => None,
        7 => Some(8),
        n => Some(n.into()),
    };
    Ok((config.profile, channels))
}
