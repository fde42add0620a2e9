//! Playlists that come from outside: a published one is asked for its attempt, a muxer's for its number of segments.

use reelmill_api::layout;
use reelmill_worker::gateway::Listed;

/// Asks it of any bytes.
pub fn any_bytes(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(attempt) = layout::published_attempt(&text) {
        let name = attempt.to_string();
        assert_eq!(name.parse(), Ok(attempt));
        assert!(text.lines().any(|line| line.split('/').next() == Some(name.as_str())), "{name} in {text:?}");
    }
    for line in text.lines() {
        assert!(layout::segment_index(line).is_none_or(|index| layout::segment(index) == line), "{line:?}");
    }
    counted(bytes);
}

fn counted(bytes: &[u8]) {
    let lines = bytes.split(|byte| *byte == b'\n');
    let want = lines.filter(|line| line.first().is_some_and(|first| !b"#\r".contains(first))).count() as u64;
    for piece in [1, 3, bytes.len().max(1)] {
        let mut listed = Listed::default();
        bytes.chunks(piece).for_each(|part| listed.feed(part));
        assert_eq!(listed.segments(), want, "in pieces of {piece}: {bytes:?}");
    }
}
