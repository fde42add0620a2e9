//! `reelmill up`: the whole farm on this machine until Ctrl-C.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::value_parser;
use reelmill_daemon::Shutdown;

use crate::{
    addresses::Addresses,
    exit::DONE,
    farm::Farm,
    screen::{self, Screen},
    submit::DEFAULT_HUB,
    transcode::DEFAULT_PRESET,
};

/// Run the whole farm on this machine, with no server to install.
///
/// It starts reelmill-hub, with a store, a database and a queue in DIR, and one reelmill-worker, and starts again what
/// dies. It can be reached from this machine only.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The folder for all data
    #[arg(default_value = "./reelmill-data")]
    dir: PathBuf,
    /// The port of the page and the API; without it 8080, or a free one if that is taken
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..))]
    port: Option<u16>,
}

const EXAMPLES: &str = "\
Examples:
  reelmill up
  reelmill up /srv/reelmill --port 9000
  HWACCEL=cuda REELMILL_LOG=info reelmill up

Ctrl-C or SIGTERM stops it: the worker hands back what it does and takes it up at the next start.";

/// Runs the command and returns its exit code.
pub(crate) async fn run(args: Args, screen: &Screen) -> anyhow::Result<u8> {
    let shutdown = Shutdown::on_signals().context("cannot catch signals")?;
    let mut farm = Farm::start(&args.dir, args.port, screen, &shutdown).await?;
    let data = args.dir.canonicalize().unwrap_or(args.dir);
    screen::print(&welcome(&farm.addresses, &data));
    let broken = tokio::select! {
        () = shutdown.graceful().cancelled() => None,
        error = farm.broken() => Some(error),
    };
    if broken.is_none() {
        screen.note("stopping; Ctrl-C again to stop at once");
    }
    farm.stop().await;
    broken.map_or(Ok(DONE), Err)
}

/// What is told of a farm that is up.
fn welcome(at: &Addresses, data: &Path) -> String {
    let api = at.api.as_str().trim_end_matches('/');
    let hub = if api == DEFAULT_HUB { String::new() } else { format!(" --hub {api}") };
    format!(
        "\
reelmill is up, on this machine only; Ctrl-C stops it

  page   {api}/
  API    {api}/v1/jobs
  store  {store} (S3; its keys lie in {data}/keys)
  data   {data}

submit a video:

  reelmill submit video.mp4{hub}

or with any HTTP client, an upload and then a job with the location that the upload answers:

  curl -T video.mp4 {api}/v1/uploads/video.mp4
  curl {api}/v1/jobs -H 'content-type: application/json' -d '{{\"input\":\"s3://{bucket}/…\",\"preset\":\"{DEFAULT_PRESET}\"}}'

",
        store = at.store,
        data = data.display(),
        bucket = at.input_bucket,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(api: &str, want: &str) {
        let addresses = serde_json::json!({
            "api": api, "store": "http://127.0.0.1:9001", "queue": "sqlite:///d/q", "queue_name": "reelmill",
            "input_bucket": "media-ingest", "output_bucket": "media-output",
            "keys": {"access_key": "file:/d/keys/access_key", "secret_key": "file:/d/keys/secret_key"},
        });
        let addresses = serde_json::from_value(addresses).expect("addresses");
        assert_eq!(welcome(&addresses, Path::new("/d")), want);
    }

    #[test]
    fn tells_the_addresses_and_how_to_submit() {
        check(
            "http://127.0.0.1:9000",
            "\
reelmill is up, on this machine only; Ctrl-C stops it

  page   http://127.0.0.1:9000/
  API    http://127.0.0.1:9000/v1/jobs
  store  http://127.0.0.1:9001 (S3; its keys lie in /d/keys)
  data   /d

submit a video:

  reelmill submit video.mp4 --hub http://127.0.0.1:9000

or with any HTTP client, an upload and then a job with the location that the upload answers:

  curl -T video.mp4 http://127.0.0.1:9000/v1/uploads/video.mp4
  curl http://127.0.0.1:9000/v1/jobs -H 'content-type: application/json' -d '{\"input\":\"s3://media-ingest/…\",\"preset\":\"hls-ladder\"}'

",
        );
    }

    #[test]
    fn the_usual_hub_need_not_be_named() {
        let at = serde_json::json!({
            "api": DEFAULT_HUB, "store": "http://127.0.0.1:9001", "queue": "q", "queue_name": "q", "input_bucket": "b",
            "output_bucket": "c", "keys": {"access_key": "a", "secret_key": "b"},
        });
        let at = serde_json::from_value(at).expect("addresses");
        assert!(welcome(&at, Path::new("/d")).contains("\n  reelmill submit video.mp4\n"));
    }
}
