//! `reelmill submit`: one job for a farm that is up.

use anyhow::Context;
use clap::builder::{OsStringValueParser, TypedValueParser};
use reelmill_api::{JobRequest, Location, PresetName, Priority, preset::Settings};
use reelmill_daemon::Shutdown;
use url::Url;

use crate::{
    exit::{DONE, FAILED},
    hub::{Hub, parse_address},
    job,
    place::Place,
    render,
    screen::{self, Screen},
    transcode::{DEFAULT_PRESET, settings},
};

/// Where `reelmill up` listens unless told otherwise.
pub(crate) const DEFAULT_HUB: &str = "http://127.0.0.1:8080";

/// Submit one source to a farm and follow the job to its end.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The source: a path, which is uploaded, s3://bucket/key in the farm's store, or a live srt://, rtmp:// or rtsp://
    /// address
    #[arg(value_parser = OsStringValueParser::new().try_map(Place::parse))]
    src: Place,
    /// The hub's address
    #[arg(long, value_name = "URL", default_value = DEFAULT_HUB, value_parser = parse_address)]
    hub: Url,
    /// The recipe
    #[arg(long, value_name = "NAME", default_value = DEFAULT_PRESET)]
    preset: PresetName,
    /// Changes to the recipe for this job, as JSON with its own keys, e.g. '{"video":{"effort":"slow"}}'
    #[arg(long, value_name = "JSON", default_value = "{}", hide_default_value = true, value_parser = settings)]
    settings: Settings,
    /// Return as soon as the hub has taken the job
    #[arg(long)]
    no_wait: bool,
}

const EXAMPLES: &str = "\
Examples:
  reelmill submit holiday.mov
  reelmill submit s3://media-ingest/a.mp4 --hub http://127.0.0.1:8080 --no-wait
  reelmill submit 'srt://0.0.0.0:9000?mode=listener' --preset live-hls

Ctrl-C stops following; the job goes on.";

/// Runs the command and returns its exit code.
pub(crate) async fn run(args: Args, screen: &Screen) -> anyhow::Result<u8> {
    let shutdown = Shutdown::on_signals().context("cannot catch signals")?;
    tokio::select! {
        ended = submit(args, screen) => ended,
        () = shutdown.graceful().cancelled() => {
            screen.note("no longer following; a job that was submitted goes on");
            Ok(FAILED)
        }
    }
}

async fn submit(args: Args, screen: &Screen) -> anyhow::Result<u8> {
    let hub = Hub::at(args.hub);
    let source = args.src.as_source()?.location;
    let input = match &source {
        Location::S3(_) | Location::Stream(_) => source,
        Location::File(file) => {
            screen.note(&format!("uploading {}", render::place(&source)));
            hub.upload_file(file.path()).await?
        }
    };
    let job = hub.submit(&JobRequest { settings: args.settings, ..request(input, args.preset) }).await?;
    screen::print(&format!("job {}: {}\n", job.id, hub.page(job.id)));
    if args.no_wait {
        return Ok(DONE);
    }
    let heading = format!("transcoding {} by {}", render::place(&job.input), job.preset);
    Ok(job::tell_end(&job::follow(&hub, job.id, screen, &heading).await?, screen))
}

/// The plainest request for a source.
pub(crate) fn request(input: Location, preset: PresetName) -> JobRequest {
    JobRequest { input, preset, output: None, priority: Priority::Normal, settings: Settings::default(), id: None }
}
