//! `hub.json`: where a hub that is ready can be reached, as the hub itself writes it into its data folder.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use anyhow::Context;
use reelmill_api::NodeId;
use reelmill_daemon::store;
use serde::Deserialize;
use tokio::process::Command;
use url::Url;

/// The file's name in the data folder.
const FILE: &str = "hub.json";

/// Variables that speak of another store or queue than the farm's own; a program of the farm must not see them, nor those
/// of the store's settings.
const FOREIGN: [&str; 6] =
    ["QUEUE_URL", "QUEUE_NAME", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_CA_BUNDLE"];

/// Where a hub and its store and queue are. The keys are references, not secrets.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Addresses {
    /// The page and the API.
    pub(crate) api: Url,
    /// The S3 store.
    pub(crate) store: String,
    /// The queue.
    pub(crate) queue: String,
    /// The queue's name.
    pub(crate) queue_name: String,
    /// Where uploads go.
    pub(crate) input_bucket: String,
    /// Where output goes.
    pub(crate) output_bucket: String,
    /// References to the store's keys.
    pub(crate) keys: Keys,
    /// The hub's own broker, if it brings one.
    #[serde(default)]
    pub(crate) fleet: Option<Fleet>,
    /// Where nodes ask to be taken in, if the hub takes any in.
    #[serde(default)]
    pub(crate) door: Option<String>,
}

/// Where the hub's own broker is, and an operator's identity there.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Fleet {
    /// `HOST:PORT`.
    pub(crate) broker: String,
    /// Who vouches for the broker.
    pub(crate) ca: PathBuf,
    /// An operator's certificate.
    pub(crate) cert: PathBuf,
    /// Its key.
    pub(crate) key: PathBuf,
    /// The node on this machine.
    #[serde(default)]
    pub(crate) node: Option<Node>,
}

/// The identity of the node on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Node {
    /// Its name.
    pub(crate) name: NodeId,
    /// Its certificate.
    pub(crate) cert: PathBuf,
    /// Its key.
    pub(crate) key: PathBuf,
}

/// References to the store's keys.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Keys {
    /// The access key.
    pub(crate) access_key: String,
    /// The secret key.
    pub(crate) secret_key: String,
}

/// Which `hub.json` lies there: a hub replaces the file, so one that an earlier hub left is known by this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edition(Option<(u64, i64, i64)>);

impl Edition {
    /// The one in that data folder now.
    pub(crate) fn of(data: &Path) -> Self {
        let meta = fs::metadata(data.join(FILE));
        Self(meta.ok().map(|m| (m.ino(), m.mtime(), m.mtime_nsec())))
    }
}

impl Addresses {
    /// The addresses in that data folder; `None` while there are none but those of the `old` edition.
    pub(crate) fn read(data: &Path, old: Edition) -> anyhow::Result<Option<Self>> {
        let path: PathBuf = data.join(FILE);
        let now = Edition::of(data);
        if now == old || now.0.is_none() {
            return Ok(None);
        }
        match fs::read(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e).with_context(|| format!("cannot read {}", path.display())),
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .with_context(|| format!("{} is not what this version understands", path.display())),
        }
    }

    /// Tells a worker where it finds the farm's store and queue.
    pub(crate) fn tell(&self, command: &mut Command) {
        forget_others(command);
        command
            .env("QUEUE_URL", &self.queue)
            .env("QUEUE_NAME", &self.queue_name)
            .env("INPUT_BUCKET", &self.input_bucket)
            .env("OUTPUT_BUCKET", &self.output_bucket)
            .env("S3_ENDPOINT_URL", &self.store)
            .env("AWS_ACCESS_KEY_ID", &self.keys.access_key)
            .env("AWS_SECRET_ACCESS_KEY", &self.keys.secret_key)
            .env("PRESET", "all")
            .env("CONCURRENCY", "1")
            // Who stops a farm waits for that: its worker hands back what it does at once.
            .env("DRAIN_DEADLINE_SECONDS", "0");
        if std::env::var_os("STATUS_LISTEN").is_none() {
            // Its usual port may be another farm's on this machine.
            command.env("STATUS_LISTEN", "127.0.0.1:0");
        }
    }
}

/// Takes from a child what its environment says of stores and queues that are not the farm's.
pub(crate) fn forget_others(command: &mut Command) {
    for name in FOREIGN.iter().chain(&store::VARIABLES) {
        command.env_remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programs::Program;

    const TEXT: &str = r#"{"api":"http://127.0.0.1:8080","store":"http://127.0.0.1:9","queue":"sqlite:///d/queue.sqlite",
        "queue_name":"reelmill","input_bucket":"media-ingest","output_bucket":"media-output",
        "keys":{"access_key":"file:/d/keys/access_key","secret_key":"file:/d/keys/secret_key"},"newer":1}"#;

    #[test]
    fn addresses_that_an_earlier_hub_left_are_not_taken() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path();
        let put = |text: &str| {
            fs::write(data.join("new"), text).expect("our folder");
            fs::rename(data.join("new"), data.join(FILE)).expect("our folder");
        };
        let none = Edition::of(data);
        assert_eq!(Addresses::read(data, none).expect("nothing there"), None);
        put(TEXT);
        let first = Edition::of(data);
        assert_eq!(Addresses::read(data, first).expect("old"), None);
        let found = Addresses::read(data, none).expect("new").expect("new");
        assert_eq!(found.api.as_str(), "http://127.0.0.1:8080/");
        fs::remove_file(data.join(FILE)).expect("our file");
        assert_eq!(Addresses::read(data, first).expect("withdrawn"), None);
        put("{}");
        let error = Addresses::read(data, first).expect_err("no addresses");
        assert!(
            format!("{error:#}").contains("hub.json is not what this version understands: missing field"),
            "{error:#}"
        );
    }

    #[test]
    fn a_worker_is_told_of_this_farm_only_and_given_no_secret() {
        let addresses: Addresses = serde_json::from_str(TEXT).expect("addresses");
        let mut command = Program::shell().command();
        addresses.tell(&mut command);
        let mut told: Vec<String> = command
            .as_std()
            .get_envs()
            .map(|(key, value)| (key.to_string_lossy(), value.map(|v| v.to_string_lossy())))
            .filter(|(key, _)| !key.ends_with("_LOG"))
            .map(|(key, value)| format!("{key}={}", value.unwrap_or("(removed)".into())))
            .collect();
        told.sort();
        assert_eq!(
            told,
            [
                "AWS_ACCESS_KEY_ID=file:/d/keys/access_key",
                "AWS_CA_BUNDLE=(removed)",
                "AWS_ENDPOINT_URL=(removed)",
                "AWS_ENDPOINT_URL_S3=(removed)",
                "AWS_PROFILE=(removed)",
                "AWS_REGION=(removed)",
                "AWS_SECRET_ACCESS_KEY=file:/d/keys/secret_key",
                "AWS_SESSION_TOKEN=(removed)",
                "CONCURRENCY=1",
                "DRAIN_DEADLINE_SECONDS=0",
                "INPUT_BUCKET=media-ingest",
                "OUTPUT_BUCKET=media-output",
                "PRESET=all",
                "QUEUE_NAME=reelmill",
                "QUEUE_URL=sqlite:///d/queue.sqlite",
                "REELMILL_EXIT_ON_STDIN_EOF=1",
                "S3_CA_FILE=(removed)",
                "S3_ENDPOINT_URL=http://127.0.0.1:9",
                "S3_PATH_STYLE=(removed)",
                "S3_STALL_SECONDS=(removed)",
                "STATUS_LISTEN=127.0.0.1:0",
            ]
        );
    }
}
