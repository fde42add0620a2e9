//! One attempt at a task, from the source to the published output: probe, plan, run, verify, publish. The conductor:
//! it knows all parts, and they do not know each other.

mod beside;
mod files;
mod made;
mod text;

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};

use reelmill_api::{
    AttemptId, ErrorKind, Failure, Location, MediaFacts, Preset, Progress, Report, Task, layout, preset::Presets,
    report::Timings,
};
use reelmill_storage::Storage;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use beside::Folder;
use made::Made;
use text::{Reader, Texts};

use crate::{
    admission::{Load, Seat},
    config::NvencPreset,
    engine::{self, EngineKind, Programs, capability::needs_of, prove::Prover, sessions::Sessions},
    extras,
    gateway::{Counters, Gateway, Run, RunRequest},
    lease::Fence,
    live::Live,
    manifest,
    plan::{self, LadderPlan, Plan, Product},
    playlist, probe,
    publish::{self, Published, Unpublished},
    pulse::Pulse,
    spool::Spool,
    verify::{self, Verified, quality::Measured},
};

/// How long to wait, after a failure, for writes that are still under way: as long as a store may be silent, and far
/// within the time that a task may take to be handed back.
const LONGEST_QUIET: Duration = Duration::from_secs(10);

/// What every attempt works with.
pub struct Workshop {
    /// This node's name.
    pub node: String,
    /// Proves what this node encodes.
    pub prover: Prover,
    /// The effort of NVENC.
    pub nvenc_preset: NvencPreset,
    /// Encoder sessions of a GPU.
    pub sessions: Sessions,
    /// Known presets.
    pub presets: Presets,
    /// Where output goes that names no place.
    pub default_output: Option<Location>,
    /// Stores.
    pub storage: Storage,
    /// The loopback gateway.
    pub gateway: Gateway,
    /// Media programs.
    pub programs: Programs,
    /// Where single files are made.
    pub spool: Spool,
    /// Bytes that passed.
    pub counters: Arc<Counters>,
}

/// One attempt at a task.
pub struct Attempt<'a> {
    /// What it works with.
    pub workshop: &'a Workshop,
    /// The task.
    pub task: &'a Task,
    /// Its name.
    pub id: AttemptId,
    /// Calls it off.
    pub cancel: CancellationToken,
    /// What it tells of its getting on.
    pub pulse: Pulse,
    /// Whether it may still publish.
    pub fence: Fence,
    /// Where it sits on the node.
    pub seat: &'a Seat,
}

impl Workshop {
    /// The report of the output that a task already has.
    ///
    /// # Errors
    /// If it cannot be looked for.
    pub async fn published(&self, task: &Task) -> Result<Option<Report>, Failure> {
        publish::find(&self.storage, &self.destination(task)?, task.job).await
    }

    fn destination(&self, task: &Task) -> Result<Location, Failure> {
        if let Some(output) = &task.output {
            return Ok(output.clone());
        }
        let root = self.default_output.as_ref().ok_or_else(|| {
            Failure::new(ErrorKind::BadRequest, "the job names no output, and this worker has no output bucket")
                .hint("give the job an `output`, or set OUTPUT_BUCKET")
        })?;
        root.join(&layout::default_output(&task.job)).map_err(|e| Failure::new(ErrorKind::BadRequest, e.to_string()))
    }
}

impl Attempt<'_> {
    /// Does the work; the report of what is published in the end, by this attempt or an earlier one.
    ///
    /// # Errors
    /// Why nothing was published. What this attempt wrote has then been swept, unless it may be published all the same.
    pub async fn run(&self, on_progress: impl Fn(Progress)) -> Result<Report, Failure> {
        let destination = self.destination()?;
        let preset = self.preset()?;
        if preset.is_live() || self.task.input.is_live() {
            let Self { workshop, task, id, cancel, pulse, seat, .. } = self;
            let live = Live { workshop, task, id, destination: &destination, cancel, pulse, seat };
            // Its own allocation: together, the two kinds of attempt would be too much for a thread's stack.
            return Box::pin(live.run(&preset, on_progress)).await;
        }
        if let Some(report) = publish::find(&self.workshop.storage, &destination, self.task.job).await? {
            log::info!("job {} was published before, by attempt {}", self.task.job, report.attempt);
            publish::seal_found(&self.workshop.storage, &report).await?;
            // Whoever published it may have died before it swept, and those after it before they found it.
            publish::sweep_others(&self.workshop.storage, &destination, &report.attempt, self.id.number()).await;
            return Ok(report);
        }
        let furthest = AtomicU64::new(0);
        let on_progress = |progress: Progress| {
            self.pulse.reached(&furthest, progress.frame);
            on_progress(progress);
        };
        let made = Box::pin(self.make(&preset, &destination, on_progress)).await;
        self.pulse.beat();
        let storage = &self.workshop.storage;
        match &made {
            Ok(report) if report.attempt == self.id => {
                publish::sweep_others(storage, &destination, &self.id, self.id.number()).await
            }
            Err(Unpublished { in_doubt: true, .. }) => {
                log::warn!("it is not known whether attempt {} was published: its media is kept", self.id);
            }
            _ => publish::sweep(storage, &destination, &self.id).await,
        }
        made.map_err(|unpublished| self.named(unpublished.failure))
    }

    /// The failure with the source's name: those who find fault with a source say only what is wrong with it.
    fn named(&self, failure: Failure) -> Failure {
        if failure.kind != ErrorKind::BadSource {
            return failure;
        }
        let message = format!("cannot use {} as a source: {}", self.task.input, failure.message);
        Failure { message, ..failure }
    }

    async fn make(
        &self,
        preset: &Preset,
        destination: &Location,
        on_progress: impl Fn(Progress),
    ) -> Result<Report, Unpublished> {
        let began = Instant::now();
        let run = self.open(destination).await?;
        self.pulse.beat();
        let media = probe::probe(&self.workshop.programs, &run, &self.cancel).await?;
        self.pulse.beat();
        let mut plan = plan::plan(preset, &media)?;
        let probed = Instant::now();
        self.choose(&mut plan, preset).await?;
        let _pixels = self.seat.admit(Load::of(&plan), &self.cancel, &self.pulse).await?;
        let _sessions = self.sessions(&plan)?;
        let admitted = Instant::now();
        run.offer(extras::fetch(&self.workshop.storage, &preset.filters).await?);
        self.pulse.beat();
        let made = match &plan.product {
            Product::Ladder(ladder) => self.encode(&plan, ladder, &run, on_progress).await.map(Made::Ladder),
            Product::Files(files) => {
                self.make_files(&plan, files, destination, &run, on_progress).await.map(Made::Files)
            }
        };
        if made.is_err() {
            // What is still on its way would arrive after the sweep.
            run.quiet(LONGEST_QUIET).await;
        }
        drop(run);
        self.pulse.beat();
        let made = made?;
        let encoded = Instant::now();
        let encode_seconds = (encoded - admitted).as_secs_f64();
        let timings = Timings {
            probe_seconds: (probed - began).as_secs_f64(),
            encode_seconds,
            speed: made.seconds() / encode_seconds.max(0.001),
        };
        let report = self.report(destination, media, &plan, &made, timings)?;
        self.publish(report, &made).await
    }

    /// Chooses what makes the plan; what is not known of this node yet is proven now.
    async fn choose(&self, plan: &mut Plan, preset: &Preset) -> Result<(), Failure> {
        // Each proof has its time limit.
        let facts = self.pulse.during(self.workshop.prover.facts_for(&needs_of(plan))).await;
        let (maker, changes) = facts.choose(plan, preset.fallback, self.workshop.nvenc_preset)?;
        plan.maker = maker;
        plan.changes.extend(changes);
        Ok(())
    }

    /// A session of the GPU's encoder for each rendition that it makes.
    fn sessions(&self, plan: &Plan) -> Result<Option<OwnedSemaphorePermit>, Failure> {
        match plan.maker.engine {
            EngineKind::Nvenc => self.workshop.sessions.claim(plan.videos().len()),
            EngineKind::Software | EngineKind::Jetson => Ok(None),
        }
    }

    async fn encode(
        &self,
        plan: &Plan,
        ladder: &LadderPlan,
        run: &Run,
        on_progress: impl Fn(Progress),
    ) -> Result<Verified, Failure> {
        run.expect_renditions(ladder.rendition_names());
        ladder.storyboard.into_iter().for_each(|plan| run.expect_storyboard(plan));
        let programs = &self.workshop.programs;
        let reader = Reader { programs, run, counters: &self.workshop.counters, cancel: &self.cancel };
        let engine = engine::run(programs, plan, run, &self.cancel, on_progress);
        let (seen, texts) = tokio::try_join!(engine, async { Ok(reader.read(&ladder.texts, plan.lead_micros).await) })?;
        let mut verified = verify::verify(plan.grid, ladder, &run.settled_record().await)?;
        verified.remarks.extend(seen);
        // Each look at a sample has its time limit.
        let decoded = verify::decode::sample(&self.workshop.programs, run, &verified, &self.cancel);
        verified.checks.push(self.pulse.during(decoded).await?);
        let measured = verify::quality::sample(&self.workshop.programs, run, plan, &verified, &self.cancel);
        match self.pulse.during(measured).await? {
            Measured::Held(check) => verified.checks.push(check),
            Measured::Not(why) => verified.remarks.push(format!("VMAF was not measured: {why}")),
            Measured::NotAsked => {}
        }
        self.store_beside(plan, ladder, texts, &mut verified).await?;
        Ok(verified)
    }

    /// Stores what lies beside the media: subtitles and the storyboard's index.
    async fn store_beside(
        &self,
        plan: &Plan,
        ladder: &LadderPlan,
        texts: Texts,
        verified: &mut Verified,
    ) -> Result<(), Failure> {
        let destination = &self.destination()?;
        let folder = Folder { storage: &self.workshop.storage, destination, attempt: &self.id, pulse: &self.pulse };
        if let Some(board) = ladder.storyboard {
            let frames = verified.renditions.first().map_or(0, |made| made.rendition.samples);
            folder.store_index(board, plan.grid, frames).await?;
        }
        folder.store_texts(texts, verified).await
    }

    async fn open(&self, destination: &Location) -> Result<Run, Failure> {
        let source = self.task.input.clone();
        let info = self.workshop.storage.head(&source).await?;
        let request = RunRequest {
            source,
            info,
            destination: destination.clone(),
            attempt: self.id.clone(),
            pulse: self.pulse.clone(),
        };
        Ok(self.workshop.gateway.open(&self.workshop.storage, request, self.workshop.counters.clone()))
    }

    /// The last look before the commit: a worker that was told to stop, or whose lease went to another, publishes nothing.
    async fn publish(&self, report: Report, made: &Made) -> Result<Report, Unpublished> {
        if self.cancel.is_cancelled() {
            return Err(Failure::new(ErrorKind::Canceled, "the run was called off before it was published").into());
        }
        let published = match made {
            Made::Ladder(verified) => self.publish_ladder(&report, verified).await?,
            Made::Files(_) => publish::publish_files(&self.workshop.storage, &report, &self.fence).await?,
        };
        match published {
            Published::Now => Ok(report),
            Published::Before(earlier) => Ok(*earlier),
        }
    }

    async fn publish_ladder(&self, report: &Report, verified: &Verified) -> Result<Published, Unpublished> {
        let target = playlist::target_duration(&verified.renditions);
        let media = |made: &verify::Made| playlist::media(made, target);
        let entries = publish::Entries {
            media,
            manifest: manifest::manifest(&verified.renditions, verified.storyboard.as_ref()),
            master: playlist::multivariant(&self.id, &verified.renditions),
        };
        publish::publish(&self.workshop.storage, report, verified, entries, &self.pulse, &self.fence).await
    }

    fn destination(&self) -> Result<Location, Failure> {
        self.workshop.destination(self.task)
    }

    /// The preset with the job's own changes.
    fn preset(&self) -> Result<Preset, Failure> {
        let presets = &self.workshop.presets;
        let preset = presets.get(&self.task.preset).ok_or_else(|| {
            let known: Vec<_> = presets.names().into_iter().map(ToString::to_string).collect();
            Failure::new(ErrorKind::BadRequest, format!("there is no preset `{}`", self.task.preset))
                .hint(format!("known presets: {}", known.join(", ")))
        })?;
        preset.with(&self.task.settings).map_err(|why| {
            let message = format!("the job's settings do not fit preset {}: {why}", self.task.preset);
            Failure::new(ErrorKind::BadRequest, message).hint("settings use the preset's own keys and values")
        })
    }

    fn report(
        &self,
        destination: &Location,
        source: MediaFacts,
        plan: &Plan,
        made: &Made,
        timings: Timings,
    ) -> Result<Report, Failure> {
        let entry = destination.join(made.entry()).map_err(|e| Failure::new(ErrorKind::BadRequest, e.to_string()))?;
        let changes = plan.changes.iter().chain(made.remarks()).cloned().collect();
        Ok(Report {
            job: self.task.job,
            attempt: self.id.clone(),
            node: self.workshop.node.clone(),
            reelmill: env!("CARGO_PKG_VERSION").to_owned(),
            engine: plan.maker.name.clone(),
            preset: self.task.preset.clone(),
            input: self.task.input.clone(),
            output: destination.clone(),
            entry,
            source,
            renditions: made.renditions(),
            storyboard: made.storyboard(),
            changes,
            checks: made.checks().to_vec(),
            timings,
        })
    }
}
