//! What a worker leases: one job's work, as the message that lies on a lane.

use serde::{Deserialize, Serialize};
use serde_json::error::Category;

use crate::{
    AttemptNumber, Failure, JobId, JobRequest, Location, PresetName, Priority, error::ErrorKind, preset::Settings,
};

/// A whole job as one task. Unknown fields are passed over, so that an older worker can take a newer hub's task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// The job it belongs to.
    pub job: JobId,
    /// The source.
    pub input: Location,
    /// Where the output goes; a worker without it uses its own output bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Location>,
    /// The recipe.
    pub preset: PresetName,
    /// What the job changes in its preset.
    #[serde(default, skip_serializing_if = "Settings::is_empty")]
    pub settings: Settings,
    /// How urgent it is.
    #[serde(default)]
    pub priority: Priority,
    /// Attempts that were made before it came to this lane from another.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tried: AttemptNumber,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &AttemptNumber) -> bool {
    *number == 0
}

impl Task {
    /// The task of a submitted job.
    pub fn of(job: JobId, request: JobRequest) -> Self {
        let JobRequest { input, preset, output, priority, settings, id: _ } = request;
        Self { job, input, output, preset, settings, priority, tried: 0 }
    }

    /// The task in a message: one that a hub wrote (it has `job`), or a stranger's plain job, whose id is then made
    /// from the queue's and the message's name.
    ///
    /// # Errors
    /// A `bad_request` failure that says what is wrong with the JSON.
    pub fn from_message(body: &[u8], queue: &str, message_id: &str) -> Result<Self, Failure> {
        let bad = |e: serde_json::Error| {
            let why = match e.classify() {
                Category::Data => e.to_string(),
                _ => format!("it is no whole JSON, see line {} column {}", e.line(), e.column()),
            };
            Failure::new(ErrorKind::BadRequest, format!("the message on {queue} is not a job: {why}"))
                .hint(r#"the smallest job is {"input":"s3://bucket/key","preset":"hls-ladder"}"#)
        };
        let value: serde_json::Value = serde_json::from_slice(body).map_err(bad)?;
        if !value.is_object() {
            return Err(bad(serde::de::Error::custom("a job is a JSON object")));
        }
        if value.get("job").is_some() {
            return serde_json::from_value(value).map_err(bad);
        }
        let request: JobRequest = serde_json::from_value(value).map_err(bad)?;
        let id = request.id.unwrap_or_else(|| JobId::from_message(queue, message_id));
        Ok(Self::of(id, request))
    }

    /// The message to put on a lane.
    pub fn to_message(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a task holds only strings and numbers")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_a_redelivered_plain_job_the_same_id() {
        let body = br#"{"input":"s3://media-ingest/a.mp4","preset":"hls-ladder"}"#;
        let first = Task::from_message(body, "q", "1-0").expect("a job");
        assert_eq!(Task::from_message(body, "q", "1-0").as_ref(), Ok(&first));
        assert_ne!(Task::from_message(body, "q", "2-0").expect("a job").job, first.job);
        assert_eq!(Task::from_message(&first.to_message(), "q", "9-9"), Ok(first));
    }

    #[test]
    fn says_what_is_wrong_with_a_message() {
        for (body, part) in [
            (&b"{\"input\":\"s3://media/a\"}"[..], "preset"),
            (b"not json", "is not a job: it is no whole JSON, see line 1 column 2"),
            (b"{\"input\":\"/etc/passwd\",\"preset\":\"p\"}", "s3:// or file://"),
            (b"[]", "a job is a JSON object"),
            (b"[\"s3://media-ingest/a.mp4\",\"hls-ladder\",null,\"high\",null]", "a job is a JSON object"),
        ] {
            let failure = Task::from_message(body, "q", "1").expect_err("not a job");
            assert!(failure.message.contains(part), "{failure:?}");
        }
    }
}
