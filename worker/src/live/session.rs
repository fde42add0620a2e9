//! One session: from the connection to the source until it drops. Two media processes, one that only brings the source in
//! and may reach it, and one that decodes it and may reach nobody.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use reelmill_api::{
    ErrorKind, Failure, MediaFacts, Progress,
    preset::LiveRecipe,
    stream::{Protocol, SrtMode, StreamLocation},
};
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    Live,
    board::Board,
    ladder,
    relay::Relay,
    rows::Rows,
    sink::{LOOK, Sink, Target},
    state::NewRow,
};
use crate::{
    engine::{
        Programs,
        child::{self, Ended, Limits, MediaChild},
        live as engine,
    },
    plan::Plan,
    probe::parse,
};

/// How long a source may take to answer, and to say what it is.
const BEGIN: Duration = Duration::from_secs(15);
/// A source that was silent for so long has dropped.
const QUIET: Duration = Duration::from_secs(6);
/// An encoder that gave no row for so long, while its source came, hangs.
const STALL: Duration = Duration::from_secs(30);
/// How long it may take to finish what it has once its source has ended.
const LAST_WORDS: Duration = Duration::from_secs(15);
/// How long what was sent may take to be stored.
const STORING: Duration = Duration::from_secs(10);
/// How often it is looked whether someone wishes it to end.
const LOOK_FOR_WISH: Duration = Duration::from_secs(2);

/// How a session ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The source dropped, or said that it was through.
    Dropped,
    /// Someone wished it to end.
    Stopped,
}

/// A session that is about to begin.
pub(super) struct Session<'a> {
    /// The attempt.
    pub(super) live: &'a Live<'a>,
    /// Where the source is.
    pub(super) source: &'a StreamLocation,
    /// The recipe, twice: as a preset and by its own words.
    pub(super) preset: &'a reelmill_api::Preset,
    /// What it says of the live ladder.
    pub(super) recipe: &'a LiveRecipe,
    /// Its number within the attempt, from 1.
    pub(super) number: u32,
    /// Frames that earlier sessions of the attempt made.
    pub(super) frames_before: u64,
}

/// The process that brings the source in.
struct Intake {
    task: JoinHandle<Ended>,
    stop: CancellationToken,
    relay: Relay,
}

impl Session<'_> {
    /// Lists rows until the source drops.
    ///
    /// # Errors
    /// Why it could not go on: the source, the store, or `canceled`.
    pub(super) async fn run(&self, board: &mut Board, on_progress: &impl Fn(Progress)) -> Result<End, Failure> {
        let relay = Relay::new();
        let sink = Sink::start(relay.clone()).await;
        let mut sink = sink.map_err(|e| infrastructure(format!("cannot serve a live session: {e}")))?;
        let mut intake = Box::pin(self.bring_in(&sink, relay)).await?;
        let began_ms = match self.begun(&mut intake, board).await? {
            Some(at) => at,
            None => return Ok(End::Stopped),
        };
        let media = self.probe(&sink).await?;
        let mut plan = ladder::plan(self.preset, self.recipe, &media, &board.state.renditions)?;
        let _gpu = self.live.choose(&mut plan, self.preset).await?;
        board.state.sessions += 1;
        board.state.engine.clone_from(&plan.maker.name);
        board.state.changes.clone_from(&plan.changes);
        board.state.source = Some(media);
        let renditions = ladder::renditions(&plan);
        if board.state.renditions.is_empty() {
            board.state.renditions.clone_from(&renditions);
        }
        sink.expect(self.target(&renditions));
        let mut encode = Encode { rows: Rows::new(renditions.len()), began_ms, done: 0, moved: Instant::now() };
        let ended = Box::pin(self.encode(&plan, &mut sink, &intake, board, &mut encode, on_progress)).await;
        intake.stop.cancel();
        // What is still on its way would arrive after the sweep.
        let _ = tokio::time::timeout(STORING, sink.quiet()).await;
        let end = ended?;
        while let Ok(arrival) = sink.arrivals.try_recv() {
            // The last file of a process that was cut short is no row.
            if let Ok(arrival) = arrival {
                self.note(&mut encode, arrival, board).await?;
            }
        }
        Ok(end)
    }

    async fn bring_in(&self, sink: &Sink, relay: Relay) -> Result<Intake, Failure> {
        let host = resolve(self.source).await?;
        let workshop = self.live.workshop;
        let reach = (self.source.protocol() != Protocol::Srt).then_some(self.source.port());
        let programs = Programs { reach, ..workshop.programs.clone() };
        let args = engine::intake(self.source, &host, &sink.source_url());
        let mut child = child::spawn(&programs, &programs.ffmpeg, &args, self.limits(), sink.port)?;
        let (stop, ending) = (CancellationToken::new(), relay.clone());
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            tokio::select! {
                () = async { while child.next_line().await.is_some() {} } => {}
                () = stopped.cancelled() => child.kill().await,
            }
            let ended = child.wait(LAST_WORDS, &CancellationToken::new()).await;
            // It may never have come as far as to put something.
            ending.end();
            ended
        });
        Ok(Intake { task, stop, relay })
    }

    /// When the first bytes came, in milliseconds since 1970; `None` where someone wished it to end before.
    async fn begun(&self, intake: &mut Intake, board: &Board) -> Result<Option<u64>, Failure> {
        let deadline = tokio::time::sleep(BEGIN);
        tokio::pin!(deadline);
        loop {
            tokio::select! {
                begun = intake.relay.begun() => return match begun {
                    true => Ok(Some(now_ms())),
                    false => Err(self.unreachable(&mut intake.task).await),
                },
                () = &mut deadline => return Err(bad_source(format!("{} gives nothing", self.source))),
                () = self.live.cancel.cancelled() => return Err(canceled()),
                () = tokio::time::sleep(LOOK_FOR_WISH) => if board.is_to_stop().await? { return Ok(None) },
            }
        }
    }

    async fn unreachable(&self, intake: &mut JoinHandle<Ended>) -> Failure {
        let said = match intake.await {
            Ok(Ended::Exited { stderr, .. }) => stderr.last().cloned().unwrap_or_default(),
            _ => String::new(),
        };
        let said = said.rsplit(": ").next().unwrap_or("").to_owned();
        let why = if said.is_empty() { String::new() } else { format!(": {said}") };
        bad_source(format!("{} cannot be read{why}", self.source))
    }

    async fn probe(&self, sink: &Sink) -> Result<MediaFacts, Failure> {
        let programs = &self.live.workshop.programs;
        let args = engine::probing(&format!("{}?{LOOK}", sink.source_url()));
        let limits = Limits { cpu: BEGIN, ..self.limits() };
        let mut child = child::spawn(programs, &programs.ffprobe, &args, limits, sink.port)?;
        match child.finish(BEGIN, self.live.cancel).await {
            Ended::Exited { success: true, stdout, .. } => parse::media_facts(&stdout, 0)
                .map_err(|why| bad_source(format!("{} gives what cannot be used: {why}", self.source))),
            Ended::Exited { stderr, .. } => {
                let why = stderr.last().map_or("no media", String::as_str);
                Err(bad_source(format!("{} gives what cannot be used: {why}", self.source)))
            }
            Ended::TimedOut => Err(bad_source(format!("{} does not say what it is", self.source))),
            Ended::Canceled => Err(canceled()),
        }
    }

    async fn encode(
        &self,
        plan: &Plan,
        sink: &mut Sink,
        intake: &Intake,
        board: &mut Board,
        encode: &mut Encode,
        on_progress: &impl Fn(Progress),
    ) -> Result<End, Failure> {
        let programs = &self.live.workshop.programs;
        let args = engine::encoding(plan, &sink.source_url(), &|rendition| sink.output_url(rendition));
        log::debug!("starting {} {}", programs.ffmpeg.display(), args.join(" "));
        let mut child = child::spawn(programs, &programs.ffmpeg, &args, self.limits(), sink.port)?;
        let mut meter = engine::meter(plan);
        let mut end = End::Dropped;
        let mut wish = tokio::time::interval(LOOK_FOR_WISH);
        let mut last_words: Option<Instant> = None;
        loop {
            tokio::select! {
                line = child.next_line() => match line {
                    Some(line) => if let Some(progress) = meter(&line) {
                        on_progress(Progress { frame: self.frames_before + progress.frame, ..progress });
                    },
                    None => break,
                },
                Some(arrival) = sink.arrivals.recv() => {
                    if let Err(failure) = self.arrived(encode, arrival, board).await {
                        child.kill().await;
                        return Err(failure);
                    }
                }
                _ = wish.tick() => {
                    if end == End::Dropped && board.is_to_stop().await.unwrap_or(false) {
                        end = End::Stopped;
                        intake.stop.cancel();
                    }
                    if intake.relay.last().0.elapsed() > QUIET {
                        intake.stop.cancel();
                    }
                    if intake.task.is_finished() {
                        last_words.get_or_insert_with(Instant::now);
                    }
                    if last_words.is_some_and(|since| since.elapsed() > LAST_WORDS) {
                        child.kill().await;
                        break;
                    }
                    if encode.moved.elapsed() > STALL {
                        child.kill().await;
                        return Err(infrastructure(format!("the encoder made nothing of {} for {} s", self.source, STALL.as_secs())));
                    }
                }
                () = self.live.cancel.cancelled() => {
                    child.kill().await;
                    return Err(canceled());
                }
            }
        }
        self.ended(child, encode.done, end).await
    }

    /// An encoder that gave nothing at all says why.
    async fn ended(&self, child: MediaChild, rows: u64, end: End) -> Result<End, Failure> {
        match child.wait(LAST_WORDS, self.live.cancel).await {
            Ended::Exited { success: false, status, stderr, .. } if rows == 0 && end == End::Dropped => {
                let said = stderr.iter().rev().take(3).rev().cloned().collect::<Vec<_>>().join("; ");
                Err(bad_source(format!("nothing could be made of {} ({status}): {said}", self.source)))
            }
            Ended::Canceled => Err(canceled()),
            _ => Ok(end),
        }
    }

    async fn arrived(
        &self,
        encode: &mut Encode,
        arrival: Result<super::rows::Arrival, Failure>,
        board: &mut Board,
    ) -> Result<(), Failure> {
        self.note(encode, arrival?, board).await
    }

    async fn note(&self, encode: &mut Encode, arrival: super::rows::Arrival, board: &mut Board) -> Result<(), Failure> {
        let broken = |e: crate::fmp4::NotFmp4| infrastructure(format!("the engine made a broken segment: {e}"));
        encode.rows.note(arrival).map_err(broken)?;
        while let Some((index, segments)) = encode.rows.take().map_err(broken)? {
            if index == 0 {
                encode.name_codecs(board);
            }
            // A playlist's target duration never changes, so a longer segment can never be listed.
            let longest = segments.iter().map(|s| s.micros).max().unwrap_or(0);
            if (longest + 500_000) / 1_000_000 > board.state.target_seconds {
                return Err(infrastructure(format!(
                    "the engine made a segment of {:.1} s",
                    Duration::from_micros(longest).as_secs_f64()
                )));
            }
            let (attempt, session) = (self.live.id.clone(), self.number);
            let received_ms = encode.began_ms;
            encode.began_ms += segments.first().map_or(0, |s| s.micros / 1000);
            encode.moved = Instant::now();
            encode.done += 1;
            self.live.pulse.beat();
            Box::pin(board.add(NewRow { attempt, session, index, received_ms, segments }, now_ms())).await?;
        }
        Ok(())
    }

    fn target(&self, renditions: &[super::state::Made]) -> Target {
        Target {
            storage: self.live.workshop.storage.clone(),
            destination: self.live.destination.clone(),
            attempt: self.live.id.clone(),
            session: self.number,
            renditions: renditions.iter().map(|made| made.rendition.name.clone()).collect(),
            counters: self.live.workshop.counters.clone(),
        }
    }

    /// A live process has no end of its own: it may use as much processor time as it takes, and what hangs is killed for
    /// making nothing.
    fn limits(&self) -> Limits {
        Limits { cpu: Duration::from_secs(u32::MAX.into()), ..self.live.workshop.programs.limits }
    }
}

/// How far the encoder is.
struct Encode {
    rows: Rows,
    /// When the next row began, in milliseconds since 1970.
    began_ms: u64,
    done: u64,
    moved: Instant,
}

impl Encode {
    /// Codecs are what the bytes say.
    fn name_codecs(&self, board: &mut Board) {
        for (made, init) in board.state.renditions.iter_mut().zip(self.rows.inits().unwrap_or_default()) {
            made.rendition.codecs.clone_from(&init.codecs);
        }
    }
}

/// Host and port as an address, so that the media process needs no name service.
async fn resolve(source: &StreamLocation) -> Result<String, Failure> {
    if source.srt().mode == SrtMode::Listener && source.protocol() == Protocol::Srt {
        return Ok(source.authority());
    }
    let failed = |why: String| bad_source(format!("cannot find the host {}: {why}", source.host()));
    let found = tokio::net::lookup_host((source.host(), source.port())).await.map_err(|e| failed(e.to_string()))?;
    let found: Vec<SocketAddr> = found.collect();
    let first = found.iter().find(|at| at.is_ipv4()).or(found.first());
    first.map(ToString::to_string).ok_or_else(|| failed("it has no address".to_owned()))
}

/// The time, in milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn bad_source(message: String) -> Failure {
    Failure::new(ErrorKind::BadSource, message)
}

fn infrastructure(message: String) -> Failure {
    Failure::new(ErrorKind::Infrastructure, message)
}

/// The lease is lost, or the worker ends.
pub(super) fn canceled() -> Failure {
    Failure::new(ErrorKind::Canceled, "the live run was called off")
}
