//! What a JPEG file says of itself: its size, by the marker of its frame, and whether it is whole. Nothing is decoded.

/// How much of a file's beginning may come before its frame's size. ffmpeg's encoder needs some 600 bytes.
const LARGEST_HEAD: usize = 64 << 10;

/// A JPEG file as it passes by: its head is kept, the rest counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scanner {
    head: Vec<u8>,
    last: [u8; 2],
    bytes: u64,
}

/// A whole JPEG file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sheet {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Why bytes are no whole JPEG file.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotJpeg {
    /// It begins otherwise.
    #[error("it does not begin as a JPEG file does")]
    Beginning,
    /// It has no frame, or one that begins too late.
    #[error("it does not say how large its picture is")]
    NoSize,
    /// It has no end.
    #[error("it is cut off")]
    Cut,
}

impl Scanner {
    /// Takes the next piece.
    pub fn feed(&mut self, piece: &[u8]) {
        let room = LARGEST_HEAD - self.head.len();
        self.head.extend_from_slice(&piece[..piece.len().min(room)]);
        for &byte in &piece[piece.len().saturating_sub(2)..] {
            self.last = [self.last[1], byte];
        }
        self.bytes += piece.len() as u64;
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What the whole file is.
    ///
    /// # Errors
    /// Why it is none.
    pub fn finish(&self) -> Result<Sheet, NotJpeg> {
        let (width, height) = size(&self.head)?;
        if self.last != [0xff, END] {
            return Err(NotJpeg::Cut);
        }
        Ok(Sheet { width, height, bytes: self.bytes })
    }
}

/// Start of image.
const START: u8 = 0xd8;
/// End of image.
const END: u8 = 0xd9;

/// The size that the first frame's marker tells (ITU-T T.81, B.1 and B.2.2).
fn size(head: &[u8]) -> Result<(u32, u32), NotJpeg> {
    let mut rest = head.strip_prefix(&[0xff, START]).ok_or(NotJpeg::Beginning)?;
    loop {
        let [0xff, marker, high, low, body @ ..] = rest else { return Err(NotJpeg::NoSize) };
        // A length counts itself.
        let length = usize::from(u16::from_be_bytes([*high, *low])).checked_sub(2).ok_or(NotJpeg::NoSize)?;
        match marker {
            // Frames of every process; 0xc4, 0xc8 and 0xcc are tables and a reserved code.
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => return frame(body),
            // Filling, or no segment with a length at all.
            0xff | 0x01 | 0xd0..=0xd9 => return Err(NotJpeg::NoSize),
            _ => rest = body.get(length..).ok_or(NotJpeg::NoSize)?,
        }
    }
}

fn frame(body: &[u8]) -> Result<(u32, u32), NotJpeg> {
    let [_depth, h1, h0, w1, w0, ..] = body else { return Err(NotJpeg::NoSize) };
    let side = |high: &u8, low: &u8| u32::from(u16::from_be_bytes([*high, *low]));
    match (side(w1, w0), side(h1, h0)) {
        (0, _) | (_, 0) => Err(NotJpeg::NoSize),
        size => Ok(size),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The bytes of a file as ffmpeg writes it, as far as anything is read: an application's segment, a table, a frame.
    pub(crate) fn jpeg(width: u16, height: u16) -> Vec<u8> {
        let mut bytes = vec![0xff, START, 0xff, 0xe0, 0, 4, 0xff, 0xc0, 0xff, 0xc4, 0, 3, 9];
        bytes.extend([0xff, 0xc0, 0, 11, 8]);
        bytes.extend(height.to_be_bytes());
        bytes.extend(width.to_be_bytes());
        bytes.extend([1, 1, 0x11, 0, 0xff, 0xda, 0, 2, 0x55, 0xff, END]);
        bytes
    }

    fn scan(bytes: &[u8], piece: usize) -> Result<Sheet, NotJpeg> {
        let mut scanner = Scanner::default();
        bytes.chunks(piece).for_each(|part| scanner.feed(part));
        scanner.finish()
    }

    #[test]
    fn the_size_is_read_whatever_the_pieces() {
        let bytes = jpeg(800, 450);
        for piece in [1, 2, 7, 4096] {
            let want = Sheet { width: 800, height: 450, bytes: bytes.len() as u64 };
            assert_eq!(scan(&bytes, piece), Ok(want), "in pieces of {piece}");
        }
    }

    #[test]
    fn what_is_no_whole_picture_is_refused() {
        let whole = jpeg(800, 450);
        assert_eq!(scan(b"", 9), Err(NotJpeg::Beginning));
        assert_eq!(scan(b"<html>", 9), Err(NotJpeg::Beginning));
        assert_eq!(scan(&whole[..whole.len() - 1], 9), Err(NotJpeg::Cut));
        assert_eq!(scan(&whole[..13], 9), Err(NotJpeg::NoSize));
        assert_eq!(scan(&jpeg(0, 450), 9), Err(NotJpeg::NoSize));
        assert_eq!(scan(&[0xff, START, 0xff, 0xe0, 0, 1, 0xff, END], 9), Err(NotJpeg::NoSize));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_picture_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0usize..40) {
            let _ = scan(&bytes, 7);
            let mut spoilt = jpeg(8, 8);
            spoilt.splice(at.min(spoilt.len()).., bytes);
            let _ = scan(&spoilt, 7);
        }

        #[test]
        fn no_more_than_a_head_is_held(pieces in proptest::collection::vec(1usize..20_000, 0..12)) {
            let mut scanner = Scanner::default();
            pieces.iter().for_each(|length| scanner.feed(&vec![0xff; *length]));
            prop_assert!(scanner.head.len() <= LARGEST_HEAD);
            prop_assert_eq!(scanner.bytes(), pieces.iter().sum::<usize>() as u64);
        }
    }
}
