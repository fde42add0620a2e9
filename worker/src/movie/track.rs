//! One track: what it holds, when it is shown, and whether all of it lies in the file.

use std::ops::Range;

use super::{Bytes, Child, Entry, NotAMovie, broken, children, entry, find, need, tables, u32_at, u64_at};

/// What a track holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
    /// The time code of the first frame.
    TimeCode,
    /// Anything else.
    Other,
}

/// A track.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    /// What it holds.
    pub kind: Kind,
    /// Its codec and what goes with it.
    pub entry: Entry,
    /// Ticks per second.
    pub timescale: u32,
    /// Frames, packets or samples of sound.
    pub samples: u64,
    /// How long all of them last.
    pub ticks: u64,
    /// How long each lasts, if that is the same for all.
    pub each: Option<u32>,
    /// When its first sample is shown, in seconds on the file's clock.
    pub starts_at: f64,
    /// How much of it is shown, in seconds.
    pub shown: f64,
    /// Ticks that are decoded and not shown: an audio encoder's priming.
    pub skipped: u64,
    /// Where decoding can start, counted from 0; `None`: everywhere.
    pub keys: Option<Vec<u64>>,
    /// How large its samples are.
    pub bytes: Bytes,
    /// Whether it is shown as it is stored: neither turned nor moved.
    pub upright: bool,
    /// Its time code, if it is one.
    pub time_code: Option<TimeCode>,
}

/// A time code (QuickTime File Format, "Timecode Sample Description").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeCode {
    /// Whether numbers are left out to keep up with the clock (drop frame).
    pub drops: bool,
    /// Numbers in a second.
    pub per_second: u8,
    /// The number of the first frame.
    pub frames: u32,
    /// Where that number lies in the file.
    pub at: u64,
}

impl Track {
    /// How long it lasts, in seconds.
    #[allow(clippy::cast_precision_loss, reason = "seconds for people; the exact ticks are kept beside them")]
    pub fn seconds(&self) -> f64 {
        self.ticks as f64 / f64::from(self.timescale)
    }
}

/// Reads a `trak` box of a file whose clock has `movie_scale` ticks a second and whose media lies at `media`.
pub(super) fn read(track: &[u8], movie_scale: u32, media: Range<u64>) -> Result<Track, NotAMovie> {
    let boxes = children(track)?;
    let mdia = children(need(&boxes, b"mdia")?)?;
    let timescale = timescale(need(&mdia, b"mdhd")?)?;
    let kind = kind(need(&mdia, b"hdlr")?)?;
    let stbl = children(need(&children(need(&mdia, b"minf")?)?, b"stbl")?)?;
    let (samples, ticks, each) = tables::times(need(&stbl, b"stts")?)?;
    let bytes = Bytes::read(need(&stbl, b"stsz")?, samples)?;
    let first = tables::within(&stbl, &bytes, &media)?;
    let entry = entry::read(need(&stbl, b"stsd")?, kind)?;
    let edit = Edit::read(&boxes, movie_scale)?;
    // In a closed group the first picture is the first to be shown.
    let shown_from = find(&stbl, b"ctts").filter(|_| kind == Kind::Video).map_or(Ok(0), tables::first_offset)?;
    let (starts_at, skipped) = edit.as_ref().map_or((0.0, 0), |edit| edit.begin(timescale, shown_from, kind));
    #[allow(clippy::cast_precision_loss, reason = "seconds; counts are far below 2^53")]
    let all = ticks as f64 / f64::from(timescale);
    let time_code = if kind == Kind::TimeCode { Some(time_code(&stbl, first)?) } else { None };
    Ok(Track {
        kind,
        entry,
        timescale,
        samples,
        ticks,
        each,
        starts_at: if edit.is_none() { seconds(shown_from, timescale) } else { starts_at },
        shown: edit.map_or(all, |edit| edit.shown),
        skipped,
        keys: find(&stbl, b"stss").map(|stss| tables::keys(stss, samples)).transpose()?,
        bytes,
        upright: matrix(need(&boxes, b"tkhd")?)? == UPRIGHT,
        time_code,
    })
}

/// The matrix of a picture that is shown as it is stored.
const UPRIGHT: [u32; 9] = [1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30];

fn matrix(tkhd: &[u8]) -> Result<[u32; 9], NotAMovie> {
    let from = if tkhd.first() == Some(&1) { 52 } else { 40 };
    let mut matrix = [0; 9];
    for (place, number) in matrix.iter_mut().enumerate() {
        *number = u32_at(tkhd, from + place * 4)?;
    }
    Ok(matrix)
}

fn timescale(mdhd: &[u8]) -> Result<u32, NotAMovie> {
    match u32_at(mdhd, if mdhd.first() == Some(&1) { 20 } else { 12 })? {
        0 => Err(broken("a track has no ticks in a second")),
        scale => Ok(scale),
    }
}

fn kind(hdlr: &[u8]) -> Result<Kind, NotAMovie> {
    Ok(match &super::bytes_at::<4>(hdlr, 8)? {
        b"vide" => Kind::Video,
        b"soun" => Kind::Audio,
        b"tmcd" => Kind::TimeCode,
        _ => Kind::Other,
    })
}

#[allow(clippy::cast_precision_loss, reason = "seconds for a comparison")]
fn seconds(ticks: i64, scale: u32) -> f64 {
    ticks as f64 / f64::from(scale.max(1))
}

/// An edit list: how long nothing is shown, then from where and how much.
struct Edit {
    nothing: f64,
    from: i64,
    shown: f64,
}

impl Edit {
    fn read(track: &[Child<'_>], movie_scale: u32) -> Result<Option<Self>, NotAMovie> {
        let Some(edts) = find(track, b"edts") else { return Ok(None) };
        let Some(list) = find(&children(edts)?, b"elst") else { return Ok(None) };
        let wide = list.first() == Some(&1);
        let (mut edit, mut media_edits) = (Self { nothing: 0.0, from: 0, shown: 0.0 }, 0);
        for n in 0..u32_at(list, 4)?.min(3) as usize {
            let (duration, from) = if wide {
                (u64_at(list, 8 + n * 20)?, u64_at(list, 16 + n * 20)?.cast_signed())
            } else {
                (u64::from(u32_at(list, 8 + n * 12)?), i64::from(u32_at(list, 12 + n * 12)?.cast_signed()))
            };
            let lasts = seconds(duration.cast_signed(), movie_scale);
            if from < 0 && media_edits == 0 {
                edit.nothing += lasts;
            } else {
                media_edits += 1;
                (edit.from, edit.shown) = (from, lasts);
            }
        }
        if media_edits == 1 { Ok(Some(edit)) } else { Err(broken("a track is shown in several pieces")) }
    }

    /// When the first sample is shown, and how many ticks are passed over. Sound is cut to the tick; of pictures only
    /// whole ones are shown.
    fn begin(&self, scale: u32, first: i64, kind: Kind) -> (f64, u64) {
        if kind == Kind::Audio {
            return (self.nothing, u64::try_from(self.from).unwrap_or(0));
        }
        (self.nothing + seconds(first.saturating_sub(self.from), scale), 0)
    }
}

fn time_code(stbl: &[Child<'_>], first: Option<u64>) -> Result<TimeCode, NotAMovie> {
    let stsd = need(stbl, b"stsd")?;
    // Version and count, then the entry: size, kind, six zeros, reference; four zeros, flags, scale, ticks, numbers.
    let (flags, per_second) = (u32_at(stsd, 8 + 20)?, super::bytes_at::<1>(stsd, 8 + 32)?[0]);
    let at = first.ok_or_else(|| broken("its time code track is empty"))?;
    Ok(TimeCode { drops: flags & 1 != 0, per_second, frames: 0, at })
}
