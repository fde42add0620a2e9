//! What ffmpeg does not write, written by hand: film marked for television, Dolby Vision, damage.

/// A film as an MPEG-2 stream of 24000/1001 pictures a second, marked to be shown as 30000/1001 by repeating fields
/// (ISO/IEC 13818-2, 6.3.10): every second picture lasts three fields.
pub(crate) fn soft_telecine(mut film: Vec<u8>) -> Vec<u8> {
    let starts: Vec<usize> = (0..film.len() - 9).filter(|&at| film[at..at + 3] == [0, 0, 1]).collect();
    // Fields are counted in the order of showing, and pictures come in the order of decoding.
    let mut group = 0;
    let mut shown = 0;
    let mut in_group = 0;
    for at in starts {
        match (film[at + 3], film[at + 4] >> 4) {
            // The sequence header's frame rate: code 4 is 30000/1001.
            (0xb3, _) => film[at + 7] = film[at + 7] & 0xf0 | 4,
            // The sequence extension: fields may be repeated where the sequence is not progressive.
            (0xb5, 1) => film[at + 5] &= !0x08,
            (0xb8, _) => {
                group += in_group;
                in_group = 0;
            }
            (0x00, _) => {
                shown = group + (usize::from(film[at + 4]) << 2 | usize::from(film[at + 5]) >> 6);
                in_group += 1;
            }
            // The picture coding extension: which field is first, and whether it is shown once more.
            (0xb5, 8) => {
                let top_first = shown % 4 == 0 || shown % 4 == 3;
                let repeat = shown % 2 == 0;
                film[at + 7] = film[at + 7] & 0x7d | u8::from(top_first) << 7 | u8::from(repeat) << 1;
            }
            _ => {}
        }
    }
    film
}

/// An MP4 file with HEVC that says of itself to be Dolby Vision profile 5: a configuration record in its sample entry
/// (Dolby Vision Streams Within the ISO Base Media File Format, 3.2). ffmpeg 5.1 writes none.
pub(crate) fn dolby_vision_5(file: Vec<u8>) -> Vec<u8> {
    // Version 1.0, profile 5, level 1, with metadata and a base layer that nothing else can show.
    let mut record = vec![1, 0, 5 << 1, 1 << 3 | 0b101];
    record.resize(24, 0);
    let record = boxed(b"dvcC", &record);
    grown(&file, &[b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"hvc1"], &record)
}

/// A box of an MP4 file.
fn boxed(kind: &[u8], payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len() + 8).expect("a small box");
    [&size.to_be_bytes(), kind, payload].concat()
}

/// The file with something more at the end of the first box at `path`; the boxes around it grow with it. Its media must
/// lie before its index, as ffmpeg writes it.
fn grown(file: &[u8], path: &[&[u8; 4]], more: &[u8]) -> Vec<u8> {
    let Some((first, inner)) = path.split_first() else { return [file, more].concat() };
    // What precedes the boxes within: a list's header.
    let head = if *first == b"hvc1" { 8 } else { 0 };
    let (mut rest, mut out, mut done) = (&file[head..], file[..head].to_vec(), false);
    while let Some((size, after)) = rest.split_first_chunk::<4>() {
        let (this, next) = rest.split_at(u32::from_be_bytes(*size) as usize);
        if after[..4] == **first && !done {
            out.extend(boxed(*first, &grown(&this[8..], inner, more)));
            done = true;
        } else {
            out.extend(this);
        }
        rest = next;
    }
    out
}

/// An MPEG-TS file with bytes changed in the payload of its pictures, a third to two thirds through.
pub(crate) fn damaged(mut file: Vec<u8>) -> Vec<u8> {
    let packets = file.len() / 188;
    let pictures = |packet: &[u8]| u16::from_be_bytes([packet[1] & 0x1f, packet[2]]) == 0x100 && packet[1] & 0x40 == 0;
    for n in (packets / 3..packets * 2 / 3).step_by(3) {
        let packet = &mut file[n * 188..(n + 1) * 188];
        if pictures(packet) {
            packet[100] ^= 0x55;
            packet[140] ^= 0xaa;
        }
    }
    file
}

/// A subtitle stream of pictures as discs have it (PGS): one grey block from 0.5 s to 1.5 s.
pub(crate) fn picture_subtitles() -> Vec<u8> {
    const SIDE: u16 = 16;
    let word = |n: u16| n.to_be_bytes();
    let size = [word(320), word(180)].concat();
    let composition =
        |number: u8, state: u8, objects: &[u8]| [&size[..], &[0x10, 0, number, state, 0, 0], objects].concat();
    let window = [&[1, 0][..], &word(8), &word(8), &word(SIDE), &word(SIDE)].concat();
    let palette = [0, 0, 1, 128, 128, 128, 255];
    // Run lengths (a colour for `SIDE` pixels, then the end of the line), for each line.
    let line = [0, 0x80 | u8::try_from(SIDE).expect("small"), 1, 0, 0];
    let lines = line.repeat(usize::from(SIDE));
    let length = u32::try_from(lines.len() + 4).expect("small").to_be_bytes();
    let object = [&[0, 0, 0, 0xc0][..], &length[1..], &word(SIDE), &word(SIDE), &lines].concat();
    let shown = composition(0, 0x80, &[&[1, 0, 0, 0, 0][..], &word(8), &word(8)].concat());
    let gone = composition(1, 0, &[0]);
    let segment = |seconds: f64, kind: u8, content: &[u8]| {
        let ticks = format!("{:.0}", seconds * 90_000.0).parse::<u32>().expect("ticks");
        let length = u16::try_from(content.len()).expect("small");
        [b"PG", &ticks.to_be_bytes()[..], &[0; 4], &[kind], &length.to_be_bytes(), content].concat()
    };
    let parts: [(f64, u8, &[u8]); 8] = [
        (0.5, 0x16, &shown),
        (0.5, 0x17, &window),
        (0.5, 0x14, &palette),
        (0.5, 0x15, &object),
        (0.5, 0x80, &[]),
        (1.5, 0x16, &gone),
        (1.5, 0x17, &window),
        (1.5, 0x80, &[]),
    ];
    parts.into_iter().flat_map(|(at, kind, content)| segment(at, kind, content)).collect()
}
