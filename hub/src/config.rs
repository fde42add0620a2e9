//! The hub's configuration: a TOML file, over it the environment, over both the command line.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use anyhow::Context;
use reelmill_api::{QueueName, S3Location};
use reelmill_daemon::{Env, Hinted, SecretRef, http::require_loopback, load_toml};
use serde::Deserialize;
use url::Url;

/// Where the hub listens unless told otherwise.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7700);
/// Most stores take any region; this is the one that they expect to be signed for.
const DEFAULT_REGION: &str = "us-east-1";
const DEFAULT_INPUT_BUCKET: &str = "media-ingest";
const DEFAULT_OUTPUT_BUCKET: &str = "media-output";

/// What may stand in the file. A key that is not here is refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the API and the page are served; a loopback address.
    pub listen: SocketAddr,
    /// The folder of the database, and of whatever is embedded.
    pub data: Option<PathBuf>,
    /// The queue server; without it, an embedded queue. May be a secret reference. `QUEUE_URL`.
    pub queue_url: Option<SecretRef>,
    /// The farm's queue. `QUEUE_NAME`.
    pub queue_name: QueueName,
    /// The S3 store; without it, an embedded store. `S3_ENDPOINT_URL`.
    pub s3_endpoint_url: Option<Url>,
    /// The store's region. `AWS_REGION`.
    pub aws_region: String,
    /// The access key. `AWS_ACCESS_KEY_ID`.
    pub aws_access_key_id: Option<SecretRef>,
    /// The secret key. `AWS_SECRET_ACCESS_KEY`.
    pub aws_secret_access_key: Option<SecretRef>,
    /// The token that comes with temporary keys. `AWS_SESSION_TOKEN`.
    pub aws_session_token: Option<SecretRef>,
    /// A PEM file with the store's certificate authorities. `AWS_CA_BUNDLE`.
    pub aws_ca_bundle: Option<PathBuf>,
    /// Where uploads go. `INPUT_BUCKET`.
    pub input_bucket: String,
    /// Where output goes unless a job says otherwise. `OUTPUT_BUCKET`.
    pub output_bucket: String,
    /// Folders whose files the hub may show, for jobs with a `file://` output.
    pub file_roots: Vec<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: DEFAULT_LISTEN,
            data: None,
            queue_url: None,
            queue_name: QueueName::default(),
            s3_endpoint_url: None,
            aws_region: DEFAULT_REGION.to_owned(),
            aws_access_key_id: None,
            aws_secret_access_key: None,
            aws_session_token: None,
            aws_ca_bundle: None,
            input_bucket: DEFAULT_INPUT_BUCKET.to_owned(),
            output_bucket: DEFAULT_OUTPUT_BUCKET.to_owned(),
            file_roots: Vec::new(),
        }
    }
}

/// What the command line says over it.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Where to listen.
    pub listen: Option<SocketAddr>,
    /// The data folder.
    pub data: Option<PathBuf>,
}

impl Config {
    /// The configuration of this process, checked.
    ///
    /// # Errors
    /// What is wrong: with line and column in the file, or by the variable's name.
    pub fn load(file: Option<&Path>, mut env: Env, over: Overrides) -> anyhow::Result<Self> {
        let mut config = match file {
            Some(file) => load_toml(file)?,
            None => Self::default(),
        };
        config.read_environment(&mut env);
        config.listen = over.listen.unwrap_or(config.listen);
        config.data = over.data.or(config.data);
        config.check(&mut env);
        env.finish().context("the configuration cannot be used")?;
        require_loopback(config.listen)?;
        Ok(config)
    }

    /// The data folder.
    ///
    /// # Errors
    /// If none is named.
    pub fn data(&self) -> anyhow::Result<&Path> {
        let none = || Hinted::new("no data folder is named", "give `--data DIR`, or `data = \"/path\"` in the file");
        Ok(self.data.as_deref().ok_or_else(none)?)
    }

    fn read_environment(&mut self, env: &mut Env) {
        env.secret("QUEUE_URL", &mut self.queue_url);
        if let Some(name) = env.text("QUEUE_NAME") {
            match QueueName::try_from(name) {
                Ok(name) => self.queue_name = name,
                Err(e) => env.mistake(format!("QUEUE_NAME: {e}")),
            }
        }
        env.read_hidden("S3_ENDPOINT_URL", &mut self.s3_endpoint_url, "a URL such as http://127.0.0.1:9000");
        env.read("AWS_REGION", &mut self.aws_region);
        env.secret("AWS_ACCESS_KEY_ID", &mut self.aws_access_key_id);
        env.secret("AWS_SECRET_ACCESS_KEY", &mut self.aws_secret_access_key);
        env.secret("AWS_SESSION_TOKEN", &mut self.aws_session_token);
        env.read_some("AWS_CA_BUNDLE", &mut self.aws_ca_bundle);
        env.read("INPUT_BUCKET", &mut self.input_bucket);
        env.read("OUTPUT_BUCKET", &mut self.output_bucket);
    }

    /// What no single setting shows.
    fn check(&self, env: &mut Env) {
        for (name, bucket) in [("input_bucket", &self.input_bucket), ("output_bucket", &self.output_bucket)] {
            if let Err(e) = S3Location::new(bucket, "") {
                env.mistake(format!("{name} ({}): {e}", name.to_uppercase()));
            }
        }
        if let Some(url) = &self.s3_endpoint_url {
            if !matches!(url.scheme(), "http" | "https") {
                env.mistake("S3_ENDPOINT_URL must start with http:// or https://");
            }
            let keys = [
                ("AWS_ACCESS_KEY_ID", &self.aws_access_key_id),
                ("AWS_SECRET_ACCESS_KEY", &self.aws_secret_access_key),
            ];
            for (name, _) in keys.into_iter().filter(|(_, key)| key.is_none()) {
                env.mistake(format!("S3_ENDPOINT_URL is set and {name} is not: the store needs both keys"));
            }
        }
        if self.s3_endpoint_url.is_none() && self.queue_url.is_some() {
            env.mistake("a queue is set and no store: set S3_ENDPOINT_URL and its keys too, or neither");
        }
        if self.s3_endpoint_url.is_some() && self.queue_url.is_none() {
            env.mistake("a store is set and no queue: set QUEUE_URL too, or neither");
        }
        for root in self.file_roots.iter().filter(|root| !root.is_absolute()) {
            env.mistake(format!("file_roots: {} is not an absolute path", root.display()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn load(toml: &str, env: &[(&str, &str)]) -> Result<Config, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("hub.toml");
        fs::write(&file, toml).expect("a file");
        let env = Env::from_pairs(env.iter().copied());
        Config::load(Some(&file), env, Overrides::default()).map_err(|e| reelmill_daemon::report::render(&*e))
    }

    fn refused(toml: &str, env: &[(&str, &str)], parts: &[&str]) {
        let error = load(toml, env).expect_err("a mistake");
        for part in parts {
            assert!(error.contains(part), "{part} in {error}");
        }
    }

    #[test]
    fn nothing_configured_means_everything_embedded_on_loopback() {
        let config = load("", &[]).expect("defaults");
        assert!(config.queue_url.is_none() && config.s3_endpoint_url.is_none() && config.listen.ip().is_loopback());
        assert_eq!((config.input_bucket.as_str(), config.output_bucket.as_str()), ("media-ingest", "media-output"));
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let env = [
            ("QUEUE_URL", "redis://:hunter2@hub:6379"),
            ("QUEUE_NAME", "films"),
            ("S3_ENDPOINT_URL", "http://store:9000"),
            ("AWS_ACCESS_KEY_ID", "AK"),
            ("AWS_SECRET_ACCESS_KEY", "hunter3"),
            ("OUTPUT_BUCKET", "ladders"),
        ];
        let config = load("queue_name = \"other\"\ninput_bucket = \"ingest\"", &env).expect("a configuration");
        let got = (config.queue_name.as_str(), config.input_bucket.as_str(), config.output_bucket.as_str());
        assert_eq!(got, ("films", "ingest", "ladders"));
        let shown = format!("{config:?}");
        assert!(!shown.contains("hunter"), "{shown}");
    }

    #[test]
    fn tells_every_mistake_and_where() {
        refused("queue_nmae = \"x\"", &[], &["hub.toml:1:1", "queue_nmae", "queue_name"]);
        refused("queue_name = \"a b\"", &[], &["hub.toml:1:14", "cannot name a queue"]);
        refused("", &[("QUEUE_NAME", "a b"), ("INPUT_BUCKET", "X")], &["QUEUE_NAME", "INPUT_BUCKET", "2 mistakes"]);
        refused("", &[("QUEUE_URL", "redis://h:hunter2@x")], &["S3_ENDPOINT_URL"]);
        refused(
            "",
            &[("S3_ENDPOINT_URL", "http://s:9000")],
            &["QUEUE_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"],
        );
        refused("listen = \"0.0.0.0:80\"", &[], &["0.0.0.0:80", "hint:"]);
        refused("listen = \"[::]:80\"", &[], &["hint:"]);
        refused("file_roots = [\"films\"]", &[], &["absolute"]);
    }
}
