//! One job without a queue: read from standard input, told on standard output, on the same path as any other.

use std::io::BufRead as _;

use reelmill_api::{AttemptId, Failure, Task};
use reelmill_daemon::Shutdown;
use tokio_util::sync::CancellationToken;

use crate::{
    admission::Seats,
    attempt::Attempt,
    config::Config,
    events::{Audience, Teller},
    lease::Fence,
    pulse::Pulse,
    setup,
    worker::random,
};

/// The longest job that is read.
const LONGEST_JOB: u64 = 64 << 10;

/// Does the job on standard input; whether its output was published.
///
/// # Errors
/// If there is no job to be read, or this machine cannot work.
pub async fn run(config: &Config, shutdown: &Shutdown) -> anyhow::Result<bool> {
    let task = read_task().map_err(setup::error)?;
    shutdown.also_on_stdin_eof();
    let gateway = CancellationToken::new();
    let workshop = setup::workshop(config, setup::presets(config)?, gateway.clone()).await?;
    let id = AttemptId::new(1, random());
    let teller = Teller::new(Audience::Stdout, task.job, id.clone(), workshop.node.clone());
    teller.started().await;
    let (cancel, pulse, fence) = (shutdown.graceful().clone(), Pulse::default(), Fence::default());
    let seat = Seats::new(1, setup::node(config)?).free().await.map_err(setup::error)?;
    let attempt = Attempt { workshop: &workshop, task: &task, id, cancel, pulse, fence, seat: &seat };
    let result = tokio::select! {
        result = attempt.run(|progress| teller.note(progress)) => result,
        () = teller.tell_progress() => unreachable!("progress is told for as long as the teller lives"),
    };
    gateway.cancel();
    match &result {
        Ok(report) => teller.done(report).await,
        Err(failure) => teller.failed(failure, None).await,
    };
    Ok(result.is_ok())
}

fn read_task() -> Result<Task, Failure> {
    let mut line = Vec::new();
    let read = std::io::Read::take(std::io::stdin().lock(), LONGEST_JOB).read_until(b'\n', &mut line);
    read.map_err(|e| Failure::new(reelmill_api::ErrorKind::Infrastructure, format!("cannot read the job: {e}")))?;
    Task::from_message(&line, "standard input", "1")
}
