//! Ladders: each rendition as CMAF segments, put to the gateway one by one.

use reelmill_api::layout;

use super::{OutputUrl, sound, strings};
use crate::plan::{Grid, LadderPlan, Plan};

/// The outputs of a ladder.
pub(super) fn outputs(
    plan: &Plan,
    ladder: &LadderPlan,
    encoders: &[Vec<String>],
    output: OutputUrl<'_>,
) -> Vec<String> {
    let mut args = Vec::new();
    for (video, encoder) in ladder.videos.iter().zip(encoders) {
        args.extend_from_slice(encoder);
        args.extend(["-hls_segment_options".to_owned(), VIDEO_MUXING.to_owned()]);
        args.extend(packaging(&video.name, segment_seconds(plan.grid, 0.5), output));
    }
    for audio in &ladder.audios {
        args.extend(sound::audio(plan, audio, 0));
        args.extend(packaging(&audio.name, segment_seconds(plan.grid, 0.0), output));
    }
    args
}

/// With this flag a video's first decode time is 0 and decode times run on over segments to the tick; an edit list says how
/// long before its showing a picture is decoded, and the first is shown at 0. The other form, `negative_cts_offsets`,
/// needs no edit list, but ffmpeg's own demuxer (mpv, Kodi) then shows all pictures later than the sound by
/// the deepest reordering that it has seen so far. Audio must go without the flag: its encoder's priming starts before 0,
/// which `frag_discont` writes as an unsigned decode time, and an edit list tells correctly.
const VIDEO_MUXING: &str = "movflags=+frag_discont";

/// CMAF segments and init segment. Timestamps are not moved to hide negative ones: the boxes say where presentation starts.
fn packaging(rendition: &str, seconds: String, output: OutputUrl<'_>) -> Vec<String> {
    let base = output(rendition);
    let mut args = strings(
        "-map_metadata -1 -map_chapters -1 -sn -dn -max_muxing_queue_size 4096 -avoid_negative_ts disabled -f hls -hls_time",
    );
    args.push(seconds);
    args.extend(strings("-hls_playlist_type vod -hls_segment_type fmp4 -method PUT -http_persistent 1"));
    args.extend(["-hls_fmp4_init_filename", layout::INIT_SEGMENT, "-hls_segment_filename"].map(str::to_owned));
    args.push(format!("{base}/{}", layout::SEGMENT_PATTERN));
    args.push(format!("{base}/{}", layout::MEDIA_PLAYLIST));
    args
}

/// The length of a segment less `early` frames: video is cut at the first keyframe after it, and half a frame keeps
/// rounding from missing that one.
fn segment_seconds(grid: Grid, early: f64) -> String {
    format!("{:.6}", (f64::from(grid.gop) - early) / grid.frame_rate.as_f64())
}
