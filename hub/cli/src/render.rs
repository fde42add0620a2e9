//! What a person reads: progress, a report, places and units, as text.

use std::fmt::Write;

use reelmill_api::{Location, Progress, Rational, Rendition, Report, rendition::Track};
use reelmill_daemon::report::visible;

/// Progress as one line, e.g. ` 40 %  frame 48/120  31.2 fps  1.30x  eta 0:12`; what is unknown is left out.
pub(crate) fn progress(p: &Progress) -> String {
    let mut parts = Vec::new();
    match p.fraction() {
        Some(part) => {
            parts.push(format!("{:3.0} %", (part * 100.0).floor()));
            parts.push(format!("frame {}/{}", p.frame, p.frames_expected));
        }
        None => parts.push(format!("frame {}", p.frame)),
    }
    if p.fps > 0.0 {
        parts.push(format!("{:.1} fps", p.fps));
    }
    if p.speed > 0.0 {
        parts.push(format!("{:.2}x", p.speed));
    }
    if let Some(eta) = p.eta_seconds.filter(|s| s.is_finite() && *s >= 0.0) {
        parts.push(format!("eta {}", clock(eta)));
    }
    parts.join("  ")
}

/// Whole seconds as `m:ss` or `h:mm:ss`.
pub(crate) fn clock(seconds: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "as saturates, and that is far enough")]
    let s = seconds.ceil() as u64;
    match s / 3600 {
        0 => format!("{}:{:02}", s / 60, s % 60),
        hours => format!("{hours}:{:02}:{:02}", s / 60 % 60, s % 60),
    }
}

/// A location as a person names it: a path for a file, else as it is.
pub(crate) fn place(at: &Location) -> String {
    match at {
        Location::File(file) => visible(&file.path().display().to_string()),
        Location::S3(_) | Location::Stream(_) => visible(&at.to_string()),
    }
}

/// A published output: its entry, its renditions and what was changed of the source.
pub(crate) fn report(r: &Report) -> String {
    let seconds = r.timings.probe_seconds + r.timings.encode_seconds;
    let mut text = format!("done in {seconds:.1} s ({:.2}x): {}\n", r.timings.speed, place(&r.entry));
    let rows: Vec<[String; 5]> = r.renditions.iter().map(row).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 4] = std::array::from_fn(width);
    for row in &rows {
        let padded = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        let cells: Vec<String> = padded.chain([row[4].clone()]).collect();
        let _ = writeln!(text, "  {}", cells.join("  "));
    }
    for place in r.renditions.iter().skip(1).filter_map(|rendition| file(r, rendition)) {
        let _ = writeln!(text, "  also: {place}");
    }
    for change in &r.changes {
        let _ = writeln!(text, "  changed: {}", visible(change));
    }
    text
}

/// Where a single file lies. The first one is the entry.
fn file(report: &Report, rendition: &Rendition) -> Option<String> {
    let Track::File { path, .. } = &rendition.track else { return None };
    report.output.join(path).ok().map(|at| place(&at))
}

fn row(r: &Rendition) -> [String; 5] {
    let (size, pace) = match &r.track {
        Track::Video { width, height, frame_rate, .. } => (format!("{width}x{height}"), frames_per_second(*frame_rate)),
        Track::Audio { channels, sample_rate, .. } => (format!("{channels} ch"), format!("{sample_rate} Hz")),
        Track::Text { language, .. } => {
            (visible(language.as_deref().unwrap_or("text")), format!("{} lines", r.samples))
        }
        Track::File { width, height, frame_rate, .. } => (format!("{width}x{height}"), frames_per_second(*frame_rate)),
    };
    [visible(&r.name), size, pace, visible(&r.codecs), bit_rate(r.average_bps)]
}

fn frames_per_second(rate: Rational) -> String {
    if rate.den() == 1 { format!("{} fps", rate.num()) } else { format!("{:.3} fps", rate.as_f64()) }
}

#[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
fn bit_rate(bps: u64) -> String {
    match bps {
        1_000_000.. => format!("{:.2} Mb/s", bps as f64 / 1e6),
        _ => format!("{:.0} kb/s", bps as f64 / 1e3),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn check(progress_: Progress, want: &str) {
        assert_eq!(progress(&progress_), want);
    }

    #[test]
    fn progress_tells_what_is_known() {
        let p = Progress { frame: 48, frames_expected: 120, fps: 31.25, speed: 1.3, eta_seconds: Some(11.2) };
        check(p, " 40 %  frame 48/120  31.2 fps  1.30x  eta 0:12");
        check(Progress { frame: 120, eta_seconds: None, ..p }, "100 %  frame 120/120  31.2 fps  1.30x");
        check(Progress { eta_seconds: Some(3725.0), ..p }, " 40 %  frame 48/120  31.2 fps  1.30x  eta 1:02:05");
        check(Progress { frames_expected: 0, eta_seconds: Some(f64::INFINITY), ..p }, "frame 48  31.2 fps  1.30x");
        check(
            Progress { frame: 119, frames_expected: 120, eta_seconds: None, ..p },
            " 99 %  frame 119/120  31.2 fps  1.30x",
        );
    }

    /// A report of two renditions and one change.
    pub(crate) fn a_report() -> Report {
        serde_json::from_str(
            r#"{
            "job": "018f3c5e-0000-7000-8000-000000000001", "attempt": "a1-7f3c9d2b", "node": "here",
            "reelmill": "0.1.0", "engine": "software (ffmpeg 5.1.9)", "preset": "hls-ladder",
            "input": "file:///v/a.mp4", "output": "file:///v/out", "entry": "file:///v/out/master.m3u8",
            "source": {"container": "mp4", "bytes": 5, "audio": []},
            "renditions": [
              {"name": "720p", "codecs": "avc1.64001f", "track": "video", "width": 1280, "height": 720,
               "frame_rate": "30000/1001", "segments": 2, "samples": 132, "duration_seconds": 5.28,
               "average_bps": 2345678, "peak_bps": 3000000, "bytes": 1548147},
              {"name": "audio", "codecs": "mp4a.40.2", "track": "audio", "channels": 2, "sample_rate": 48000,
               "segments": 2, "samples": 249, "duration_seconds": 5.312, "average_bps": 128500, "peak_bps": 130000,
               "bytes": 85324}],
            "changes": ["dropped rung 1080p: above the source"], "checks": [],
            "timings": {"probe_seconds": 0.1, "encode_seconds": 4.0, "speed": 1.32}}"#,
        )
        .expect("a report")
    }

    #[test]
    fn a_report_tells_the_entry_the_renditions_and_the_changes() {
        assert_eq!(
            report(&a_report()),
            "\
done in 4.1 s (1.32x): /v/out/master.m3u8
  720p   1280x720  29.970 fps  avc1.64001f  2.35 Mb/s
  audio  2 ch      48000 Hz    mp4a.40.2    128 kb/s
  changed: dropped rung 1080p: above the source
"
        );
    }

    #[test]
    fn a_report_of_files_tells_where_each_is() {
        let mut r = a_report();
        let track = |path: &str| Track::File {
            path: path.to_owned(),
            width: 1080,
            height: 1920,
            frame_rate: Rational::whole(25).expect("not zero"),
            sounds: Vec::new(),
            timecode: None,
        };
        r.entry = "file:///v/out/a1-7f3c9d2b/clip.mp4".parse().expect("a location");
        for (made, path) in r.renditions.iter_mut().zip(["a1-7f3c9d2b/clip.mp4", "a1-7f3c9d2b/clip-av1.mp4"]) {
            made.track = track(path);
        }
        let text = report(&r);
        assert!(text.starts_with("done in 4.1 s (1.32x): /v/out/a1-7f3c9d2b/clip.mp4\n"), "{text}");
        assert!(text.contains("\n  720p   1080x1920  25 fps  avc1.64001f  2.35 Mb/s\n"), "{text}");
        assert!(text.contains("\n  also: /v/out/a1-7f3c9d2b/clip-av1.mp4\n"), "{text}");
    }

    #[test]
    fn what_others_wrote_cannot_drive_the_terminal() {
        let mut r = a_report();
        r.changes = vec!["\u{1b}]0;owned\u{7}".to_owned()];
        assert!(report(&r).ends_with("  changed: \\u{1b}]0;owned\\u{7}\n"));
        let at: Location = "s3://media/out/master.m3u8".parse().expect("a location");
        assert_eq!(place(&at), "s3://media/out/master.m3u8");
    }
}
