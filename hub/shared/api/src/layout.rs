//! Where output lies under its destination. The only file that spells an output key.
//!
//! ```text
//! DEST/master.m3u8                            multivariant playlist, put last: its presence is the commit
//! DEST/reelmill.json                          the report of the attempt that was published
//! DEST/a1-7f3c9d2b/reelmill.json              the same report, where only this attempt writes
//! DEST/a1-7f3c9d2b/1080p/index.m3u8           media playlist of one rendition
//! DEST/a1-7f3c9d2b/1080p/init.mp4             its init segment
//! DEST/a1-7f3c9d2b/1080p/seg_00000.m4s        its segments, from 0
//! ```

use crate::{AttemptId, job::JobId};

/// The multivariant playlist, relative to the destination.
pub const MASTER_PLAYLIST: &str = "master.m3u8";
/// The report, relative to the destination and to an attempt's folder.
pub const REPORT: &str = "reelmill.json";
/// The init segment, relative to a rendition's folder.
pub const INIT_SEGMENT: &str = "init.mp4";
/// The media playlist, relative to a rendition's folder.
pub const MEDIA_PLAYLIST: &str = "index.m3u8";

/// The folder of one attempt, relative to the destination.
pub fn attempt_folder(attempt: &AttemptId) -> String {
    attempt.to_string()
}

/// A file of one attempt, relative to the destination.
pub fn attempt_file(attempt: &AttemptId, relative: &str) -> String {
    format!("{attempt}/{relative}")
}

/// A segment's name within its rendition's folder, numbered from 0.
pub fn segment(index: u64) -> String {
    format!("seg_{index:05}.m4s")
}

/// The same name as ffmpeg's `-hls_segment_filename` pattern.
pub const SEGMENT_PATTERN: &str = "seg_%05d.m4s";

/// The index in a segment's name; `None` for any other name.
pub fn segment_index(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("seg_")?.strip_suffix(".m4s")?;
    let index = digits.parse().ok()?;
    (segment(index) == name).then_some(index)
}

/// The attempt that a published multivariant playlist refers to: that of its first URI.
pub fn published_attempt(master: &str) -> Option<AttemptId> {
    let uri = master.lines().find(|l| !l.is_empty() && !l.starts_with('#'))?;
    uri.split('/').next()?.parse().ok()
}

/// The folder below a bucket or output root that a job without an explicit output gets.
pub fn default_output(job: &JobId) -> String {
    format!("{job}/")
}

/// The media type under which a file is served, by its name.
pub fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("m3u8") => "application/vnd.apple.mpegurl",
        Some("mpd") => "application/dash+xml",
        Some("m4s") => "video/iso.segment",
        Some("mp4") => "video/mp4",
        Some("mov") => "video/quicktime",
        Some("vtt") => "text/vtt",
        Some("json") => "application/json",
        Some("jpg") => "image/jpeg",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segment_names_round_trip_past_five_digits() {
        for index in [0, 7, 99_999, 100_000] {
            assert_eq!(segment_index(&segment(index)), Some(index));
        }
        for other in ["seg_1.m4s", "seg_-0001.m4s", "init.mp4", "seg_00001.mp4", "seg_+0001.m4s"] {
            assert_eq!(segment_index(other), None, "{other}");
        }
    }

    #[test]
    fn finds_the_attempt_a_master_playlist_refers_to() {
        let master = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na3-0000beef/720p/index.m3u8\n";
        assert_eq!(published_attempt(master), Some(AttemptId::new(3, 0xbeef)));
        assert_eq!(published_attempt("#EXTM3U\n720p/index.m3u8\n"), None);
        assert_eq!(published_attempt(""), None);
    }
}
