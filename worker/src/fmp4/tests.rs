//! Real segments from ffmpeg 5.1, and what is wrong with broken ones.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

const INIT: &[u8] = include_bytes!("../../tests/segments/video_init.mp4");
const SEGMENT: &[u8] = include_bytes!("../../tests/segments/video_seg.m4s");
const AUDIO_INIT: &[u8] = include_bytes!("../../tests/segments/audio_init.mp4");
const MONO_INIT: &[u8] = include_bytes!("../../tests/segments/audio_mono_init.mp4");
const AUDIO_SEGMENT: &[u8] = include_bytes!("../../tests/segments/audio_seg.m4s");

fn scan(bytes: &[u8], piece: usize) -> Result<BoxScanner, NotFmp4> {
    let mut scanner = BoxScanner::default();
    for part in bytes.chunks(piece) {
        scanner.feed(&Bytes::copy_from_slice(part))?;
    }
    Ok(scanner)
}

#[test]
fn reads_a_video_segment_in_pieces_of_any_size() {
    for piece in [1, 7, 8, 1000, SEGMENT.len()] {
        let init = scan(INIT, piece).and_then(BoxScanner::init).expect("an init segment");
        assert_eq!((init.codecs.as_str(), init.size, init.timescale), ("avc1.64000c", Some((320, 180)), 12800));
        let facts = scan(SEGMENT, piece).and_then(|s| s.segment(&init)).expect("a segment");
        let want = SegmentFacts {
            starts_at: 12800,
            ticks: 12800,
            samples: 25,
            shown_from: 12_800,
            sync_samples: vec![0],
            bytes: SEGMENT.len() as u64,
        };
        assert_eq!(facts, want);
    }
}

#[test]
fn reads_an_audio_segment_and_its_priming() {
    let init = scan(AUDIO_INIT, 100).and_then(BoxScanner::init).expect("an init segment");
    assert_eq!((init.codecs.as_str(), init.sound, init.skipped_ticks), ("mp4a.40.2", Some((48_000, 2)), 1024));
    let facts = scan(AUDIO_SEGMENT, 100).and_then(|s| s.segment(&init)).expect("a segment");
    assert_eq!((facts.ticks, facts.samples), (facts.samples * 1024, facts.sync_samples.len() as u64));
}

#[test]
fn mono_sound_has_one_channel_whatever_its_sample_entry_says() {
    let init = scan(MONO_INIT, 100).and_then(BoxScanner::init).expect("an init segment");
    assert_eq!(init.sound, Some((48_000, 1)));
}

#[test]
fn a_file_closed_without_media_is_told_from_a_broken_one() {
    let styp = b"\0\0\0\x10stypmsdh\0\0\0\0";
    for (bytes, want) in
        [(&b""[..], true), (styp, true), (&styp[..9], false), (SEGMENT, false), (&SEGMENT[..99], false)]
    {
        assert_eq!(scan(bytes, 100).expect("boxes").is_without_media(), want, "{} bytes", bytes.len());
    }
}

#[test]
fn says_what_is_wrong_with_a_broken_file() {
    let init = scan(INIT, 100).and_then(BoxScanner::init).expect("an init segment");
    let segment_error = |bytes: &[u8]| scan(bytes, 100).and_then(|s| s.segment(&init)).expect_err("broken").to_string();
    assert!(segment_error(&SEGMENT[..SEGMENT.len() - 1]).contains("ends inside a box"));
    assert_eq!(segment_error(b""), "it holds no media data");
    assert_eq!(segment_error(INIT), "it holds no media data");
    assert!(segment_error(b"<html>503</html>").contains("claims"));
    assert_eq!(scan(SEGMENT, 100).and_then(BoxScanner::init).expect_err("no init").to_string(), "it holds no moov box");
}

proptest! {
    #[test]
    fn never_panics_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400), piece in 1_usize..50) {
        if let Ok(scanner) = scan(&bytes, piece) {
            prop_assert!(scanner.init().is_err());
        }
    }

    #[test]
    fn never_panics_on_a_damaged_segment(at in 0..INIT.len(), value in any::<u8>()) {
        let mut bytes = INIT.to_vec();
        bytes[at] = value;
        let whole = scan(&bytes, 64).and_then(BoxScanner::init);
        prop_assert!(whole.is_err() || whole.is_ok_and(|f| f.timescale > 0));
    }
}
