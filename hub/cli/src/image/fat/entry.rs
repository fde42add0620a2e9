//! What stands in a folder: entries of 32 bytes, before each perhaps a few that hold its long name.

use super::super::medium::number;

/// The length of an entry.
pub(super) const SIZE: usize = 32;
/// Begins an entry that was removed.
pub(super) const REMOVED: u8 = 0xe5;

const LONG_NAME: u8 = 0x0f;
const VOLUME: u8 = 0x08;
const FOLDER: u8 = 0x10;
const ARCHIVE: u8 = 0x20;
/// Where the 13 letters of a part of a long name stand.
const LETTERS: [usize; 13] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];

/// A file or a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its name.
    pub(crate) name: String,
    /// Whether it is a folder.
    pub(crate) folder: bool,
    /// A file's length in bytes.
    pub(crate) length: u32,
    /// Its first cluster; 0 for an empty file.
    pub(super) cluster: u32,
    /// Its short name, as it stands there.
    pub(super) short: [u8; 11],
    /// Which bytes of the folder are its own: those of its long name, then those of the entry itself.
    pub(super) range: std::ops::Range<usize>,
}

impl Entry {
    /// Whether it has that name; capital and small letters are the same.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Where in the folder the entry itself stands.
    pub(super) fn at(&self) -> usize {
        self.range.end - SIZE
    }
}

/// What the bytes of a folder hold, without the names for itself and its parent, and without the volume's label.
pub(super) fn entries(bytes: &[u8]) -> Vec<Entry> {
    let mut found = Vec::new();
    let mut long = LongName::default();
    for (index, raw) in bytes.chunks_exact(SIZE).enumerate() {
        match (raw[0], raw[11]) {
            (0, _) => break,
            (REMOVED, _) => long = LongName::default(),
            (_, LONG_NAME) => long.add(index, raw),
            (b'.', _) => long = LongName::default(),
            (_, attributes) if attributes & VOLUME != 0 => long = LongName::default(),
            (_, attributes) => {
                let short: [u8; 11] = raw[..11].try_into().expect("eleven bytes");
                let (start, name) = std::mem::take(&mut long).end(&short).unwrap_or((index, short_name(raw)));
                let number = |at| u32::try_from(number::<2>(raw, at)).expect("16 bits");
                found.push(Entry {
                    name,
                    folder: attributes & FOLDER != 0,
                    length: u32::try_from(super::number::<4>(raw, 28)).expect("32 bits"),
                    cluster: number(20) << 16 | number(26),
                    short,
                    range: start * SIZE..(index + 1) * SIZE,
                });
            }
        }
    }
    found
}

/// A long name as far as it was read; its parts stand in reverse.
#[derive(Default)]
struct LongName {
    start: usize,
    next: u8,
    sum: u8,
    units: Vec<u16>,
}

impl LongName {
    fn add(&mut self, index: usize, raw: &[u8]) {
        let (order, is_last) = (raw[0] & 0x3f, raw[0] & 0x40 != 0);
        if is_last && (1..=20).contains(&order) {
            *self = Self { start: index, next: order, sum: raw[13], units: Vec::new() };
        }
        if order == 0 || order != self.next || raw[13] != self.sum {
            *self = Self::default();
            return;
        }
        self.next -= 1;
        let part = LETTERS.iter().map(|at| u16::from_le_bytes([raw[*at], raw[at + 1]]));
        self.units.splice(..0, part);
    }

    /// Where it begins and what it is, if it is whole and belongs to that short name.
    fn end(self, short: &[u8; 11]) -> Option<(usize, String)> {
        let whole = self.next == 0 && !self.units.is_empty() && self.sum == sum(short);
        let name = self.units.split(|unit| *unit == 0).next().unwrap_or_default();
        whole.then(|| (self.start, String::from_utf16_lossy(name)))
    }
}

/// A short name as people write it. Two bits say that a part of it is in small letters.
fn short_name(raw: &[u8]) -> String {
    let part = |bytes: &[u8], small: u8| {
        let text: String =
            bytes.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '\u{fffd}' }).collect();
        let text = text.trim_end();
        if raw[12] & small != 0 { text.to_ascii_lowercase() } else { text.to_owned() }
    };
    let (base, extension) = (part(&raw[..8], 0x08), part(&raw[8..11], 0x10));
    if extension.is_empty() { base } else { format!("{base}.{extension}") }
}

/// Ties a long name to a short one.
fn sum(short: &[u8; 11]) -> u8 {
    short.iter().fold(0, |sum: u8, byte| sum.rotate_right(1).wrapping_add(*byte))
}

/// A time as entries hold it: the time of day, then the date.
pub(super) type Stamp = [u8; 4];

/// What a new entry speaks of.
#[derive(Clone, Copy)]
pub(super) struct New {
    pub(super) folder: bool,
    pub(super) cluster: u32,
    pub(super) length: u32,
    pub(super) time: Stamp,
}

/// An entry with a short name alone.
pub(super) fn plain(short: &[u8; 11], small: u8, new: New) -> [u8; SIZE] {
    let mut raw = [0; SIZE];
    raw[..11].copy_from_slice(short);
    raw[11] = if new.folder { FOLDER } else { ARCHIVE };
    raw[12] = small;
    raw[14..18].copy_from_slice(&new.time);
    raw[18..20].copy_from_slice(&new.time[2..]);
    raw[22..26].copy_from_slice(&new.time);
    point(&mut raw, new.cluster);
    raw[28..32].copy_from_slice(&new.length.to_le_bytes());
    raw
}

/// Has an entry begin at another cluster.
pub(super) fn point(raw: &mut [u8], cluster: u32) {
    let [a, b, c, d] = cluster.to_le_bytes();
    raw[26..28].copy_from_slice(&[a, b]);
    raw[20..22].copy_from_slice(&[c, d]);
}

/// An entry with a long name. `taken` are the short names that the folder has already.
pub(super) fn named(name: &str, taken: &[[u8; 11]], new: New) -> ([u8; 11], Vec<u8>) {
    let short = alias(name, taken);
    let mut units: Vec<u16> = name.encode_utf16().collect();
    let parts = units.len().div_ceil(LETTERS.len());
    if !units.len().is_multiple_of(LETTERS.len()) {
        units.push(0);
        units.resize(parts * LETTERS.len(), 0xffff);
    }
    let mut bytes = Vec::new();
    for (index, part) in units.chunks(LETTERS.len()).enumerate().rev() {
        let mut raw = [0; SIZE];
        let order = u8::try_from(index + 1).expect("20 parts at most");
        raw[0] = if index + 1 == parts { order | 0x40 } else { order };
        raw[11] = LONG_NAME;
        raw[13] = sum(&short);
        for (at, unit) in LETTERS.iter().zip(part) {
            raw[*at..at + 2].copy_from_slice(&unit.to_le_bytes());
        }
        bytes.extend(raw);
    }
    bytes.extend(plain(&short, 0, new));
    (short, bytes)
}

/// A short name that nothing else in the folder has, as in `AUTHOR~1`.
fn alias(name: &str, taken: &[[u8; 11]]) -> [u8; 11] {
    let (base, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let letters = |text: &str, most: usize| -> Vec<u8> {
        text.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_uppercase()).take(most).collect()
    };
    let names = (1..).map(|count: u32| {
        let tail = format!("~{count}");
        let mut short = [b' '; 11];
        let head = letters(base, 8 - tail.len());
        short[..head.len()].copy_from_slice(&head);
        short[head.len()..head.len() + tail.len()].copy_from_slice(tail.as_bytes());
        let extension = letters(extension, 3);
        short[8..8 + extension.len()].copy_from_slice(&extension);
        short
    });
    let mut free = names.filter(|short| !taken.contains(short));
    free.next().expect("a folder has fewer than a million entries")
}
