//! `reelmill.json`: what was made of a source, by whom, and what was checked.

use serde::{Deserialize, Serialize};

use crate::{AttemptId, JobId, Location, MediaFacts, PresetName, Rendition, rendition::Track};

/// The report of one published output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The job.
    pub job: JobId,
    /// The attempt that was published.
    pub attempt: AttemptId,
    /// The node that made it.
    pub node: String,
    /// Reelmill's version.
    pub reelmill: String,
    /// The engine and the version of its program, e.g. `software (ffmpeg 5.1.9)`.
    pub engine: String,
    /// The recipe.
    pub preset: PresetName,
    /// The source.
    pub input: Location,
    /// Where the output is.
    pub output: Location,
    /// The file a player opens.
    pub entry: Location,
    /// The source as it was probed.
    pub source: MediaFacts,
    /// What was made.
    pub renditions: Vec<Rendition>,
    /// The small pictures for seeking, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storyboard: Option<Sheets>,
    /// What was done to the source, in plain words, e.g. `rotated 90`, `dropped rung 1080p: above the source`.
    pub changes: Vec<String>,
    /// The checks that were made and passed before publishing.
    pub checks: Vec<String>,
    /// How long each step took.
    pub timings: Timings,
}

impl Report {
    /// Whether its own presence beside the output is the commit: so it is of single files, which no playlist names. That
    /// of a ladder is put before the commit.
    pub fn is_the_commit(&self) -> bool {
        self.renditions.iter().any(|rendition| matches!(rendition.track, Track::File { .. }))
    }
}

/// Wall-clock seconds of an attempt's steps before publishing (the report is a part of what is published).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timings {
    /// Probing the source.
    pub probe_seconds: f64,
    /// Decoding, encoding and storing.
    pub encode_seconds: f64,
    /// Seconds of media made per second of encoding.
    pub speed: f64,
}

/// Sheets of small pictures; they lie with their index in the storyboard's folder.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sheets {
    /// Sheets stored.
    pub sheets: u64,
    /// Pictures on them, all sheets together.
    pub pictures: u64,
    /// Pictures in a row of a sheet.
    pub columns: u32,
    /// Rows of a sheet; the last sheet may have empty ones.
    pub rows: u32,
    /// Width of a picture in pixels.
    pub width: u32,
    /// Height of a picture in pixels.
    pub height: u32,
    /// Seconds from one picture to the next.
    pub every_seconds: f64,
    /// Bytes of all sheets.
    pub bytes: u64,
}
