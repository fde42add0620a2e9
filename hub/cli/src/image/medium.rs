//! What partition tables and file systems are read from: bytes with addresses, and an end.

use std::{
    fs::File,
    io::{self, Seek as _, SeekFrom},
    os::unix::fs::FileExt as _,
};

/// Bytes with addresses.
pub(crate) trait Medium {
    /// How many there are.
    fn len(&self) -> u64;

    /// Fills `buffer` with those from `at` on.
    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Those from `at` on.
    fn bytes(&self, at: u64, length: usize) -> io::Result<Vec<u8>> {
        let ends = at.checked_add(length as u64).filter(|end| *end <= self.len());
        ends.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "it ends before that"))?;
        let mut buffer = vec![0; length];
        self.read_at(at, &mut buffer)?;
        Ok(buffer)
    }
}

impl Medium for [u8] {
    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }

    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        let from = usize::try_from(at).ok().and_then(|from| self.get(from..from.checked_add(buffer.len())?));
        buffer.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// A part of a file or of a device.
#[derive(Debug)]
pub(crate) struct Window<'a> {
    file: &'a File,
    start: u64,
    length: u64,
}

impl<'a> Window<'a> {
    /// All of it.
    pub(crate) fn whole(mut file: &'a File) -> io::Result<Self> {
        // A device has no length in its metadata.
        let length = file.seek(SeekFrom::End(0))?;
        Ok(Self { file, start: 0, length })
    }

    /// A part of this part; what lies beyond its end is left out.
    pub(crate) fn part(&self, start: u64, length: u64) -> Self {
        let start = start.min(self.length);
        Self { file: self.file, start: self.start + start, length: length.min(self.length - start) }
    }
}

impl Medium for Window<'_> {
    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, self.start + at)
    }
}

/// Bytes that belong at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Patch {
    /// Where.
    pub(crate) at: u64,
    /// What.
    pub(crate) bytes: Vec<u8>,
}

impl Patch {
    /// Puts those of its bytes that belong there into a piece of the medium that begins at `start`.
    pub(crate) fn apply(&self, start: u64, piece: &mut [u8]) {
        let (end, piece_end) = (self.at + self.bytes.len() as u64, start + piece.len() as u64);
        let (from, to) = (self.at.max(start), end.min(piece_end));
        if from < to {
            let index = |address: u64, base: u64| usize::try_from(address - base).expect("within a buffer");
            piece[index(from, start)..index(to, start)]
                .copy_from_slice(&self.bytes[index(from, self.at)..index(to, self.at)]);
        }
    }
}

/// The unsigned number in the `N` bytes at an index of a table; the index is a constant of its format.
pub(crate) fn number<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + N].iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_changes_what_lies_below_it_only() {
        let check = |at: u64, want: &str| {
            let mut piece = *b"........";
            Patch { at, bytes: b"abcd".to_vec() }.apply(100, &mut piece);
            assert_eq!(String::from_utf8_lossy(&piece), want, "{at}");
        };
        check(95, "........");
        check(96, "........");
        check(98, "cd......");
        check(102, "..abcd..");
        check(106, "......ab");
        check(108, "........");
    }
}
