//! `reelmill stop`: the end of a live job.

use anyhow::Context;
use reelmill_api::{JobId, job::Job};
use reelmill_daemon::Shutdown;
use url::Url;

use crate::{
    exit::{DONE, FAILED},
    hub::{Hub, parse_address},
    job, render,
    screen::{self, Screen},
    submit::DEFAULT_HUB,
};

/// End a live job; what was sent until then stays playable.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The job
    job: JobId,
    /// The hub's address
    #[arg(long, value_name = "URL", default_value = DEFAULT_HUB, value_parser = parse_address)]
    hub: Url,
    /// Return as soon as the hub has taken the wish
    #[arg(long)]
    no_wait: bool,
}

/// Runs the command and returns its exit code.
pub(crate) async fn run(args: Args, screen: &Screen) -> anyhow::Result<u8> {
    let shutdown = Shutdown::on_signals().context("cannot catch signals")?;
    tokio::select! {
        ended = stop(args, screen) => ended,
        () = shutdown.graceful().cancelled() => {
            screen.note("no longer following; the job ends nevertheless");
            Ok(FAILED)
        }
    }
}

async fn stop(args: Args, screen: &Screen) -> anyhow::Result<u8> {
    let hub = Hub::at(args.hub);
    let job: Job = hub.stop(args.job).await?;
    screen::print(&format!("job {}: {}\n", job.id, hub.page(job.id)));
    if args.no_wait {
        return Ok(DONE);
    }
    let heading = format!("ending {}", render::place(&job.input));
    Ok(job::tell_end(&job::follow(&hub, job.id, screen, &heading).await?, screen))
}
