//! Real files from ffmpeg, and what is wrong with broken ones.

use std::{io::Cursor, process::Command};

use proptest::prelude::*;

use super::*;

/// A file that ffmpeg makes of these words: a second of moving pictures at 29.97 and two tracks of sound.
fn made(words: &str, name: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    let sources = "-nostdin -v error -f lavfi -i testsrc2=size=128x96:rate=30000/1001 -f lavfi -i \
                   sine=sample_rate=48000 -f lavfi -i anullsrc=channel_layout=5.1:sample_rate=48000 -map 0 -map 1 -map 2 -t 1.001";
    let ran =
        Command::new("ffmpeg").args(sources.split_whitespace()).args(words.split_whitespace()).arg(&path).output();
    let ran = ran.expect("ffmpeg is installed");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    std::fs::read(path).expect("it was made")
}

fn parsed(bytes: &[u8]) -> Result<Movie, NotAMovie> {
    read(&mut Cursor::new(bytes))
}

fn prores() -> Vec<u8> {
    let words = "-c:v prores_ks -profile:v 3 -c:a pcm_s24le -timecode 01:00:00;02 -color_primaries bt709 -color_trc bt709 \
                 -colorspace bt709 -movflags +write_colr";
    made(words, "a.mov")
}

fn h264() -> Vec<u8> {
    made("-c:v libx264 -g 10 -bf 2 -c:a aac -movflags +faststart", "a.mp4")
}

#[test]
fn an_archive_master_is_read_whole() {
    let movie = parsed(&prores()).expect("a movie");
    let [video, mono, surround, code] = movie.tracks.as_slice() else { panic!("{movie:?}") };
    assert!(!movie.index_first);
    assert_eq!((video.kind, video.entry.codec.as_str(), video.entry.size), (Kind::Video, "apch", Some((128, 96))));
    assert_eq!((video.samples, video.ticks, video.each, video.keys.clone()), (30, 30_030, Some(1001), None));
    assert_eq!((video.starts_at, video.skipped), (0.0, 0));
    assert!((video.shown - 1.001).abs() < 0.0011 && (video.seconds() - 1.001).abs() < 1e-9);
    assert_eq!(video.entry.tags, Some(Tags { primaries: 1, transfer: 1, matrix: 1 }));
    assert_eq!((mono.entry.codec.as_str(), mono.entry.sound), ("in24", Some((48_000, 1))));
    assert_eq!((surround.entry.codec.as_str(), surround.entry.sound), ("in24", Some((48_000, 6))));
    assert_eq!(surround.bytes, Bytes::Each { bytes: 18, count: surround.samples });
    assert_eq!(code.kind, Kind::TimeCode);
    let TimeCode { drops, per_second, frames, .. } = code.time_code.expect("a time code");
    assert_eq!((drops, per_second, frames), (true, 30, 107_892 + 2), "an hour of drop frame is 107892 frames");
}

#[test]
fn an_avid_master_tells_its_profile() {
    let words =
        |profile: &str, format: &str| format!("-c:v dnxhd -profile:v {profile} -pix_fmt {format} -c:a pcm_s24le");
    for (profile, format, want) in [("dnxhr_hqx", "yuv422p10le", 1271), ("dnxhr_hq", "yuv422p", 1272)] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.mov");
        let ran = Command::new("ffmpeg")
            .args("-nostdin -v error -f lavfi -i testsrc2=size=256x128:rate=25 -t 0.2".split_whitespace())
            .args(words(profile, format).split_whitespace())
            .arg(&path)
            .status();
        assert!(ran.expect("ffmpeg is installed").success());
        let movie = parsed(&std::fs::read(&path).expect("it was made")).expect("a movie");
        let entry = &movie.tracks[0].entry;
        assert_eq!((entry.codec.as_str(), entry.avid_profile), ("AVdh", Some(want)));
    }
}

#[test]
fn a_clip_for_the_web_is_read_whole() {
    let movie = parsed(&h264()).expect("a movie");
    let [video, mono, surround] = movie.tracks.as_slice() else { panic!("{movie:?}") };
    assert!(movie.index_first);
    assert!(video.entry.codec.starts_with("avc1.64"), "{}", video.entry.codec);
    assert_eq!((video.samples, video.keys.as_deref()), (30, Some(&[0, 10, 20][..])));
    assert_eq!(video.starts_at, 0.0, "the edit list takes back what reordering costs");
    for (track, channels) in [(mono, 1), (surround, 6)] {
        assert_eq!((track.entry.codec.as_str(), track.entry.sound), ("mp4a.40.2", Some((48_000, channels))));
        assert_eq!((track.starts_at, track.skipped), (0.0, 1024));
    }
    let all: u64 = movie.tracks.iter().map(|track| track.bytes.total()).sum();
    assert!(all < movie.bytes && all > movie.bytes / 2, "{all} of {}", movie.bytes);
    assert!(video.bytes.most_in(10) > video.bytes.total() / 3, "the fullest third holds more than a third");
}

#[test]
fn says_what_is_wrong_with_a_broken_file() {
    let whole = h264();
    let error = |bytes: &[u8]| parsed(bytes).expect_err("broken").to_string();
    assert_eq!(error(&whole[..whole.len() - 1]), "it ends inside a mdat box");
    assert_eq!(error(b""), "it has no index (moov)");
    assert!(error(b"<html>503</html>").starts_with("it ends inside a "));
    let at = |kind: &[u8]| whole.windows(4).position(|four| four == kind).expect("it is there");
    let index = at(b"moov") - 4;
    let media = at(b"mdat") - 4;
    assert_eq!(error(&whole[media..]), "it has no index (moov)");
    assert_eq!(error(&whole[..media]), "it has no media (mdat)");
    let mut moved = whole.clone();
    // A bit of the first chunk's address.
    moved[at(b"stco") + 12] ^= 0x40;
    assert_eq!(error(&moved), "its index points outside its media");
    let mut fewer = whole.clone();
    fewer[at(b"stsz") + 15] ^= 1;
    assert!(error(&fewer).contains("and sizes for"), "{}", error(&fewer));
    assert!(index < media);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn never_panics_on_a_damaged_index(seed in any::<u64>()) {
        static WHOLE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        let mut bytes = WHOLE.get_or_init(prores).clone();
        let index = bytes.windows(4).rposition(|four| four == b"moov").expect("it is there");
        let mut state = seed | 1;
        for _ in 0..4 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let place = index + (state >> 33) as usize % (bytes.len() - index);
            bytes[place] = u8::try_from(state >> 20 & 0xff).expect("a byte");
        }
        if let Ok(movie) = parsed(&bytes) {
            prop_assert!(movie.tracks.iter().all(|track| track.timescale > 0));
        }
    }

    #[test]
    fn never_panics_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(parsed(&bytes).is_err());
    }
}
