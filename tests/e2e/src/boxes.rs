//! When each sample is shown, read from the boxes of a fragmented MP4 (ISO/IEC 14496-12) by the tests themselves: ffprobe
//! moves a whole track by its first reordering, so only the boxes tell where it starts.

/// One sample: a frame, or a packet of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When it is decoded, in ticks.
    pub decoded_at: i64,
    /// When it is shown, in ticks, after the edit list.
    pub shown_at: i64,
    /// How long it lasts, in ticks.
    pub ticks: i64,
}

/// The samples of each segment, in decoding order.
pub fn samples(init: &[u8], segments: &[Vec<u8>]) -> Vec<Vec<Sample>> {
    let moov = find(init, b"moov").expect("a moov box");
    let usual = Reader(&find(find(moov, b"mvex").expect("mvex"), b"trex").expect("trex")[12..]).number(4);
    let skipped = edit(find(moov, b"trak").expect("a track"));
    let of_segment = |segment: &Vec<u8>| {
        let moofs = boxes(segment).into_iter().filter(|(kind, _)| kind == b"moof");
        moofs.flat_map(|(_, moof)| fragment(find(moof, b"traf").expect("traf"), usual, skipped)).collect()
    };
    segments.iter().map(of_segment).collect()
}

/// The media time at which the only edit begins.
fn edit(track: &[u8]) -> i64 {
    let Some(list) = find(track, b"edts").and_then(|edits| find(edits, b"elst")) else { return 0 };
    let mut reader = Reader(list);
    let wide = reader.number(4) >> 24 == 1;
    assert_eq!(reader.number(4), 1, "one edit");
    reader.number(if wide { 8 } else { 4 });
    reader.signed(if wide { 8 } else { 4 })
}

fn fragment(traf: &[u8], usual: u64, skipped: i64) -> Vec<Sample> {
    let mut header = Reader(find(traf, b"tfhd").expect("tfhd"));
    let flags = header.number(4);
    header.number(4);
    header.skip_if(flags, 0x1, 8);
    header.skip_if(flags, 0x2, 4);
    let usual = if flags & 0x8 == 0 { usual } else { header.number(4) };
    let mut time = Reader(find(traf, b"tfdt").expect("tfdt"));
    let wide = time.number(4) >> 24 == 1;
    let mut at = time.signed(if wide { 8 } else { 4 });
    let mut samples = Vec::new();
    for (_, run) in boxes(traf).into_iter().filter(|(kind, _)| kind == b"trun") {
        let mut run = Reader(run);
        let (flags, count) = (run.number(4), run.number(4));
        run.skip_if(flags, 0x1, 4);
        run.skip_if(flags, 0x4, 4);
        for _ in 0..count {
            let ticks = if flags & 0x100 == 0 { usual } else { run.number(4) };
            let ticks = i64::try_from(ticks).expect("short");
            run.skip_if(flags, 0x200, 4);
            run.skip_if(flags, 0x400, 4);
            let later = if flags & 0x800 == 0 { 0 } else { run.signed(4) };
            samples.push(Sample { decoded_at: at, shown_at: at + later - skipped, ticks });
            at += ticks;
        }
    }
    samples
}

/// The first box of that kind.
pub fn find<'a>(bytes: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    boxes(bytes).into_iter().find(|(k, _)| k == kind).map(|(_, content)| content)
}

fn boxes(bytes: &[u8]) -> Vec<([u8; 4], &[u8])> {
    let (mut found, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let size = usize::try_from(Reader(rest).number(4)).expect("a size");
        assert!((8..=rest.len()).contains(&size), "a box of {size} bytes in {}", rest.len());
        found.push((rest[4..8].try_into().expect("four letters"), &rest[8..size]));
        rest = &rest[size..];
    }
    found
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn number(&mut self, width: usize) -> u64 {
        let (now, rest) = self.0.split_at(width);
        self.0 = rest;
        now.iter().fold(0, |all, byte| all << 8 | u64::from(*byte))
    }

    fn signed(&mut self, width: usize) -> i64 {
        let unused = 64 - 8 * u32::try_from(width).expect("at most 8");
        (self.number(width) << unused).cast_signed() >> unused
    }

    fn skip_if(&mut self, flags: u64, flag: u64, width: usize) {
        if flags & flag != 0 {
            self.number(width);
        }
    }
}
