//! The start of the program: settings, parts, the loop, the end.

use std::{
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use prometheus_client::registry::Registry;
use reelmill_api::{Failure, Location, Need, S3Location};
use reelmill_daemon::{Env, Metrics, Shutdown, http, notify, process, store::KeysError};
use reelmill_storage::Access;
use tokio_util::sync::CancellationToken;

use crate::{
    admission::Seats,
    attempt::Workshop,
    cli::{Cli, Command},
    config::Config,
    desk::{Desk, Identity},
    doctor,
    drain::{Drain, Signals},
    engine::capability::Facts,
    lanes::Lanes,
    notices::Notices,
    one,
    quiet::QuietLog,
    setup, status,
    worker::{Aside, Until, Worker},
};

/// Encoding happens elsewhere; two threads move bytes faster than any store takes them, and each further one costs memory.
const THREADS: usize = 2;
/// The depth of an attempt's futures, of which each frame of a debug build has tens of kilobytes. Only what is used of it costs
/// memory.
const STACK: usize = 8 << 20;

/// Does what the command line says.
///
/// # Errors
/// What keeps the program from working, for the terminal.
pub fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    process::hide().context("cannot hide this process from its children")?;
    let config = Config::load(cli.config.as_deref(), Env::from_process()).map_err(setup::config_error)?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(THREADS).thread_stack_size(STACK).enable_all().build()?;
    runtime.block_on(async {
        let shutdown = Shutdown::on_signals()?;
        match &cli.command {
            Some(Command::CheckConfig { settings_only: true, .. }) => {
                check_settings(&config).map(|()| ExitCode::SUCCESS)
            }
            Some(Command::CheckConfig { connect, .. }) => check(&config, *connect).await.map(|()| ExitCode::SUCCESS),
            Some(Command::Doctor { json, encoders }) => examine(&config, *json, *encoders).await,
            Some(Command::One) => Ok(ExitCode::from(u8::from(!one::run(&config, &shutdown).await?))),
            Some(Command::Confine(_)) => unreachable!("handled before the program starts"),
            None => work(&config, cli.drain, &shutdown).await.map(|()| ExitCode::SUCCESS),
        }
    })
}

async fn work(config: &Config, drain: bool, shutdown: &Shutdown) -> anyhow::Result<()> {
    // Before anybody can know that it is here: unheard, they would end it.
    let mut signals = Signals::new().context("cannot catch SIGUSR1 and SIGUSR2")?;
    shutdown.also_on_stdin_eof();
    let stop_serving = CancellationToken::new();
    let presets = setup::presets(config)?;
    let lanes = setup::lanes(config, &presets)?;
    let standstill = setup::standstill(config)?;
    let node = setup::node(config)?;
    let draining = Arc::new(if drain { Drain::default() } else { Drain::of(&node) });
    let seats = Seats::new(config.concurrency.get(), node);
    let queue = setup::queue(config).await?;
    let workshop = setup::workshop(config, presets, stop_serving.clone()).await?;
    let facts = facts(&workshop, &lanes).await;
    let lanes = able(lanes, &workshop, &facts)?;
    let mut registry = Registry::default();
    let identity = Identity {
        node: config.node.clone(),
        engines: facts.engines(),
        capabilities: facts.encodes.clone(),
        presets: lanes.served().to_vec(),
        concurrency: config.concurrency.get(),
    };
    let desk = Desk::new(identity, &mut registry);
    http::require_loopback(config.status.listen)?;
    let listener = http::bind(config.status.listen).await?;
    log::info!("engine: {}; status at http://{}/status", facts.engines().join(", "), listener.local_addr()?);
    let serving = tokio::spawn(http::serve(
        listener,
        status::router(desk.clone(), draining.clone(), &Metrics::new(registry)),
        stop_serving.clone(),
    ));
    let watchdog = tokio::spawn(notify::watchdog(|| true, stop_serving.clone()));
    let worker = Arc::new(Worker {
        workshop,
        queue,
        quiet: Arc::new(QuietLog::default()),
        lanes,
        aside: Aside::default(),
        desk: desk.clone(),
        notices: Notices::default(),
        lease: Duration::from_secs(config.queue.lease_seconds.get().into()),
        standstill,
        seats,
        drain_deadline: Duration::from_secs(config.drain.deadline_seconds.into()),
        drain: draining,
    });
    notify::ready();
    let began = Instant::now();
    let emptied = worker.run(if drain { Until::Empty } else { Until::Stopped }, &mut signals, shutdown).await;
    notify::stopping();
    let end = desk.end_of_work(if emptied { "drained in" } else { "stopped after" }, began.elapsed());
    notify::status(&end);
    log::info!("{end}");
    stop_serving.cancel();
    watchdog.await?;
    Ok(serving.await??)
}

/// What is proven of this node for the presets that it is to serve.
async fn facts(workshop: &Workshop, lanes: &Lanes) -> Facts {
    let served = lanes.served().iter().filter_map(|name| workshop.presets.get(name));
    let needs: Vec<_> = served.flat_map(Need::of_preset).collect();
    let facts = workshop.prover.facts_for(&needs).await;
    for fact in &facts.encodes {
        log::info!("proven: {fact}");
    }
    for refusal in &facts.refusals {
        log::info!("not proven: {} by {}: {}", refusal.need, refusal.engine.name(), refusal.why);
    }
    facts
}

/// The lanes that this node can serve; those that it cannot are told.
fn able(lanes: Lanes, workshop: &Workshop, facts: &Facts) -> anyhow::Result<Lanes> {
    let (able, unable) = lanes.able(&workshop.presets, facts);
    for (preset, failure) in &unable {
        log::warn!("not served: {preset}: {}", failure.lines());
    }
    match unable.into_iter().next() {
        Some((preset, failure)) if able.served().is_empty() => {
            let failure = Failure { message: format!("cannot serve preset {preset}: {}", failure.message), ..failure };
            Err(setup::error(failure))
        }
        _ => Ok(able),
    }
}

async fn examine(config: &Config, json: bool, encoders: bool) -> anyhow::Result<ExitCode> {
    let diagnosis = doctor::diagnose(config, encoders).await;
    if json {
        println!("{}", serde_json::to_string_pretty(&diagnosis)?);
    } else {
        print!("{diagnosis}");
    }
    Ok(if diagnosis.works { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What can be said of settings on any machine.
fn check_settings(config: &Config) -> anyhow::Result<()> {
    // Presets of the owner's own may be on the worker's machine only, and whatever is chosen may be one of them.
    if config.preset_folder.as_ref().is_none_or(|folder| folder.exists()) {
        setup::lanes(config, &setup::presets(config)?)?;
    }
    http::require_loopback(config.status.listen)?;
    setup::spool(&config.media)?;
    setup::standstill(config)?;
    match config.store.keys() {
        Ok(_) | Err(KeysError::CannotResolve { .. }) => {}
        Err(e) => return Err(e.into()),
    }
    println!("the settings can be used");
    Ok(())
}

async fn check(config: &Config, connect: bool) -> anyhow::Result<()> {
    let presets = setup::presets(config)?;
    let lanes = setup::lanes(config, &presets)?;
    http::require_loopback(config.status.listen)?;
    setup::programs(&config.media)?;
    setup::spool(&config.media)?;
    setup::standstill(config)?;
    let storage = setup::storage(config)?;
    let names: Vec<_> = lanes.served().iter().map(ToString::to_string).collect();
    println!("presets: {}", names.join(", "));
    if connect {
        let queue = setup::queue(config).await?;
        queue.depth(&config.queue.name.intake()).await.map_err(setup::queue_error)?;
        println!("queue: answers");
        for (bucket, access) in
            [(&config.store.input_bucket, Access::Read), (&config.store.output_bucket, Access::Write)]
        {
            let Some(bucket) = bucket else { continue };
            let at = Location::S3(S3Location::new(bucket, "")?);
            let report = storage.check(&at, access).await.map_err(|e| setup::error(e.into()))?;
            println!("{at}: answers{}", if report.conditional_put { ", keeps conditional puts" } else { "" });
        }
    }
    println!("the configuration can be used");
    Ok(())
}
