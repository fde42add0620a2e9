//! `reelmill up`: the whole farm on this machine until Ctrl-C.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::value_parser;
use reelmill_daemon::Shutdown;

use crate::{
    addresses::Addresses,
    agent,
    exit::DONE,
    farm::{Extent, Farm},
    screen::{self, Screen},
    submit::DEFAULT_HUB,
    transcode::DEFAULT_PRESET,
};

/// Run the whole farm on this machine, with no server to install.
///
/// It starts reelmill-hub, with a store, a database, a queue and a broker in DIR, one reelmill-worker, and one
/// reelmill-agent that makes a node of this machine, and starts again what dies. It can be reached from this machine
/// only, unless FLEET_ENROL and FLEET_LISTEN say that further nodes may come in.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The folder for all data
    #[arg(default_value = "./reelmill-data")]
    dir: PathBuf,
    /// The port of the page and the API; without it 8080, or one near it if that is taken
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..))]
    port: Option<u16>,
}

const EXAMPLES: &str = "\
Examples:
  reelmill up
  reelmill up /srv/reelmill --port 9000
  HWACCEL=cuda REELMILL_LOG=info reelmill up
  FLEET_ENROL=0.0.0.0:7443 FLEET_LISTEN=0.0.0.0:8883 FLEET_NAMES=10.0.0.2 reelmill up   takes further nodes in

Ctrl-C or SIGTERM stops it: the worker hands back what it does and takes it up at the next start.";

/// Runs the command and returns its exit code.
pub(crate) async fn run(args: Args, screen: &Screen) -> anyhow::Result<u8> {
    let shutdown = Shutdown::on_signals().context("cannot catch signals")?;
    let mut farm = Farm::start(&args.dir, args.port, Extent::Fleet, screen, &shutdown).await?;
    let data = args.dir.canonicalize().unwrap_or(args.dir);
    screen::print(&welcome(&farm.addresses, farm.node_page.as_deref(), &data));
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
fn welcome(at: &Addresses, page: Option<&str>, data: &Path) -> String {
    let api = at.api.as_str().trim_end_matches('/');
    let hub = if api == DEFAULT_HUB { String::new() } else { format!(" --hub {api}") };
    let node = page.zip(at.fleet.as_ref().and_then(|fleet| fleet.node.as_ref()));
    let (node, send) = node.map_or_else(Default::default, |(page, node)| {
        let settings = data.join(agent::SETTINGS);
        let line = format!("\n  node   {page} ({}; all of them: {api}/nodes)", node.name);
        let send = format!("  reelmill send {} ping --settings {}\n\n", node.name, settings.display());
        (line, format!("command this machine:\n\n{send}"))
    });
    let join = at.door.as_ref().map_or_else(String::new, |door| {
        let token = format!("  reelmill-hub token join --data {} > join.toml", data.display());
        format!("let a further node in, which asks at {door}:\n\n{token}\n\n")
    });
    let only = if at.door.is_some() { "" } else { ", on this machine only" };
    format!(
        "\
reelmill is up{only}; Ctrl-C stops it

  page   {api}/
  API    {api}/v1/jobs{node}
  store  {store} (S3; its keys lie in {data}/keys)
  data   {data}

submit a video:

  reelmill submit video.mp4{hub}

or with any HTTP client, an upload and then a job with the location that the upload answers:

  curl -T video.mp4 {api}/v1/uploads/video.mp4
  curl {api}/v1/jobs -H 'content-type: application/json' -d '{{\"input\":\"s3://{bucket}/…\",\"preset\":\"{DEFAULT_PRESET}\"}}'

{send}{join}",
        store = at.store,
        data = data.display(),
        bucket = at.input_bucket,
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn addresses(api: &str, fleet: &Value) -> Addresses {
        let addresses = json!({
            "api": api, "store": "http://127.0.0.1:9001", "queue": "sqlite:///d/q", "queue_name": "reelmill",
            "input_bucket": "media-ingest", "output_bucket": "media-output", "fleet": fleet,
            "keys": {"access_key": "file:/d/keys/access_key", "secret_key": "file:/d/keys/secret_key"},
        });
        serde_json::from_value(addresses).expect("addresses")
    }

    #[test]
    fn tells_the_addresses_and_how_to_submit_and_to_command() {
        let fleet = json!({"broker": "127.0.0.1:8883", "ca": "/d/ca", "cert": "/d/c", "key": "/d/k",
            "node": {"name": "orin-3", "cert": "/d/n", "key": "/d/m"}});
        let at = addresses("http://127.0.0.1:9000", &fleet);
        assert_eq!(
            welcome(&at, Some("http://127.0.0.1:9310/"), Path::new("/d")),
            "\
reelmill is up, on this machine only; Ctrl-C stops it

  page   http://127.0.0.1:9000/
  API    http://127.0.0.1:9000/v1/jobs
  node   http://127.0.0.1:9310/ (orin-3; all of them: http://127.0.0.1:9000/nodes)
  store  http://127.0.0.1:9001 (S3; its keys lie in /d/keys)
  data   /d

submit a video:

  reelmill submit video.mp4 --hub http://127.0.0.1:9000

or with any HTTP client, an upload and then a job with the location that the upload answers:

  curl -T video.mp4 http://127.0.0.1:9000/v1/uploads/video.mp4
  curl http://127.0.0.1:9000/v1/jobs -H 'content-type: application/json' -d '{\"input\":\"s3://media-ingest/…\",\"preset\":\"hls-ladder\"}'

command this machine:

  reelmill send orin-3 ping --settings /d/operator.toml

",
        );
    }

    #[test]
    fn a_farm_with_a_door_tells_how_a_node_comes_in() {
        let at = addresses(DEFAULT_HUB, &Value::Null);
        let at = Addresses { door: Some("https://10.0.0.2:7443".to_owned()), ..at };
        let want = "\nlet a further node in, which asks at https://10.0.0.2:7443:\n\n  \
            reelmill-hub token join --data /d > join.toml\n\n";
        assert!(welcome(&at, None, Path::new("/d")).ends_with(want));
    }

    #[test]
    fn the_usual_hub_need_not_be_named_and_a_farm_without_an_agent_has_no_node() {
        let told = welcome(&addresses(DEFAULT_HUB, &Value::Null), None, Path::new("/d"));
        assert!(told.contains("\n  reelmill submit video.mp4\n"), "{told}");
        assert!(!told.contains("node") && !told.contains("reelmill send"), "{told}");
    }
}
