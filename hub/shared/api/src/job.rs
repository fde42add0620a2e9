//! What a client submits, and the states its job goes through.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Failure, Location, PresetName, preset::Settings};

/// A job's name: a UUID in its usual text form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(Uuid);

impl JobId {
    /// A job id from a UUID that the caller drew.
    pub fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// The id of a job that someone put on a queue without one: the same message always gives the same id, so that
    /// a redelivered message is the same job.
    pub fn from_message(queue: &str, message_id: &str) -> Self {
        Self(Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("reelmill:{queue}:{message_id}").as_bytes()))
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for JobId {
    type Err = uuid::Error;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        s.parse().map(Self)
    }
}

/// How urgent a job is among those waiting on its lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// After everything else.
    Low,
    /// The usual.
    #[default]
    Normal,
    /// Before everything else.
    High,
}

impl Priority {
    /// All of them, most urgent first.
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];
}

/// What a client submits. It may be as small as `{"input":"s3://media-ingest/a.mp4","preset":"hls-ladder"}`.
/// An unknown field is refused, so that a mistyped one is not silently ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobRequest {
    /// The source: `s3://bucket/key`, or `file:///path` under a root that the workers allow; for a live preset an
    /// `srt://`, `rtmp://` or `rtsp://` address.
    pub input: Location,
    /// The recipe.
    pub preset: PresetName,
    /// Where the output goes; without it, under the farm's output bucket in a folder named by the job's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Location>,
    /// How urgent it is.
    #[serde(default)]
    pub priority: Priority,
    /// What this job changes in its preset, by the preset's own keys, e.g. `{"video":{"effort":"slow"}}`.
    #[serde(default, skip_serializing_if = "Settings::is_empty")]
    pub settings: Settings,
    /// The client's own id for the job; without it, one is drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<JobId>,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Admitted; its task is on its lane or about to be.
    Queued,
    /// A worker has leased its task.
    Running,
    /// Published. Final.
    Done,
    /// A dead letter with a reason. Final, unless somebody has it tried again.
    Failed,
    /// Called off by somebody. Final, as `Failed` is.
    Canceled,
}

/// What a worker told of a job, or what somebody wished, as far as its state is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobChange {
    /// An attempt began or goes on.
    Working,
    /// An attempt failed and the task will be tried again.
    WillRetry,
    /// The output was published.
    Published,
    /// The task became a dead letter.
    GaveUp,
    /// Somebody called it off.
    CalledOff,
    /// Somebody put its dead letter back on the lane.
    TriedAgain,
}

impl JobState {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Queued, Self::Running, Self::Done, Self::Failed, Self::Canceled];

    /// The name used on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// Whether nothing more will happen to the job by itself.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Canceled)
    }

    /// The state after `change`. Late and doubled reports are harmless: `Done` never changes, and `Failed` and `Canceled`
    /// only give way to a publication, because what is published is a fact, and to somebody's wish to try again. A running
    /// job is canceled at once: its worker learns of it within seconds, and whatever else it tells meanwhile is no news.
    #[must_use]
    pub fn after(self, change: JobChange) -> Self {
        match (self, change) {
            (Self::Done, _) | (_, JobChange::Published) => Self::Done,
            (_, JobChange::TriedAgain) => Self::Queued,
            (Self::Failed | Self::Canceled, _) => self,
            (_, JobChange::CalledOff) => Self::Canceled,
            (_, JobChange::GaveUp) => Self::Failed,
            (_, JobChange::Working) => Self::Running,
            (_, JobChange::WillRetry) => Self::Queued,
        }
    }
}

impl FromStr for JobState {
    type Err = UnknownState;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|state| state.as_str() == s).ok_or_else(|| UnknownState(s.to_owned()))
    }
}

/// Text that names no job state.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no job state")]
pub struct UnknownState(String);

/// A job as the hub's API shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Where it stands.
    pub state: JobState,
    /// The source.
    pub input: Location,
    /// Where the output goes.
    pub output: Location,
    /// The recipe.
    pub preset: PresetName,
    /// How urgent it is.
    pub priority: Priority,
    /// When it was admitted, RFC 3339, UTC.
    pub created_at: String,
    /// When it last changed, RFC 3339, UTC.
    pub updated_at: String,
    /// The attempt that runs or ran last, from 1; 0 before the first.
    pub attempt: u32,
    /// The last progress heard while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<crate::Progress>,
    /// Why it failed, or why the last attempt did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The report of the published output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<crate::Report>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_smallest_job_a_stranger_may_submit() {
        let job: JobRequest =
            serde_json::from_str(r#"{"input":"s3://media-ingest/a.mp4","preset":"hls-ladder"}"#).expect("a small job");
        assert_eq!(job.priority, Priority::Normal);
        assert_eq!((job.output, job.id), (None, None));
    }

    #[test]
    fn refuses_a_mistyped_field_by_name() {
        let error = serde_json::from_str::<JobRequest>(r#"{"input":"s3://media/a","preset":"p","pirority":"high"}"#)
            .expect_err("a typo");
        assert!(error.to_string().contains("pirority"), "{error}");
    }

    #[test]
    fn late_reports_never_undo_a_final_state() {
        use JobChange::{CalledOff, GaveUp, Published, TriedAgain, WillRetry, Working};
        use JobState::{Canceled, Done, Failed, Queued, Running};
        let table = [
            (Queued, [Running, Queued, Done, Failed, Canceled, Queued]),
            (Running, [Running, Queued, Done, Failed, Canceled, Queued]),
            (Done, [Done, Done, Done, Done, Done, Done]),
            (Failed, [Failed, Failed, Done, Failed, Failed, Queued]),
            (Canceled, [Canceled, Canceled, Done, Canceled, Canceled, Queued]),
        ];
        let changes = [Working, WillRetry, Published, GaveUp, CalledOff, TriedAgain];
        for (from, want) in table {
            assert_eq!(changes.map(|c| from.after(c)), want, "{from:?}");
            assert_eq!(from.as_str().parse(), Ok(from));
        }
    }
}
