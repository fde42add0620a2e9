//! `reelmill.json`: what was made of a source, by whom, and what was checked.

use serde::{Deserialize, Serialize};

use crate::{AttemptId, JobId, Location, MediaFacts, PresetName, Rendition};

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
    /// What was done to the source, in plain words, e.g. `rotated 90`, `dropped rung 1080p: above the source`.
    pub changes: Vec<String>,
    /// The checks that were made and passed before publishing.
    pub checks: Vec<String>,
    /// How long each step took.
    pub timings: Timings,
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
