//! The hub's API as this command line uses it: health, uploads, jobs and their events, lanes and dead letters.

use std::path::Path;

use anyhow::Context;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use reelmill_api::{
    JobId, JobRequest, Lane, Location,
    job::Job,
    queues::{LaneList, LaneState, Letter, LetterList},
};
use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;
use url::Url;

use crate::{client::Client, sse::SseParser};

/// How much of a file is read at once.
const PART: usize = 256 * 1024;
/// The name of the events that carry a job.
const JOB_EVENT: &str = "job";
/// The most dead letters that the hub lists at once.
pub(crate) const LETTERS_AT_ONCE: u32 = 500;

/// A hub.
#[derive(Clone, Debug)]
pub(crate) struct Hub(Client);

/// The answer to an upload.
#[derive(Debug, Deserialize)]
struct Uploaded {
    location: Location,
}

/// The address of a hub: `http://host:port`, nothing behind it.
pub(crate) fn parse_address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|u| u.scheme() == "http" && u.has_host() && u.path() == "/");
    let bare = url.filter(|u| u.query().is_none() && u.fragment().is_none() && u.username().is_empty());
    bare.ok_or_else(|| format!("`{text}` must be like http://127.0.0.1:8080"))
}

impl Hub {
    /// The hub at that address.
    pub(crate) fn at(address: Url) -> Self {
        Self(Client::new(address))
    }

    /// The page of a job, for a browser.
    pub(crate) fn page(&self, job: JobId) -> Url {
        self.0.url(&["jobs", &job.to_string()])
    }

    /// Whether the hub and what it needs are well; else why not.
    pub(crate) async fn health(&self) -> anyhow::Result<()> {
        let _: serde_json::Value = self.0.get(&["v1", "health"]).await?;
        Ok(())
    }

    /// Brings a file into the farm's store.
    pub(crate) async fn upload_file(&self, path: &Path) -> anyhow::Result<Location> {
        let shown = || format!("cannot read {}", path.display());
        let file = tokio::fs::File::open(path).await.with_context(shown)?;
        let length = file.metadata().await.with_context(shown)?.len();
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        // A file that grows meanwhile is taken as long as it was.
        self.upload(&name, length, ReaderStream::with_capacity(file.take(length), PART)).await
    }

    /// Brings bytes into the farm's store.
    pub(crate) async fn upload(
        &self,
        name: &str,
        length: u64,
        bytes: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    ) -> anyhow::Result<Location> {
        let uploaded: Uploaded = self.0.put(&["v1", "uploads", name], length, bytes).await?;
        Ok(uploaded.location)
    }

    /// Submits a job.
    pub(crate) async fn submit(&self, request: &JobRequest) -> anyhow::Result<Job> {
        let body = serde_json::to_vec(request).expect("a request holds only text");
        self.0.post(&["v1", "jobs"], body).await
    }

    /// Wishes a live job to end; the job as it stood.
    pub(crate) async fn stop(&self, job: JobId) -> anyhow::Result<Job> {
        self.0.delete(&["v1", "jobs", &job.to_string()]).await
    }

    /// Calls a job off; the job as it is then.
    pub(crate) async fn cancel(&self, job: JobId) -> anyhow::Result<Job> {
        self.0.post(&["v1", "jobs", &job.to_string(), "cancel"], Vec::new()).await
    }

    /// All lanes.
    pub(crate) async fn lanes(&self) -> anyhow::Result<Vec<LaneState>> {
        let list: LaneList = self.0.get(&["v1", "lanes"]).await?;
        Ok(list.lanes)
    }

    /// Pauses a lane; how it stands then.
    pub(crate) async fn pause(&self, lane: &Lane) -> anyhow::Result<LaneState> {
        self.0.post(&["v1", "lanes", lane.as_str(), "pause"], Vec::new()).await
    }

    /// Resumes a lane; how it stands then.
    pub(crate) async fn resume(&self, lane: &Lane) -> anyhow::Result<LaneState> {
        self.0.post(&["v1", "lanes", lane.as_str(), "resume"], Vec::new()).await
    }

    /// Dead letters without their bodies: of that lane and of that job, if any is given.
    pub(crate) async fn dead_letters(
        &self,
        lane: Option<&Lane>,
        job: Option<JobId>,
        limit: u32,
    ) -> anyhow::Result<Vec<Letter>> {
        let lane = lane.map(|lane| ("lane", lane.to_string()));
        let job = job.map(|job| ("job", job.to_string()));
        let words: Vec<_> = [lane, job, Some(("limit", limit.to_string()))].into_iter().flatten().collect();
        let list: LetterList = self.0.get_where(&["v1", "dead-letters"], &words).await?;
        Ok(list.dead_letters)
    }

    /// A dead letter with its body.
    pub(crate) async fn dead_letter(&self, letter: &Letter) -> anyhow::Result<Letter> {
        self.0.get(&["v1", "dead-letters", letter.lane.as_str(), &letter.message_id]).await
    }

    /// Puts a dead letter back on its lane.
    pub(crate) async fn retry_dead(&self, letter: &Letter) -> anyhow::Result<Letter> {
        let path = ["v1", "dead-letters", letter.lane.as_str(), &letter.message_id, "retry"];
        self.0.post(&path, Vec::new()).await
    }

    /// Removes a dead letter for good.
    pub(crate) async fn drop_dead(&self, letter: &Letter) -> anyhow::Result<Letter> {
        self.0.delete(&["v1", "dead-letters", letter.lane.as_str(), &letter.message_id]).await
    }

    /// The job as it is now, and again whenever it changes, until the hub ends the stream.
    pub(crate) async fn events(
        &self,
        job: JobId,
    ) -> anyhow::Result<impl Stream<Item = anyhow::Result<Job>> + Unpin + use<>> {
        let bytes = self.0.open(&["v1", "jobs", &job.to_string(), "events"]).await?;
        let mut parser = SseParser::default();
        let jobs = bytes.map(move |part| part.map(|part| parser.push(&part))).flat_map(|events| {
            let jobs: Vec<anyhow::Result<Job>> = match events {
                Ok(events) => events.into_iter().filter(|e| e.name == JOB_EVENT).map(|e| read_job(&e.data)).collect(),
                Err(e) => vec![Err(e)],
            };
            futures::stream::iter(jobs)
        });
        Ok(Box::pin(jobs))
    }
}

fn read_job(data: &str) -> anyhow::Result<Job> {
    serde_json::from_str(data).context("the hub tells of the job in words that this version does not understand")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: Result<&str, &str>) {
        let got = parse_address(text).map(|u| u.to_string());
        assert_eq!(got.as_deref().map_err(String::as_str), want);
    }

    #[test]
    fn takes_only_a_plain_address() {
        check("http://127.0.0.1:8080", Ok("http://127.0.0.1:8080/"));
        check("http://hub:80/", Ok("http://hub/"));
        check("https://hub", Err("`https://hub` must be like http://127.0.0.1:8080"));
        check("hub:8080", Err("`hub:8080` must be like http://127.0.0.1:8080"));
        check("http://u:p@hub", Err("`http://u:p@hub` must be like http://127.0.0.1:8080"));
        check("http://hub/v1", Err("`http://hub/v1` must be like http://127.0.0.1:8080"));
    }

    #[test]
    fn an_uploads_name_is_one_part_of_the_address() {
        let hub = Hub::at(parse_address("http://127.0.0.1:8080").expect("an address"));
        let url = hub.0.url(&["v1", "uploads", "a/../b c?.mp4"]);
        assert_eq!(url.as_str(), "http://127.0.0.1:8080/v1/uploads/a%2F..%2Fb%20c%3F.mp4");
    }
}
