//! Engines turn frames into renditions: one media process per run, confined, judged by what the gateway received.

pub mod capability;
pub mod child;
pub mod confine;
mod damage;
mod ffmpeg;
pub mod jetson;
mod lines;
pub mod live;
pub mod measure;
mod nvenc;
mod progress;
pub mod prove;
pub mod sessions;
mod software;
#[cfg(test)]
mod tests;
mod words;

pub use crate::plan::EngineKind;
pub(crate) use ffmpeg::strings;

use std::{path::PathBuf, time::Duration};

use reelmill_api::{ErrorKind, Failure, Progress};
use tokio_util::sync::CancellationToken;

use crate::{
    config::HwAccel,
    gateway::Run,
    plan::{Expected, Plan, grid},
};
use capability::Hardware;
use child::{Ended, Limits};
use progress::Reached;

/// The programs that engines start, and what they may use.
#[derive(Clone, Debug)]
pub struct Programs {
    /// What confines and then becomes the media process: this program, as a rule `/proc/self/exe`.
    pub launcher: PathBuf,
    /// The ffmpeg program.
    pub ffmpeg: PathBuf,
    /// The ffprobe program.
    pub ffprobe: PathBuf,
    /// Folders besides the system's that they and their libraries may be read from.
    pub readable: Vec<PathBuf>,
    /// The folder that this run's process may write files in; as a rule there is none.
    pub writable: Option<confine::Writable>,
    /// A port besides the gateway's that this run's process may connect to; only for live sources.
    pub reach: Option<u16>,
    /// The NVIDIA GPU that they see; all of them unless one is named.
    pub gpu: Option<crate::config::Gpu>,
    /// GStreamer, on a node that encodes with it.
    pub jetson: Option<jetson::Jetson>,
    /// Limits of a media process.
    pub limits: Limits,
    /// A run without progress for this long is killed.
    pub stall: Duration,
}

/// The hardware that `HWACCEL` means on this machine: the value `cuda` is the Jetson's own engine on a Jetson, because the
/// NVENC API is not there.
///
/// # Errors
/// If a forced value contradicts the machine.
pub fn select(wanted: HwAccel, is_jetson: bool, has_nvidia: bool) -> Result<Hardware, Failure> {
    let absent = |what: &str| {
        Err(Failure::new(ErrorKind::NoCapability, what.to_owned())
            .hint("set HWACCEL=none to encode in software, or HWACCEL=auto to let each node choose"))
    };
    match (wanted, is_jetson, has_nvidia) {
        (HwAccel::None, _, _) => Ok(Hardware::Never),
        (_, true, _) => Ok(Hardware::Present(EngineKind::Jetson)),
        (HwAccel::Auto | HwAccel::Cuda, false, true) => Ok(Hardware::Present(EngineKind::Nvenc)),
        (HwAccel::Auto, false, false) => Ok(Hardware::Absent),
        (HwAccel::Cuda, false, false) => absent("HWACCEL=cuda, but this machine has no NVIDIA device"),
        (HwAccel::Jetson, false, _) => absent("HWACCEL=jetson, but this machine is no Jetson"),
    }
}

/// Demuxers that a source may use: containers and elementary streams that hold their own media. Playlists, scripts and
/// everything else that points to other files (hls, dash, concat, sdp, image sequences ...) are left out.
const ALLOWED_DEMUXERS: &str = "mov,matroska,mpegts,mpeg,mpegvideo,avi,flv,asf,mxf,ogg,wav,w64,aiff,flac,mp3,aac,ac3,eac3,\
                                dts,h264,hevc,m4v,ivf,av1,obu,nut,gxf,dv,rm,caf,yuv4mpegpipe";

/// Options before every source: only HTTP to the gateway, only self-contained formats.
pub fn source_options() -> Vec<String> {
    ["-protocol_whitelist", "http,tcp", "-format_whitelist", ALLOWED_DEMUXERS].map(str::to_owned).into()
}

/// Runs a plan's engine over `plan`, telling `on_progress` how far it is; what was seen of the source that the plan
/// could not know. Its end is no success by itself: the caller verifies what `run` recorded.
///
/// # Errors
/// Why the media process ended early, with what it said last.
pub async fn run(
    programs: &Programs,
    plan: &Plan,
    run: &Run,
    cancel: &CancellationToken,
    on_progress: impl Fn(Progress),
) -> Result<Vec<String>, Failure> {
    if let (EngineKind::Jetson, Some(jetson)) = (plan.maker.engine, &programs.jetson) {
        return jetson::run(programs, jetson, plan, run, cancel, on_progress).await;
    }
    let args = command_line(programs, plan, run);
    log::debug!("starting {} {}", programs.ffmpeg.display(), args.join(" "));
    let besides = plan.maker.cuda.map(|_| nvenc::besides()).unwrap_or_default();
    let given = child::Given { besides, ..child::Given::default() };
    let mut child = child::spawn_given(programs, &programs.ffmpeg, &args, programs.limits, run.port(), given)?;
    let mut meter = progress::Meter::new(plan);
    let mut watch = child::StallWatch::new(programs.stall);
    let damage = child.damage();
    loop {
        tokio::select! {
            line = child.next_line() => match line {
                Some(line) => if let Some(progress) = meter.line(&line) {
                    let reached = meter.reached();
                    if let Err(failure) = within(plan, reached) {
                        child.kill().await;
                        return Err(failure);
                    }
                    if let Err(failure) = damage.judge(plan) {
                        child.kill().await;
                        return Err(failure);
                    }
                    watch.reached(reached);
                    on_progress(progress);
                },
                None => break,
            },
            () = watch.stalled() => {
                // Killed, it breaks off in the middle of its files, which says nothing about the cause.
                let failure = run.first_failure().unwrap_or_else(|| stalled(programs.stall));
                child.kill().await;
                return Err(failure);
            }
            () = run.failed() => { child.kill().await; break; }
            () = cancel.cancelled() => {
                child.kill().await;
                return Err(Failure::new(ErrorKind::Canceled, "the run was called off"));
            }
        }
    }
    let ended = child.wait(programs.stall, cancel).await;
    judge(programs, run, plan, ended)?;
    Ok(Vec::from_iter(damage.judge(plan)?))
}

/// How a plan's engine makes its pictures.
fn pictures(plan: &Plan) -> ffmpeg::Pictures {
    match (plan.maker.engine, plan.maker.cuda) {
        (EngineKind::Software, None) => software::pictures(plan),
        (EngineKind::Software, Some(cuda)) => nvenc::assisting_software(plan, cuda),
        (EngineKind::Nvenc, cuda) => nvenc::pictures(plan, cuda.unwrap_or_default(), plan.maker.preset),
        (EngineKind::Jetson, _) => unreachable!("GStreamer makes them, and it was proven to be there"),
    }
}

fn command_line(programs: &Programs, plan: &Plan, run: &Run) -> Vec<String> {
    let (source, extras) = (run.source_url(), run.extra_urls());
    let output = |name: &str| match &programs.writable {
        Some(spool) => spool.folder.join(name).display().to_string(),
        None => run.output_url(name),
    };
    let addresses = ffmpeg::Addresses { source: &source, extras: &extras, output: &output };
    ffmpeg::command(plan, pictures(plan), &addresses)
}

fn judge(programs: &Programs, run: &Run, plan: &Plan, ended: Ended) -> Result<(), Failure> {
    if let Some(failure) = run.first_failure() {
        return Err(failure);
    }
    match ended {
        Ended::Exited { success: true, .. } => Ok(()),
        Ended::Canceled => Err(Failure::new(ErrorKind::Canceled, "the run was called off")),
        Ended::TimedOut => Err(stalled(programs.stall)),
        Ended::Exited { status, stderr, .. } => Err(crashed(plan, &status, &stderr)),
    }
}

fn stalled(after: Duration) -> Failure {
    Failure::new(
        ErrorKind::Infrastructure,
        format!("the media process made no progress for {} s and was killed", after.as_secs()),
    )
    .hint("if it happens again with this source, the source may hang the decoder")
}

/// A few frames whose times lie days apart are a cheap way to keep a node busy for days, and so is sound.
fn within(plan: &Plan, reached: Reached) -> Result<(), Failure> {
    let overrun = |what: &str, declared: f64, gave: f64| {
        let message = format!("it declares {declared:.1} s of {what}, and gave {gave:.0} s without an end");
        let hint = "its timestamps may have a hole: export it anew and upload that";
        Err(Failure::new(ErrorKind::BadSource, message).hint(hint))
    };
    let seconds = |frames| plan.grid.seconds(frames);
    if plan.grid.is_overrun(reached.frame) {
        return overrun("video", seconds(plan.grid.frames.count().unwrap_or(0)), seconds(reached.frame));
    }
    let out = reached.out.as_secs_f64();
    match plan.declared_seconds {
        Some(declared) if grid::is_overrun(declared, out - PICTURES_FIRST) => overrun("media", declared, out),
        _ => Ok(()),
    }
}

/// Seconds by which outputs as such may be longer than pictures: where both go on, the pictures are what is told.
const PICTURES_FIRST: f64 = 60.0;

/// What ffmpeg says when it is the source that cannot be decoded, whatever machine tries.
const SOURCE_FAULTS: &[&str] = &[
    "Invalid data found",
    "not found for input stream",
    "Could not find codec parameters",
    "Cannot determine format of input",
];

/// A GPU that refused a session, by its kind.
fn refused(kind: ErrorKind, tail: &str) -> Failure {
    match kind {
        ErrorKind::Busy => Failure::new(kind, format!("the GPU's encoder sessions or its memory are taken: {tail}"))
            .hint("set nvenc_sessions under [media] to what the driver allows, or lower CONCURRENCY"),
        _ => Failure::new(kind, format!("the GPU does not encode any more: {tail}"))
            .hint("run `reelmill-worker doctor` on this node"),
    }
}

/// A media process that dies of a signal may have been hit by the machine; one that gives up says why.
fn crashed(plan: &Plan, status: &str, stderr: &[String]) -> Failure {
    let tail = stderr.iter().rev().take(6).rev().cloned().collect::<Vec<_>>().join("; ");
    if let Some(kind) = nvenc::words::refusal(stderr) {
        return refused(kind, &tail);
    }
    if SOURCE_FAULTS.iter().any(|fault| tail.contains(fault)) {
        let message = format!("ffmpeg gave up on it ({status}): {tail}");
        return Failure::new(ErrorKind::BadSource, message)
            .hint("if it plays elsewhere, export it anew and upload that");
    }
    let expected = match plan.grid.frames {
        Expected::Unknown => String::new(),
        e => format!(" ({} frames planned)", e.count().unwrap_or(0)),
    };
    Failure::new(ErrorKind::Infrastructure, format!("ffmpeg ended with {status}{expected}: {tail}"))
        .hint("the worker's log at debug level shows the whole command")
}
