//! What a worker tells of its work, so that a hub or anyone else can follow without polling.

use serde::{Deserialize, Serialize};

use crate::{AttemptId, ErrorKind, Failure, JobId, Report, job::JobChange};

/// One report of a worker about one attempt. Readers pass over fields and kinds that they do not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The job.
    pub job: JobId,
    /// The attempt at it.
    pub attempt: AttemptId,
    /// The node's name.
    pub node: String,
    /// What happened.
    #[serde(flatten)]
    pub body: EventBody,
}

/// What happened to an attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventBody {
    /// A worker leased the task.
    Started,
    /// How far the encode is.
    Progress {
        /// The figures.
        progress: Progress,
    },
    /// The output is published.
    Done {
        /// What was made.
        report: Box<Report>,
    },
    /// The attempt failed.
    Failed {
        /// Why.
        failure: Failure,
        /// When the task will be tried again, in seconds; absent: it is a dead letter, or it was canceled.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_in_seconds: Option<u64>,
    },
}

impl EventBody {
    /// What this means for the job's state.
    pub fn change(&self) -> JobChange {
        match self {
            Self::Started | Self::Progress { .. } => JobChange::Working,
            Self::Done { .. } => JobChange::Published,
            Self::Failed { retry_in_seconds: Some(_), .. } => JobChange::WillRetry,
            // Somebody told the workers so, perhaps not through the hub.
            Self::Failed { failure, .. } if failure.kind == ErrorKind::Canceled => JobChange::CalledOff,
            Self::Failed { retry_in_seconds: None, .. } => JobChange::GaveUp,
        }
    }
}

/// How far an encode is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Frames made so far, per rendition.
    pub frame: u64,
    /// Frames that the plan expects; 0 where the source does not say how long it is.
    pub frames_expected: u64,
    /// Frames per second at present.
    pub fps: f64,
    /// How many seconds of media are made per second.
    pub speed: f64,
    /// Seconds until the encode ends; absent while unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_seconds: Option<f64>,
}

impl Progress {
    /// The part done, 0 to 1; `None` where the length is unknown.
    pub fn fraction(&self) -> Option<f64> {
        #[allow(clippy::cast_precision_loss, reason = "a share for a bar; frame counts are far below 2^53")]
        let part = |a: u64, b: u64| (a as f64 / b as f64).min(1.0);
        (self.frames_expected > 0).then(|| part(self.frame, self.frames_expected))
    }
}
