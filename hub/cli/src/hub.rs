//! The hub's API as this command line uses it: health, uploads, jobs and their events.

use std::path::Path;

use anyhow::Context;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use reelmill_api::{JobId, JobRequest, Location, job::Job};
use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;
use url::Url;

use crate::{client::Client, sse::SseParser};

/// How much of a file is read at once.
const PART: usize = 256 * 1024;
/// The name of the events that carry a job.
const JOB_EVENT: &str = "job";

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
