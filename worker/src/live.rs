//! Live sources: sessions follow each other until someone wishes the end, whatever becomes of the source, of this worker or
//! of the store in between. What is published stays whole at every moment.

mod board;
mod ladder;
mod playlist;
mod relay;
mod rows;
mod session;
mod sink;
mod state;

use std::time::Duration;

use reelmill_api::{
    AttemptId, ErrorKind, Failure, Location, Preset, Progress, Report, Task, layout,
    preset::{LiveRecipe, Product},
    report::Timings,
    stream::StreamLocation,
};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use crate::{
    admission::{Load, Seat, Share},
    attempt::Workshop,
    engine::capability::needs_of,
    plan::{EngineKind, Plan},
    pulse::Pulse,
};
use board::Board;
use session::{End, Session, canceled, now_ms};
use state::State;
#[cfg(test)]
pub(crate) use {ladder::tests::first_plan, playlist::tests::playlists};

/// The wait before a source is tried again; it doubles while nothing comes of it.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest: how long viewers of a source that is back may have to wait.
const LONGEST_WAIT: Duration = Duration::from_secs(4);

/// One attempt at a live task.
pub struct Live<'a> {
    /// What it works with.
    pub workshop: &'a Workshop,
    /// The task.
    pub task: &'a Task,
    /// Its name.
    pub id: &'a AttemptId,
    /// Where the output goes.
    pub destination: &'a Location,
    /// Calls it off.
    pub cancel: &'a CancellationToken,
    /// What it tells of its getting on: of rows, and of the source and the store being asked again.
    pub pulse: &'a Pulse,
    /// Where it sits on the node.
    pub seat: &'a Seat,
}

/// What a session holds of the node while it encodes.
type Held = (Option<Share>, Option<OwnedSemaphorePermit>);

impl Live<'_> {
    /// Goes on until someone wishes the end; the report then.
    ///
    /// # Errors
    /// `canceled` where another worker is to go on, `no_capability` where one must; `bad_request` where none can.
    pub async fn run(&self, preset: &Preset, on_progress: impl Fn(Progress)) -> Result<Report, Failure> {
        let (source, recipe) = self.fitting(preset)?;
        let mut board = self.claim(recipe).await?;
        if board.state.ended {
            log::info!("job {} was stopped before", self.task.job);
            board.sweep_retired(now_ms()).await;
            return board.report().await;
        }
        board.sweep(None).await;
        let (mut wait, mut frames) = (FIRST_WAIT, 0);
        for number in 1.. {
            let before = board.state.next;
            let told = std::sync::atomic::AtomicU64::new(frames);
            let tell = |progress: Progress| {
                told.store(progress.frame, std::sync::atomic::Ordering::Relaxed);
                on_progress(progress);
            };
            let session = Session { live: self, source, preset, recipe, number, frames_before: frames };
            let ended = Box::pin(session.run(&mut board, &tell)).await;
            frames = told.into_inner();
            match ended {
                Ok(End::Stopped) => return self.finish(board).await,
                Ok(End::Dropped) => log::info!("job {}: {source} dropped; waiting for it", self.task.job),
                // What this node cannot make today it cannot make in four seconds; another may.
                Err(failure) if matches!(failure.kind, ErrorKind::Canceled | ErrorKind::NoCapability) => {
                    return Err(failure);
                }
                Err(failure) => {
                    log::warn!("job {}: {}; trying again", self.task.job, failure.message);
                    if failure.kind != ErrorKind::BadSource {
                        self.look_again(&mut board).await?;
                    }
                }
            }
            on_progress(Progress { frame: frames, ..Progress::default() });
            if board.state.next > before {
                board.sweep(None).await;
                wait = FIRST_WAIT;
            }
            if self.is_to_stop_within(&board, wait).await? {
                return self.finish(board).await;
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        Err(canceled())
    }

    /// The live source and the live recipe; each goes only with the other.
    fn fitting<'b>(&'b self, preset: &'b Preset) -> Result<(&'b StreamLocation, &'b LiveRecipe), Failure> {
        let bad = |message: String, hint: &str| Err(Failure::new(ErrorKind::BadRequest, message).hint(hint));
        match (&self.task.input, &preset.product) {
            (Location::Stream(source), Product::Live(recipe)) => Ok((source, recipe)),
            (Location::Stream(_), _) => {
                bad(format!("preset {} is for files, and {} is live", preset.name, self.task.input), "choose live-hls")
            }
            _ => bad(
                format!("preset {} is for live sources, and {} is a file", preset.name, self.task.input),
                "choose hls-ladder for files, or give an srt://, rtmp:// or rtsp:// address as input",
            ),
        }
    }

    async fn claim(&self, recipe: &LiveRecipe) -> Result<Board, Failure> {
        let (seconds, window) = (recipe.segment_seconds.get().into(), recipe.window.get() as usize);
        let fresh = State::new(self.task.job, self.id.clone(), seconds, window, now_ms());
        Box::pin(Board::claim(&self.workshop.storage, self.destination, fresh)).await
    }

    /// After the store or an engine failed: what is published decides. While the store is away, it is asked again and again.
    async fn look_again(&self, board: &mut Board) -> Result<(), Failure> {
        loop {
            match board.look_again().await {
                Err(failure) if failure.kind == ErrorKind::Infrastructure => {
                    log::warn!("job {}: {}", self.task.job, failure.message);
                    self.pause(LONGEST_WAIT).await?;
                }
                done => return done,
            }
        }
    }

    async fn pause(&self, wait: Duration) -> Result<(), Failure> {
        self.pulse.beat();
        tokio::select! {
            () = tokio::time::sleep(wait) => Ok(()),
            () = self.cancel.cancelled() => Err(canceled()),
        }
    }

    async fn is_to_stop_within(&self, board: &Board, wait: Duration) -> Result<bool, Failure> {
        self.pause(wait).await?;
        // A store that cannot be asked now will be asked again.
        Ok(board.is_to_stop().await.unwrap_or(false))
    }

    /// Chooses what makes the plan, and holds the GPU's sessions and the share of the node's pixels that it needs.
    async fn choose(&self, plan: &mut Plan, preset: &Preset) -> Result<Held, Failure> {
        let facts = self.pulse.during(self.workshop.prover.facts_for(&needs_of(plan))).await;
        let (maker, changes) = facts.choose_live(plan, preset.fallback, self.workshop.nvenc_preset)?;
        plan.changes.extend(changes);
        plan.maker = maker;
        // Whoever watches cannot wait: it is asked again like a source that is away.
        let pixels = self.seat.admit_now(Load::of(plan)).await?;
        let sessions = match plan.maker.engine {
            EngineKind::Nvenc => self.workshop.sessions.claim(plan.videos().len())?,
            EngineKind::Software | EngineKind::Jetson => None,
        };
        Ok((pixels, sessions))
    }

    async fn finish(&self, mut board: Board) -> Result<Report, Failure> {
        let Some(report) = self.report(&board.state)? else {
            board.forget_wish().await;
            let message = format!("it was stopped before anything came from {}", self.task.input);
            return Err(Failure::new(ErrorKind::BadRequest, message));
        };
        board.end(&report).await?;
        // Readers may still want what left the window last.
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(board.state.grace_ms())).await;
            board.sweep_retired(now_ms()).await;
        });
        Ok(report)
    }

    /// The report of what was made; `None` if nothing was.
    fn report(&self, state: &State) -> Result<Option<Report>, Failure> {
        let Some(source) = state.source.clone().filter(|_| state.next > 0) else { return Ok(None) };
        let entry = self.destination.join(layout::MASTER_PLAYLIST);
        let entry = entry.map_err(|e| Failure::new(ErrorKind::BadRequest, e.to_string()))?;
        let seconds = state.renditions.first().map_or(0.0, |made| made.rendition.duration_seconds);
        let encode_seconds = Duration::from_millis(now_ms().saturating_sub(state.began_ms)).as_secs_f64();
        let mut changes = state.changes.clone();
        if state.sessions > 1 {
            changes.push(format!("the source was connected to {} times", state.sessions));
        }
        Ok(Some(Report {
            job: self.task.job,
            attempt: self.id.clone(),
            node: self.workshop.node.clone(),
            reelmill: env!("CARGO_PKG_VERSION").to_owned(),
            engine: state.engine.clone(),
            preset: self.task.preset.clone(),
            input: self.task.input.clone(),
            output: self.destination.clone(),
            entry,
            source,
            renditions: state.renditions.iter().map(|made| made.rendition.clone()).collect(),
            storyboard: None,
            changes,
            checks: vec!["every segment was stored whole before it was listed".to_owned()],
            timings: Timings { probe_seconds: 0.0, encode_seconds, speed: seconds / encode_seconds.max(0.001) },
        }))
    }
}
