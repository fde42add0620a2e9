//! Reading what the engine made from its bytes as they pass: the boxes of init segments and media segments
//! (ISO/IEC 14496-12), without holding media data.

pub(crate) mod names;

use bytes::{Bytes, BytesMut};
use mp4_atom::{Codec, Colr, DecodeMaybe, Moof, Moov};
use reelmill_api::rendition::DynamicRange;

/// Metadata boxes are small; one beyond this is not ours.
const LARGEST_META_BOX: u64 = 4 << 20;

/// What an init segment says of its track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitFacts {
    /// Ticks per second of all its segments.
    pub timescale: u32,
    /// Codec by RFC 6381.
    pub codecs: String,
    /// Width and height for video.
    pub size: Option<(u32, u32)>,
    /// Samples per second and channels for audio.
    pub sound: Option<(u32, u32)>,
    /// Ticks before presentation starts (the edit list's media time): an audio encoder's priming.
    pub skipped_ticks: u64,
    /// Colours of video, where it says.
    pub colour: Option<Cicp>,
    defaults: Defaults,
}

/// Colours as code points of ITU-T H.273 (`colr` box of type `nclx`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cicp {
    /// Primaries.
    pub primaries: u16,
    /// Transfer characteristics.
    pub transfer: u16,
    /// Matrix coefficients.
    pub matrix: u16,
}

impl Cicp {
    /// What the transfer characteristics mean for a screen.
    pub fn dynamic_range(self) -> DynamicRange {
        match self.transfer {
            16 => DynamicRange::Pq,
            18 => DynamicRange::Hlg,
            _ => DynamicRange::Sdr,
        }
    }
}

#[cfg(test)]
impl InitFacts {
    /// Facts as if read from bytes.
    pub(crate) fn for_tests(codecs: &str, timescale: u32, size: Option<(u32, u32)>, sound: Option<(u32, u32)>) -> Self {
        let codecs = codecs.to_owned();
        Self { timescale, codecs, size, sound, skipped_ticks: 0, colour: None, defaults: Defaults::default() }
    }

    /// The same with so many ticks that an edit list skips.
    pub(crate) fn skipping(self, skipped_ticks: u64) -> Self {
        Self { skipped_ticks, ..self }
    }
}

/// Track-wide defaults for samples (`trex`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Defaults {
    duration: u32,
    flags: u32,
}

/// What a media segment holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentFacts {
    /// Decode time of its first sample.
    pub starts_at: u64,
    /// Sum of its samples' durations.
    pub ticks: u64,
    /// Number of samples: frames, or audio packets.
    pub samples: u64,
    /// When the first of its samples is shown, before the edit list.
    pub shown_from: i64,
    /// Positions of sync samples, counted from 0.
    pub sync_samples: Vec<u64>,
    /// Its size.
    pub bytes: u64,
}

/// A stored file that is not what its name says.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{}", reelmill_api::error::printable(.0))]
pub struct NotFmp4(String);

/// Takes a file's bytes in pieces of any size and keeps only its metadata boxes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BoxScanner {
    /// Bytes of the box being collected, header included.
    pending: BytesMut,
    /// Bytes of a media box still to pass over.
    skip: u64,
    /// Metadata boxes, whole.
    meta: BytesMut,
    bytes: u64,
    media_boxes: u32,
}

impl BoxScanner {
    /// Takes the next piece.
    ///
    /// # Errors
    /// If a box claims an impossible size.
    pub fn feed(&mut self, piece: &Bytes) -> Result<(), NotFmp4> {
        self.bytes += piece.len() as u64;
        let mut rest: &[u8] = piece;
        while !rest.is_empty() {
            if self.skip > 0 {
                let n = usize::try_from(self.skip).unwrap_or(usize::MAX).min(rest.len());
                self.skip -= n as u64;
                rest = &rest[n..];
                continue;
            }
            let wanted = self.wanted()?;
            let n = usize::try_from(wanted - self.pending.len() as u64).unwrap_or(usize::MAX).min(rest.len());
            self.pending.extend_from_slice(&rest[..n]);
            rest = &rest[n..];
            self.complete()?;
        }
        Ok(())
    }

    /// Bytes fed so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How long `pending` must become before the next decision.
    fn wanted(&self) -> Result<u64, NotFmp4> {
        Ok(match header(&self.pending)? {
            Header::Incomplete { need } => need,
            Header::Known { size, .. } => size,
        })
    }

    fn complete(&mut self) -> Result<(), NotFmp4> {
        let Header::Known { kind, header, size } = header(&self.pending)? else { return Ok(()) };
        if &kind == b"mdat" {
            self.media_boxes += 1;
            self.skip = size - header;
            self.pending.clear();
        } else if size > LARGEST_META_BOX {
            return Err(NotFmp4(format!("a {} box claims {size} bytes", kind.escape_ascii())));
        } else if self.pending.len() as u64 == size {
            self.meta.unsplit(self.pending.split());
        }
        Ok(())
    }

    /// Whether it is a whole file without media: what a muxer closes that was given nothing.
    pub fn is_without_media(&self) -> bool {
        self.whole().is_ok() && self.media_boxes == 0
    }

    fn whole(&self) -> Result<(), NotFmp4> {
        if self.skip > 0 || !self.pending.is_empty() {
            return Err(NotFmp4(format!("it ends inside a box after {} bytes", self.bytes)));
        }
        Ok(())
    }

    /// The facts of an init segment, when all of it has been fed.
    ///
    /// # Errors
    /// If it is cut or holds no usable track.
    pub fn init(self) -> Result<InitFacts, NotFmp4> {
        self.whole()?;
        let moov: Moov = find(&self.meta)?.ok_or_else(|| NotFmp4("it holds no moov box".to_owned()))?;
        init_facts(&moov)
    }

    /// The facts of a media segment, when all of it has been fed.
    ///
    /// # Errors
    /// If it is cut or its boxes do not fit together.
    pub fn segment(self, init: &InitFacts) -> Result<SegmentFacts, NotFmp4> {
        self.whole()?;
        if self.media_boxes == 0 {
            return Err(NotFmp4("it holds no media data".to_owned()));
        }
        segment_facts(&self.meta, init, self.bytes)
    }
}

enum Header {
    Incomplete { need: u64 },
    Known { kind: [u8; 4], header: u64, size: u64 },
}

fn header(bytes: &[u8]) -> Result<Header, NotFmp4> {
    let word = |at: usize| bytes.get(at..at + 4).and_then(|b| b.try_into().ok());
    let (Some(size), Some(kind)) = (word(0).map(u32::from_be_bytes), word(4)) else {
        return Ok(Header::Incomplete { need: 8 });
    };
    let (header, size) = if size == 1 {
        let Some(long) = bytes.get(8..16).and_then(|b| b.try_into().ok()) else {
            return Ok(Header::Incomplete { need: 16 });
        };
        (16, u64::from_be_bytes(long))
    } else {
        (8, u64::from(size))
    };
    if size < header {
        return Err(NotFmp4(format!("a {} box claims {size} bytes", kind.escape_ascii())));
    }
    Ok(Header::Known { kind, header, size })
}

/// The first box of one kind.
pub(crate) fn find<T: mp4_atom::Atom>(mut meta: &[u8]) -> Result<Option<T>, NotFmp4> {
    while let Header::Known { kind, size, .. } = header(meta)? {
        let size = usize::try_from(size).map_err(|_| NotFmp4("a box is too large".to_owned()))?;
        let (this, rest) = meta.split_at_checked(size).ok_or_else(|| NotFmp4("a box is cut".to_owned()))?;
        if mp4_atom::FourCC::from(kind) == T::KIND {
            return T::decode_maybe(&mut &this[..]).map_err(|e| NotFmp4(format!("a {} box is broken: {e}", T::KIND)));
        }
        meta = rest;
    }
    Ok(None)
}

fn init_facts(moov: &Moov) -> Result<InitFacts, NotFmp4> {
    let missing = |what: &str| NotFmp4(format!("its moov box has no {what}"));
    let trak = moov.trak.first().ok_or_else(|| missing("track"))?;
    let codec = trak.mdia.minf.stbl.stsd.codecs.first().ok_or_else(|| missing("codec"))?;
    let (codecs, size, sound) = describe(codec)?;
    let trex = moov.mvex.as_ref().and_then(|m| m.trex.first()).ok_or_else(|| missing("trex box"))?;
    let edits = trak.edts.iter().filter_map(|e| e.elst.as_ref()).flat_map(|l| &l.entries);
    let skipped_ticks = edits.filter_map(|e| e.media_time).next().unwrap_or(0);
    Ok(InitFacts {
        timescale: Some(trak.mdia.mdhd.timescale).filter(|t| *t > 0).ok_or_else(|| missing("timescale"))?,
        codecs,
        size,
        sound,
        skipped_ticks,
        colour: colour(codec),
        defaults: Defaults { duration: trex.default_sample_duration, flags: trex.default_sample_flags },
    })
}

type Description = (String, Option<(u32, u32)>, Option<(u32, u32)>);

fn describe(codec: &Codec) -> Result<Description, NotFmp4> {
    match codec {
        Codec::Avc1(avc) => {
            let c = &avc.avcc;
            let name = format!(
                "avc1.{:02x}{:02x}{:02x}",
                c.avc_profile_indication, c.profile_compatibility, c.avc_level_indication
            );
            Ok((name, Some((avc.visual.width.into(), avc.visual.height.into())), None))
        }
        Codec::Mp4a(aac) => {
            let config = aac.esds.es_desc.dec_config.dec_specific.as_ref();
            let config = config.ok_or_else(|| NotFmp4("its audio has no decoder configuration".to_owned()))?;
            // The sample entry says 2 for mono as well, as the standard once demanded; the decoder's configuration is
            // true (ISO/IEC 14496-3, table 1.19).
            let channels = match config.chan_conf {
                0 => u32::from(aac.audio.channel_count),
                7 => 8,
                n => n.into(),
            };
            let sound = (u32::from(aac.audio.sample_rate.integer()), channels);
            Ok((format!("mp4a.40.{}", config.profile), None, Some(sound)))
        }
        Codec::Hvc1(hevc) => {
            let size = (hevc.visual.width.into(), hevc.visual.height.into());
            Ok((names::hevc(&hevc.hvcc), Some(size), None))
        }
        Codec::Av01(av1) => {
            let size = (av1.visual.width.into(), av1.visual.height.into());
            Ok((names::av1(&av1.av1c), Some(size), None))
        }
        other => {
            Err(NotFmp4(format!("it holds a codec that was not asked for: {other:?}").chars().take(120).collect()))
        }
    }
}

fn colour(codec: &Codec) -> Option<Cicp> {
    let colr = match codec {
        Codec::Avc1(avc) => avc.colr.as_ref(),
        Codec::Hvc1(hevc) => hevc.colr.as_ref(),
        Codec::Av01(av1) => av1.colr.as_ref(),
        _ => None,
    };
    let Colr::Nclx { colour_primaries, transfer_characteristics, matrix_coefficients, .. } = colr? else { return None };
    Some(Cicp { primaries: *colour_primaries, transfer: *transfer_characteristics, matrix: *matrix_coefficients })
}

fn segment_facts(mut meta: &[u8], init: &InitFacts, bytes: u64) -> Result<SegmentFacts, NotFmp4> {
    let mut facts: Option<SegmentFacts> = None;
    while let Header::Known { kind, size, .. } = header(meta)? {
        let size = usize::try_from(size).map_err(|_| NotFmp4("a box is too large".to_owned()))?;
        let (this, rest) = meta.split_at_checked(size).ok_or_else(|| NotFmp4("a box is cut".to_owned()))?;
        if &kind == b"moof" {
            let moof: Moof = find(this)?.ok_or_else(|| NotFmp4("a moof box is broken".to_owned()))?;
            add_fragment(&mut facts, &moof, init, bytes)?;
        }
        meta = rest;
    }
    let mut facts = facts.ok_or_else(|| NotFmp4("it holds no moof box".to_owned()))?;
    if facts.starts_at.checked_add(facts.ticks).is_none() {
        return Err(NotFmp4("it ends after all time".to_owned()));
    }
    facts.bytes = bytes;
    Ok(facts)
}

fn add_fragment(facts: &mut Option<SegmentFacts>, moof: &Moof, init: &InitFacts, bytes: u64) -> Result<(), NotFmp4> {
    let [traf] = moof.traf.as_slice() else {
        return Err(NotFmp4(format!("a fragment has {} tracks instead of one", moof.traf.len())));
    };
    let at = traf.tfdt.as_ref().ok_or_else(|| NotFmp4("a fragment has no decode time".to_owned()))?;
    let starts_at = at.base_media_decode_time;
    let facts = facts.get_or_insert_with(|| SegmentFacts {
        starts_at,
        ticks: 0,
        samples: 0,
        shown_from: i64::MAX,
        sync_samples: Vec::new(),
        bytes: 0,
    });
    if facts.starts_at.checked_add(facts.ticks) != Some(starts_at) {
        return Err(NotFmp4("its fragments do not follow each other".to_owned()));
    }
    let duration = traf.tfhd.default_sample_duration.unwrap_or(init.defaults.duration);
    let flags = traf.tfhd.default_sample_flags.unwrap_or(init.defaults.flags);
    for sample in traf.trun.iter().flat_map(|t| t.samples.iter()) {
        // A run may claim four thousand million samples in twenty bytes.
        if facts.samples == bytes {
            return Err(NotFmp4("it claims more samples than it has bytes".to_owned()));
        }
        if sample.flags.unwrap_or(flags) & NON_SYNC == 0 {
            facts.sync_samples.push(facts.samples);
        }
        let decoded_at = i64::try_from(facts.starts_at.saturating_add(facts.ticks)).unwrap_or(i64::MAX);
        facts.shown_from = facts.shown_from.min(decoded_at.saturating_add(sample.cts.unwrap_or(0)));
        facts.ticks += u64::from(sample.duration.unwrap_or(duration));
        facts.samples += 1;
    }
    Ok(())
}

/// `sample_is_non_sync_sample` in a sample's flags (ISO/IEC 14496-12, 8.8.3.1).
const NON_SYNC: u32 = 0x0001_0000;

#[cfg(test)]
mod tests;
