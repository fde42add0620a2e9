//! A farm with a preset of segments of one second and a storyboard of small sheets, and what it makes of a source.

use std::path::{Path, PathBuf};

use reelmill_e2e::{Farm, output::Output, playlist::Attributes};
use reelmill_lab::{
    media,
    programs::{self, Running},
};
use tempfile::TempDir;

use crate::vtt::{Line, lines};

const PRESET: &str = r#"
name = "worded"
description = "for tests"
[video]
codec = "h264"
effort = "superfast"
max_frame_rate = 60
[audio]
codec = "aac"
bitrate_bps = 64000
sample_rate = 48000
channels = 2
[ladder]
segment_seconds = 10
storyboard = { every_seconds = 1, long_side = 96, columns = 3, rows = 2 }
[[ladder.rungs]]
name = "180p"
long_side = 320
short_side = 180
crf = 20
max_bps = 4000000
"#;

/// A published output with its folder.
pub(crate) struct Shown {
    pub(crate) output: Output,
    folder: PathBuf,
}

/// One subtitle rendition.
pub(crate) struct Track {
    pub(crate) attributes: Attributes,
    /// Seconds and lines of each segment.
    pub(crate) segments: Vec<(f64, Vec<Line>)>,
    /// The lines of the file that holds all.
    pub(crate) whole: Vec<Line>,
}

/// What becomes of a source.
pub(crate) async fn transcode(source: &Path) -> Shown {
    transcode_by(source, None).await
}

/// The same by a worker whose ffmpeg is a script, which does `deed` before it becomes the true one.
pub(crate) async fn transcode_by(source: &Path, deed: Option<&str>) -> Shown {
    let farm = Farm::start().await;
    std::fs::write(farm.folder.path().join("presets/worded.toml"), PRESET).expect("a preset");
    let input = farm.upload(source, "clips/a source.bin");
    let job = farm.submit(&input, "worded").await;
    let mut worker = farm.worker();
    let program = deed.map_or_else(ffmpeg, |deed| script(farm.folder.path(), deed));
    worker.env("REELMILL_FFMPEG", program).env("STALL_SECONDS", "8");
    worker.arg("--config").arg(readable(farm.folder.path()));
    let _worker = Running::start(worker);
    let output = Output::of(&farm, job).await;
    output.is_true();
    let folder = output.entry().parent().expect("it lies in a folder").to_owned();
    Shown { output, folder }
}

/// Names another ffmpeg than the system's, as the tables of sources do.
const FFMPEG: &str = "REELMILL_SOURCES_FFMPEG";

/// The ffmpeg that workers use in the end.
fn ffmpeg() -> PathBuf {
    std::env::var_os(FFMPEG).map_or_else(programs::ffmpeg, PathBuf::from)
}

/// A script that is taken for ffmpeg.
fn script(folder: &Path, deed: &str) -> PathBuf {
    let ffmpeg = ffmpeg().display().to_string();
    let file = folder.join("ffmpeg");
    let text = format!("#!/bin/sh\n{deed}\nexec FFMPEG \"$@\"\n").replace("FFMPEG", &ffmpeg);
    programs::script(&file, &text);
    file
}

/// A configuration that lets media programs be read from a folder, and from where ffmpeg lies.
fn readable(folder: &Path) -> PathBuf {
    let config = folder.join("worker.toml");
    let ffmpeg = ffmpeg();
    let beside = ffmpeg.parent().expect("it lies in a folder");
    std::fs::write(&config, format!("[media]\nreadable = [\"{}\", \"{}\"]\n", folder.display(), beside.display()))
        .expect("written");
    config
}

impl Shown {
    pub(crate) fn read(&self, relative: &str) -> String {
        let bytes = std::fs::read(self.path(relative)).unwrap_or_else(|e| panic!("{relative}: {e}"));
        String::from_utf8(bytes).expect("UTF-8")
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.folder.join(relative)
    }

    /// All subtitle renditions, as a player finds them.
    pub(crate) fn tracks(&self) -> Vec<Track> {
        let subtitles = self.output.master.media.iter().filter(|a| a.text("TYPE") == "SUBTITLES");
        subtitles.map(|attributes| self.track(attributes)).collect()
    }

    fn track(&self, attributes: &Attributes) -> Track {
        let uri = attributes.text("URI");
        let folder = uri.rsplit_once('/').expect("a folder").0;
        let playlist = self.read(uri);
        assert!(!playlist.contains("EXT-X-MAP") && playlist.ends_with("#EXT-X-ENDLIST\n"), "{playlist}");
        let listed: Vec<_> = playlist.lines().filter(|line| !line.is_empty()).collect();
        let segments = listed.windows(2).filter_map(|pair| {
            let seconds = pair[0].strip_prefix("#EXTINF:")?.trim_end_matches(',').parse().expect("seconds");
            let text = self.read(&format!("{folder}/{}", pair[1]));
            let rest = text.strip_prefix("WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n");
            Some((seconds, lines(rest.unwrap_or_else(|| panic!("no segment's head: {text}")))))
        });
        let whole = self.read(&format!("{folder}/all.vtt"));
        let whole = lines(whole.strip_prefix("WEBVTT\n").expect("WebVTT"));
        Track { attributes: attributes.clone(), segments: segments.collect(), whole }
    }

    /// The only subtitle rendition.
    pub(crate) fn track_alone(&self) -> Track {
        let mut tracks = self.tracks();
        assert_eq!(tracks.len(), 1, "{:?}", self.output.report.changes);
        tracks.remove(0)
    }
}

impl Track {
    /// Whether each segment has just those lines that are shown in its time.
    pub(crate) fn is_cut_truly(&self) {
        let mut start = 0.0;
        for (seconds, lines) in &self.segments {
            let end = start + seconds;
            let wanted: Vec<_> = self.whole.iter().filter(|l| l.start < end && l.end > start).cloned().collect();
            assert_eq!(*lines, wanted, "from {start} to {end}");
            start = end;
        }
    }

    /// Beginning, end and text of each line.
    pub(crate) fn told(&self) -> Vec<(f64, f64, &str)> {
        self.whole.iter().map(|line| (line.start, line.end, line.text.as_str())).collect()
    }
}

/// A source of so many seconds with sound, and these subtitle files in these codecs; `words` come before its name.
pub(crate) fn source(folder: &TempDir, seconds: u32, texts: &[(&str, &str)], words: &str, name: &str) -> PathBuf {
    let mut inputs = String::new();
    let mut codecs = String::new();
    for (n, (text, codec)) in texts.iter().enumerate() {
        let kind = if text.contains("[Events]") { "ass" } else { "srt" };
        let file = folder.path().join(format!("{n}.{kind}"));
        std::fs::write(&file, text).expect("written");
        inputs += &format!(" -i {}", file.display());
        codecs += &format!(" -map {} -c:s:{n} {codec}", n + 2);
    }
    let picture = format!("-f lavfi -i testsrc2=size=320x180:rate=25:duration={seconds}");
    let sound = format!("-f lavfi -i sine=frequency=440:sample_rate=48000:duration={seconds}");
    let made = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac";
    media::make(folder.path(), &format!("{picture} {sound}{inputs} -map 0 -map 1{codecs} {made} {words} {name}"))
}

/// Whether two moments are the same to the millisecond that containers round to.
pub(crate) fn same(a: f64, b: f64) -> bool {
    (a - b).abs() < 0.0015
}
