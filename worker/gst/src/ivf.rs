//! IVF, the plainest container there is: a header, then frames with their size and their number on the grid. ffmpeg takes
//! the rate as its time base, so times are whole numbers of frames, and no rounding comes between encoder and segment.

use crate::order::{FrameRate, Rung};

/// Bytes of the file's header.
pub const FILE_HEADER: usize = 32;
/// Bytes before each frame.
pub const FRAME_HEADER: usize = 12;

/// What a stream begins with. The count of frames, unknown before the end, is 0.
pub fn file_header(rung: &Rung, rate: FrameRate) -> [u8; FILE_HEADER] {
    let mut header = [0; FILE_HEADER];
    header[..4].copy_from_slice(b"DKIF");
    header[6..8].copy_from_slice(&32_u16.to_le_bytes());
    header[8..12].copy_from_slice(four_letters(rung));
    header[12..14].copy_from_slice(&rung.width.to_le_bytes());
    header[14..16].copy_from_slice(&rung.height.to_le_bytes());
    header[16..20].copy_from_slice(&rate.numerator.get().to_le_bytes());
    header[20..24].copy_from_slice(&rate.denominator.get().to_le_bytes());
    header
}

/// What comes before a frame of `size` bytes.
pub fn frame_header(size: u32, frame: u64) -> [u8; FRAME_HEADER] {
    let mut header = [0; FRAME_HEADER];
    header[..4].copy_from_slice(&size.to_le_bytes());
    header[4..].copy_from_slice(&frame.to_le_bytes());
    header
}

/// ffmpeg's demuxer knows no letters for H.265 and must be told the codec besides.
fn four_letters(rung: &Rung) -> &'static [u8; 4] {
    match rung.codec {
        crate::Codec::H264 => b"H264",
        crate::Codec::H265 => b"HEVC",
        crate::Codec::Av1 => b"AV01",
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::order::Codec;

    #[test]
    fn the_header_holds_rate_and_size_in_little_endian() {
        let number = |n| NonZeroU32::new(n).expect("not zero");
        let rate = FrameRate { numerator: number(30_000), denominator: number(1001) };
        let rung = Rung { sink: String::new(), codec: Codec::Av1, width: 640, height: 360 };
        let want = b"DKIF\0\0\x20\0AV01\x80\x02\x68\x01\x30\x75\0\0\xe9\x03\0\0\0\0\0\0\0\0\0\0";
        assert_eq!(&file_header(&rung, rate), want);
        assert_eq!(frame_header(0x0102, 0x0304), [2, 1, 0, 0, 4, 3, 0, 0, 0, 0, 0, 0]);
    }
}
