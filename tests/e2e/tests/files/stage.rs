//! One source through the real worker, and what it made.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use reelmill_api::{Event, EventBody, Failure, Rendition, Report, rendition::Track};
use reelmill_e2e::judge;
use reelmill_lab::{
    media,
    programs::{command, output},
};
use serde_json::Value;
use tempfile::TempDir;

/// Names an ffmpeg for the worker, with its ffprobe beside it; the judge always uses the system's.
const FFMPEG: &str = "REELMILL_SOURCES_FFMPEG";

/// A folder with a source, an output and a spool.
pub(crate) struct Stage {
    pub(crate) folder: TempDir,
}

/// What was made of a source.
pub(crate) struct Product {
    pub(crate) report: Report,
    folder: PathBuf,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        // Media programs run as nobody where the tests run as root.
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).expect("our folder");
        Self { folder }
    }

    /// Where runs make their files.
    pub(crate) fn spool(&self) -> PathBuf {
        self.folder.path().join("spool")
    }

    /// A worker that does one job.
    pub(crate) fn worker(&self) -> Command {
        let mut worker = command("reelmill-worker");
        let root = self.folder.path();
        worker.arg("one").env("REELMILL_FILE_ROOTS", root).env("REELMILL_OUTPUT_ROOTS", root);
        worker.env("SPOOL_FOLDER", self.spool());
        if let Some(ffmpeg) = std::env::var_os(FFMPEG).map(PathBuf::from) {
            let beside = ffmpeg.parent().expect("it lies in a folder").display().to_string();
            let config = root.join("worker.toml");
            let text = format!(
                "[media]\nffmpeg = \"{beside}/ffmpeg\"\nffprobe = \"{beside}/ffprobe\"\nreadable = [\"{beside}\"]\n"
            );
            std::fs::write(&config, text).expect("a configuration");
            worker.arg("--config").arg(config);
        }
        worker
    }

    /// Makes a source with ffmpeg and what a preset makes of it, with a job's own settings.
    pub(crate) fn make(&self, source: &str, preset: &str, settings: &str) -> Product {
        let path = media::make(self.folder.path(), source);
        self.play(&path, preset, settings).unwrap_or_else(|failure| panic!("{source}: {}", failure.lines()))
    }

    /// The same of a file that is there.
    pub(crate) fn play(&self, source: &Path, preset: &str, settings: &str) -> Result<Product, Failure> {
        self.play_by(self.worker(), source, preset, settings)
    }

    /// The same by a worker with settings of its own.
    pub(crate) fn play_by(
        &self,
        worker: Command,
        source: &Path,
        preset: &str,
        settings: &str,
    ) -> Result<Product, Failure> {
        let folder = self.folder.path().join(format!("out-{}", uuid::Uuid::new_v4()));
        let job = format!(
            r#"{{"input":"file://{}","output":"file://{}","preset":"{preset}","settings":{settings}}}"#,
            source.display(),
            folder.display()
        );
        let ran = output(worker, job + "\n");
        let (told, said) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        let last = told.lines().last().unwrap_or_else(|| panic!("{}: no word of the end: {said}", ran.status));
        match serde_json::from_str::<Event>(last).expect("an event").body {
            EventBody::Done { report } => Ok(Product { report: *report, folder }),
            EventBody::Failed { failure, .. } => Err(failure),
            other => panic!("{other:?}: {said}"),
        }
    }
}

impl Product {
    /// A file, by its place in the report.
    pub(crate) fn file(&self, index: usize) -> PathBuf {
        let Track::File { path, .. } = &self.rendition(index).track else { panic!("no file") };
        self.folder.join(path)
    }

    /// What the report says of it.
    pub(crate) fn rendition(&self, index: usize) -> &Rendition {
        &self.report.renditions[index]
    }

    /// Its streams, as ffprobe sees them.
    pub(crate) fn streams(&self, index: usize) -> Vec<Value> {
        let found = judge::ffprobe(&self.file(index), "-show_streams");
        found["streams"].as_array().expect("streams").clone()
    }

    /// What was done to the source.
    pub(crate) fn changed(&self, what: &str) -> bool {
        self.report.changes.iter().any(|change| change.contains(what))
    }

    /// All is decoded without a complaint, the report's figures are those of the file, and nothing else was made.
    pub(crate) fn is_true(&self) {
        let mut files = Vec::new();
        for (index, made) in self.report.renditions.iter().enumerate() {
            let path = self.file(index);
            judge::decodes(&path);
            let bytes = path.metadata().expect("it is there").len();
            let Track::File { path: relative, width, height, frame_rate, sounds, .. } = &made.track else {
                panic!("no file")
            };
            files.push(relative.clone());
            let streams = self.streams(index);
            let video = &streams[0];
            assert_eq!(
                (video["width"].as_u64(), video["height"].as_u64()),
                (Some((*width).into()), Some((*height).into()))
            );
            assert_eq!(video["r_frame_rate"], frame_rate.to_string());
            assert_eq!(video["nb_frames"], made.samples.to_string());
            assert_eq!(video["sample_aspect_ratio"], "1:1");
            assert_eq!(made.bytes, bytes);
            #[allow(clippy::cast_precision_loss, reason = "clips of seconds")]
            let mean = bytes as f64 * 8.0 / made.duration_seconds;
            assert!((made.average_bps as f64 - mean).abs() < 2.0, "{} and {mean}", made.average_bps);
            assert_eq!(streams.iter().filter(|s| s["codec_type"] == "audio").count(), sounds.len());
        }
        files.push("reelmill.json".to_owned());
        let found = reelmill_e2e::files_under(&self.folder);
        assert_eq!(found, files.into_iter().collect(), "nothing but the files and their report");
        assert_eq!(self.report.entry.to_string(), format!("file://{}", self.file(0).display()));
    }
}

/// What ffprobe says of a stream under a name.
pub(crate) fn says(stream: &Value, name: &str) -> String {
    stream[name].as_str().unwrap_or_else(|| panic!("no {name} in {stream}")).to_owned()
}

/// The mean difference of two lists of pictures, in steps of 255.
pub(crate) fn difference(one: &[Vec<u8>], other: &[Vec<u8>]) -> f64 {
    assert_eq!(one.len(), other.len(), "as many pictures");
    let pairs = one.iter().flatten().zip(other.iter().flatten());
    let (sum, count) = pairs.fold((0.0, 0.0), |(sum, count), (a, b)| (sum + f64::from(a.abs_diff(*b)), count + 1.0));
    sum / count
}
