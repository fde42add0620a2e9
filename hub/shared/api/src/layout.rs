//! Where output lies under its destination. The only file that spells an output key.
//!
//! ```text
//! DEST/master.m3u8                            multivariant playlist, put last: its presence is the commit
//! DEST/manifest.mpd                           DASH manifest of the same segments, put just before it
//! DEST/reelmill.json                          the report of the attempt that was published
//! DEST/a1-7f3c9d2b/manifest.mpd               the same manifest for this folder
//! DEST/a1-7f3c9d2b/reelmill.json              the same report, where only this attempt writes
//! DEST/a1-7f3c9d2b/1080p/index.m3u8           media playlist of one rendition
//! DEST/a1-7f3c9d2b/1080p/init.mp4             its init segment
//! DEST/a1-7f3c9d2b/1080p/seg_00000.m4s        its segments, from 0
//! DEST/a1-7f3c9d2b/text/index.m3u8            media playlist of one subtitle track
//! DEST/a1-7f3c9d2b/text/seg_00000.vtt         its segments, from 0
//! DEST/a1-7f3c9d2b/text/all.vtt               the same track as one file, for DASH and download
//! DEST/a1-7f3c9d2b/storyboard/storyboard.vtt  which small picture is where
//! DEST/a1-7f3c9d2b/storyboard/sheet_00000.jpg sheets of small pictures, from 0
//! ```
//!
//! Single files have no playlist; their report names them, and its presence is the commit:
//!
//! ```text
//! DEST/reelmill.json                          the report, put last and only where nothing is
//! DEST/a1-7f3c9d2b/archive-prores.mov         a file
//! ```

//! A live output is never complete: its playlists lie where they stay, and are put anew with every segment.
//!
//! ```text
//! DEST/live.json                              how far it is: whoever replaces it has the output
//! DEST/master.m3u8                            multivariant playlist, put with the first segments
//! DEST/720p/index.m3u8                        media playlist of one rendition, a window that slides
//! DEST/a1-7f3c9d2b/s1/720p/init.mp4           its init segment for one session, that is until the source drops
//! DEST/a1-7f3c9d2b/s1/720p/seg_00000.m4s      the session's segments, from 0
//! DEST/reelmill.json                          the report, once it was stopped
//! DEST/stop                                   the wish to end it; removed with the end
//! ```

use crate::{AttemptId, job::JobId, preset::Container};

/// The multivariant playlist, relative to the destination.
pub const MASTER_PLAYLIST: &str = "master.m3u8";
/// The DASH manifest, relative to the destination and to an attempt's folder.
pub const MANIFEST: &str = "manifest.mpd";
/// The report, relative to the destination and to an attempt's folder.
pub const REPORT: &str = "reelmill.json";
/// The init segment, relative to a rendition's folder.
pub const INIT_SEGMENT: &str = "init.mp4";
/// The media playlist, relative to a rendition's folder.
pub const MEDIA_PLAYLIST: &str = "index.m3u8";

/// How far a live output is, relative to the destination.
pub const LIVE_STATE: &str = "live.json";
/// The wish to end a live output, relative to the destination.
pub const LIVE_STOP: &str = "stop";

/// A file of one session of a live attempt, relative to the destination.
pub fn live_file(attempt: &AttemptId, session: u32, rendition: &str, name: &str) -> String {
    format!("{attempt}/s{session}/{rendition}/{name}")
}

/// The media playlist of a live rendition, relative to the destination.
pub fn live_playlist(rendition: &str) -> String {
    format!("{rendition}/{MEDIA_PLAYLIST}")
}

/// Whether a path relative to a live output's destination is one that readers may have: not how it is made.
pub fn is_live_output(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    match parts.as_slice() {
        [MASTER_PLAYLIST | REPORT] => true,
        [rendition, MEDIA_PLAYLIST] => plain(rendition),
        [attempt, session, rendition, file] => {
            attempt.parse::<AttemptId>().is_ok() && [session, rendition, file].into_iter().all(|part| plain(part))
        }
        _ => false,
    }
}

/// The folder of one attempt, relative to the destination.
pub fn attempt_folder(attempt: &AttemptId) -> String {
    attempt.to_string()
}

/// A file of one attempt, relative to the destination.
pub fn attempt_file(attempt: &AttemptId, relative: &str) -> String {
    format!("{attempt}/{relative}")
}

/// A single file's name within its attempt's folder.
pub fn single_file(name: &str, container: Container) -> String {
    format!("{name}.{}", container.ending())
}

/// A segment's name within its rendition's folder, numbered from 0.
pub fn segment(index: u64) -> String {
    format!("seg_{index:05}.m4s")
}

/// The same name as ffmpeg's `-hls_segment_filename` pattern.
pub const SEGMENT_PATTERN: &str = "seg_%05d.m4s";
/// The same name as a DASH manifest's template.
pub const SEGMENT_TEMPLATE: &str = "seg_$Number%05d$.m4s";

/// A text segment's name within its rendition's folder, numbered from 0.
pub fn text_segment(index: u64) -> String {
    format!("seg_{index:05}.vtt")
}

/// A whole subtitle track in one file, relative to its rendition's folder.
pub const WHOLE_TEXT: &str = "all.vtt";

/// The storyboard's folder, relative to an attempt's.
pub const STORYBOARD: &str = "storyboard";
/// The storyboard's index, relative to its folder.
pub const STORYBOARD_INDEX: &str = "storyboard.vtt";

/// A sheet's name within the storyboard's folder, numbered from 0.
pub fn sheet(index: u64) -> String {
    format!("sheet_{index:05}.jpg")
}

/// The same name as a pattern of ffmpeg's image muxer.
pub const SHEET_PATTERN: &str = "sheet_%05d.jpg";
/// The same name as a DASH manifest's template.
pub const SHEET_TEMPLATE: &str = "sheet_$Number%05d$.jpg";

/// The index in a sheet's name; `None` for any other name.
pub fn sheet_index(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("sheet_")?.strip_suffix(".jpg")?;
    let index = digits.parse().ok()?;
    (sheet(index) == name).then_some(index)
}

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
    fn sheet_names_round_trip_past_five_digits() {
        for index in [0, 7, 99_999, 100_000] {
            assert_eq!(sheet_index(&sheet(index)), Some(index));
        }
        for other in ["sheet_1.jpg", "sheet_00001.png", "storyboard.vtt", "sheet_+0001.jpg"] {
            assert_eq!(sheet_index(other), None, "{other}");
        }
    }

    #[test]
    fn tells_what_readers_of_a_live_output_may_have() {
        let attempt = AttemptId::new(2, 0xbeef);
        let segment = live_file(&attempt, 3, "720p", &segment(7));
        assert_eq!(segment, "a2-0000beef/s3/720p/seg_00007.m4s");
        for path in [&segment, &live_playlist("720p"), MASTER_PLAYLIST, REPORT] {
            assert!(is_live_output(path), "{path}");
        }
        for path in [LIVE_STATE, LIVE_STOP, "../index.m3u8", "x/y/z/seg", "a2-0000beef/s3/../x", "/index.m3u8", ""] {
            assert!(!is_live_output(path), "{path}");
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
