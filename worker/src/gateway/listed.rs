//! The media playlist that a muxer puts when it is through: how many segments it says there are.

/// Counts the segments of a playlist that comes in pieces of any size, holding none of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    segments: u64,
    at_start: bool,
}

impl Default for Listed {
    fn default() -> Self {
        Self { segments: 0, at_start: true }
    }
}

impl Listed {
    /// Takes the next piece.
    pub fn feed(&mut self, piece: &[u8]) {
        for byte in piece {
            self.segments += u64::from(self.at_start && !matches!(byte, b'#' | b'\r' | b'\n'));
            self.at_start = *byte == b'\n';
        }
    }

    /// Lines so far that are neither tags nor empty.
    pub fn segments(self) -> u64 {
        self.segments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_is_neither_a_tag_nor_empty() {
        let text = b"#EXTM3U\n\n#EXTINF:1.0,\nseg_00000.m4s\r\n#EXTINF:1.0,\r\nseg_00001.m4s\n#EXT-X-ENDLIST";
        for piece in [1, 7, text.len()] {
            let mut listed = Listed::default();
            text.chunks(piece).for_each(|part| listed.feed(part));
            assert_eq!(listed.segments(), 2, "in pieces of {piece}");
        }
    }
}
