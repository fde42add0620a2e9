//! The boxes of init segments and media segments, from a media process that may have been taken over.

use std::sync::LazyLock;

use bytes::Bytes;
use reelmill_worker::fmp4::{BoxScanner, InitFacts, NotFmp4, SegmentFacts};

use crate::is_sentence;

const REAL_INIT: &[u8] = include_bytes!("../../../worker/tests/segments/video_init.mp4");

static INIT: LazyLock<InitFacts> =
    LazyLock::new(|| scan(REAL_INIT, 64).and_then(BoxScanner::init).expect("a real init segment"));

/// Asks it of any bytes.
pub fn any_bytes(bytes: &[u8]) {
    let whole = scan(bytes, bytes.len().max(1));
    let pieces = scan(bytes, 7);
    assert_eq!(whole.as_ref().map_err(ToString::to_string), pieces.as_ref().map_err(ToString::to_string));
    let Ok(scanner) = whole.map_err(|why| is_sentence(&why.to_string())) else { return };
    assert_eq!(scanner.bytes(), bytes.len() as u64);
    let init = scanner.clone().init().inspect_err(|why| is_sentence(&why.to_string())).ok();
    init.iter().for_each(any_init);
    for init in init.iter().chain([&*INIT]) {
        match scanner.clone().segment(init) {
            Ok(facts) => any_segment(&facts, bytes.len()),
            Err(why) => is_sentence(&why.to_string()),
        }
    }
}

fn any_init(init: &InitFacts) {
    assert!(init.timescale > 0, "{init:?}");
    // It goes into a playlist, between quotes.
    assert!(init.codecs.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)), "{init:?}");
}

fn any_segment(facts: &SegmentFacts, bytes: usize) {
    assert_eq!(facts.bytes, bytes as u64);
    assert!(facts.samples <= facts.bytes, "more samples than bytes: {facts:?}");
    assert!(facts.sync_samples.iter().all(|at| *at < facts.samples), "{facts:?}");
    assert!(facts.starts_at.checked_add(facts.ticks).is_some(), "a segment that ends after all time: {facts:?}");
}

fn scan(bytes: &[u8], piece: usize) -> Result<BoxScanner, NotFmp4> {
    let mut scanner = BoxScanner::default();
    for part in bytes.chunks(piece) {
        scanner.feed(&Bytes::copy_from_slice(part))?;
    }
    Ok(scanner)
}
