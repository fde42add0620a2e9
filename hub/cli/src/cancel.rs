//! `reelmill cancel`: jobs that nobody wants any more.

use reelmill_api::JobId;
use url::Url;

use crate::{
    exit::{DONE, FAILED},
    hub::{Hub, parse_address},
    screen::{self, Screen, json_line},
    submit::DEFAULT_HUB,
};

/// Call jobs off, whether they wait or run; nothing of them is published.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The jobs
    #[arg(required = true, value_name = "JOB")]
    jobs: Vec<JobId>,
    /// The hub's address
    #[arg(long, value_name = "URL", default_value = DEFAULT_HUB, value_parser = parse_address)]
    hub: Url,
    /// Print what the hub's API says, each job as one line of JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command and returns its exit code. One job that cannot be canceled does not spare the others.
pub(crate) async fn run(args: Args, screen: &Screen) -> u8 {
    let hub = Hub::at(args.hub);
    let mut code = DONE;
    for job in args.jobs {
        match hub.cancel(job).await {
            Ok(job) if args.json => screen::print(&json_line(&job)),
            Ok(job) => screen::print(&format!("job {}: {}\n", job.id, job.state.as_str())),
            Err(error) => {
                screen.error(&*error);
                code = FAILED;
            }
        }
    }
    code
}
