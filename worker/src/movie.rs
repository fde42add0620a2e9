//! What a finished MP4 or QuickTime file says of itself: its index (ISO/IEC 14496-12 `moov`; Apple's QuickTime File Format
//! for what is older), read back from the disk before the file goes anywhere.

mod entry;
mod tables;
#[cfg(test)]
mod tests;
mod track;

use std::io::{self, Read, Seek, SeekFrom};

pub use entry::{Entry, Tags};
pub use tables::Bytes;
pub use track::{Kind, TimeCode, Track};

/// An index of ten hours at 60 frames a second is about 30 MB.
const LARGEST_INDEX: u64 = 1 << 30;
/// A file has few boxes; one of many is not ours.
const MOST_BOXES: usize = 64;

/// A file's index.
#[derive(Clone, Debug, PartialEq)]
pub struct Movie {
    /// Bytes of the file.
    pub bytes: u64,
    /// Whether the index comes before the media, so that a player can start at once (faststart).
    pub index_first: bool,
    /// Its tracks, in order.
    pub tracks: Vec<Track>,
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum NotAMovie {
    /// It is not what it should be.
    #[error("{0}")]
    Broken(String),
    /// The disk failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

fn broken(why: impl Into<String>) -> NotAMovie {
    NotAMovie::Broken(why.into())
}

/// One box of a list: its kind and what it holds.
type Child<'a> = ([u8; 4], &'a [u8]);

/// The boxes that lie directly in `bytes`.
fn children(mut bytes: &[u8]) -> Result<Vec<Child<'_>>, NotAMovie> {
    let mut found = Vec::new();
    // QuickTime ends some lists with four zero bytes.
    while bytes.len() >= 8 {
        let kind = [bytes[4], bytes[5], bytes[6], bytes[7]];
        let (header, size) = match u32_at(bytes, 0)? {
            1 => (16, usize::try_from(u64_at(bytes, 8)?).unwrap_or(usize::MAX)),
            0 => (8, bytes.len()),
            n => (8, n as usize),
        };
        if size < header || size > bytes.len() {
            return Err(broken(format!("a {} box claims {size} bytes", kind.escape_ascii())));
        }
        found.push((kind, &bytes[header..size]));
        bytes = &bytes[size..];
    }
    Ok(found)
}

fn find<'a>(children: &[Child<'a>], kind: &[u8; 4]) -> Option<&'a [u8]> {
    children.iter().find(|(k, _)| k == kind).map(|(_, content)| *content)
}

fn need<'a>(children: &[Child<'a>], kind: &[u8; 4]) -> Result<&'a [u8], NotAMovie> {
    find(children, kind).ok_or_else(|| broken(format!("it has no {} box where one must be", kind.escape_ascii())))
}

fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], NotAMovie> {
    let part = bytes.get(at..).and_then(|rest| rest.first_chunk::<N>());
    part.copied().ok_or_else(|| broken("a box is cut"))
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, NotAMovie> {
    Ok(u16::from_be_bytes(bytes_at(bytes, at)?))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, NotAMovie> {
    Ok(u32::from_be_bytes(bytes_at(bytes, at)?))
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64, NotAMovie> {
    Ok(u64::from_be_bytes(bytes_at(bytes, at)?))
}

/// Reads a file's index, and the few bytes of its time code.
///
/// # Errors
/// If it is cut, or does not fit together.
pub fn read(file: &mut (impl Read + Seek)) -> Result<Movie, NotAMovie> {
    let shape = Shape::of(file)?;
    let (at, size) = shape.index;
    let mut index = vec![0; usize::try_from(size).map_err(|_| broken("its index is too large"))?];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut index)?;
    let mut movie = Movie { bytes: shape.bytes, index_first: at < shape.media.0, tracks: tracks(&index, &shape)? };
    for code in movie.tracks.iter_mut().filter_map(|track| track.time_code.as_mut()) {
        let mut number = [0; 4];
        file.seek(SeekFrom::Start(code.at))?;
        file.read_exact(&mut number)?;
        code.frames = u32::from_be_bytes(number);
    }
    Ok(movie)
}

/// Where the parts of a file lie: start and size.
struct Shape {
    bytes: u64,
    index: (u64, u64),
    media: (u64, u64),
}

impl Shape {
    fn of(file: &mut (impl Read + Seek)) -> Result<Self, NotAMovie> {
        let bytes = file.seek(SeekFrom::End(0))?;
        let (mut at, mut index, mut media) = (0, None, None);
        for _ in 0..MOST_BOXES {
            if at == bytes {
                let index = index.ok_or_else(|| broken("it has no index (moov)"))?;
                return Ok(Self { bytes, index, media: media.ok_or_else(|| broken("it has no media (mdat)"))? });
            }
            let (kind, header, size) = top_box(file, at, bytes)?;
            let content = Some((at + header, size - header));
            match &kind {
                b"moov" if index.is_some() || size > LARGEST_INDEX => return Err(broken("its index makes no sense")),
                b"moov" => index = content,
                b"mdat" if media.is_some() => return Err(broken("its media lies in several boxes")),
                b"mdat" => media = content,
                _ => {}
            }
            at += size;
        }
        Err(broken("it has too many boxes"))
    }
}

/// Kind, length of the header and size of the box at `at`.
fn top_box(file: &mut (impl Read + Seek), at: u64, end: u64) -> Result<([u8; 4], u64, u64), NotAMovie> {
    let mut head = [0; 16];
    let there = usize::try_from((end - at).min(16)).unwrap_or(16);
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut head[..there])?;
    let kind = [head[4], head[5], head[6], head[7]];
    let (header, size) = match u32_at(&head, 0)? {
        1 => (16, u64_at(&head, 8)?),
        0 => (8, end - at),
        n => (8, u64::from(n)),
    };
    if there < 8 || size < header || size > end - at {
        return Err(broken(format!("it ends inside a {} box", kind.escape_ascii())));
    }
    Ok((kind, header, size))
}

fn tracks(index: &[u8], shape: &Shape) -> Result<Vec<Track>, NotAMovie> {
    let boxes = children(index)?;
    let head = need(&boxes, b"mvhd")?;
    let scale = u32_at(head, if head.first() == Some(&1) { 20 } else { 12 })?;
    let (start, size) = shape.media;
    let of_track = |(_, track): &Child<'_>| track::read(track, scale, start..start + size);
    boxes.iter().filter(|(kind, _)| kind == b"trak").map(of_track).collect()
}
