//! The jetson engine: GStreamer decodes, scales and encodes with the elements of L4T, in a process of its own for each run,
//! and ffmpeg packages what comes out, as it does for every engine. Pipes lie between the two; a run is good if both end
//! well.

mod graph;
mod package;
pub mod prove;
#[cfg(test)]
pub(super) mod tests;

use std::{
    io::{PipeReader, pipe},
    os::fd::OwnedFd,
    path::PathBuf,
};

pub(super) use graph::unfit;
use reelmill_api::{ErrorKind, Failure, Progress};
use reelmill_gst::{
    Ending,
    graph::{Family, Graph, order},
};
use tokio_util::sync::CancellationToken;

use super::{
    Programs,
    child::{self, Ended, Given, MediaChild},
    confine::Besides,
    ffmpeg,
    progress::{self, Reached},
};
use crate::{gateway::Run, plan::Plan};

/// The GStreamer side of a node.
#[derive(Clone, Debug)]
pub struct Jetson {
    /// The program `reelmill-gst`.
    pub program: PathBuf,
    /// Where GStreamer's plug-ins lie.
    pub plugin_folders: Vec<PathBuf>,
    /// Whose elements are used.
    pub family: Family,
    /// The encoder's effort, 1 to 7.
    pub preset: u8,
}

/// What GStreamer must not do by itself: look through folders of plug-ins, start a helper for that, and write down what
/// it found. The child loads those of its order.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("GST_PLUGIN_SYSTEM_PATH_1_0", ""),
    ("GST_REGISTRY", "/dev/null"),
    ("GST_REGISTRY_FORK", "no"),
    ("GST_REGISTRY_UPDATE", "no"),
    // NVIDIA's libraries find the memory of a board's own GPU by it; elsewhere nobody reads it.
    ("AARCH64_IGPU", "1"),
];

/// The devices behind the L4T elements (Jetson Linux Developer Guide): memory, display and GPU, codecs. Those that a board
/// or a release lacks are passed over.
const DEVICES: &[&str] = &[
    "/dev/nvmap",
    "/dev/nvsciipc",
    "/dev/nvgpu",
    "/dev/nvidia0",
    "/dev/nvidiactl",
    "/dev/dri",
    "/dev/host1x-fence",
    "/dev/nvhost-ctrl",
    "/dev/nvhost-ctrl-gpu",
    "/dev/nvhost-gpu",
    "/dev/nvhost-as-gpu",
    "/dev/nvhost-prof-gpu",
    "/dev/nvhost-msenc",
    "/dev/nvhost-nvdec",
    "/dev/nvhost-vic",
    "/dev/v4l2-nvenc",
    "/dev/v4l2-nvdec",
];

/// What L4T's libraries read to learn what board it is, and where NixOS keeps them.
const BOARD: &[&str] =
    &["/etc/nv_tegra_release", "/run/opengl-driver", "/sys/devices/soc0", "/sys/firmware/devicetree", "/sys/module"];

impl Jetson {
    /// What the child may use besides what every media process may.
    fn besides(&self) -> Besides {
        let of_board = |paths: &[&str]| match self.family {
            Family::L4t => paths.iter().map(PathBuf::from).collect(),
            Family::Software => Vec::new(),
        };
        let own = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        Besides {
            environment: ENVIRONMENT.iter().map(own).collect(),
            devices: of_board(DEVICES),
            readable: self.plugin_folders.iter().cloned().chain(of_board(BOARD)).collect(),
        }
    }
}

/// Runs the engine over `plan`, telling `on_progress` how far it is. Its end is no success by itself: the caller verifies
/// what `run` recorded.
///
/// # Errors
/// Why one of the two processes ended early, with what it said last; `no_capability` if the plan is not for this engine.
pub(super) async fn run(
    programs: &Programs,
    jetson: &Jetson,
    plan: &Plan,
    run: &Run,
    cancel: &CancellationToken,
    on_progress: impl Fn(Progress),
) -> Result<Vec<String>, Failure> {
    let wanted = graph::graph(plan, jetson, &run.source_url())?;
    let (mut encoder, pipes) = start(programs, jetson, &wanted, run.port())?;
    let args = packaging(plan, run);
    log::debug!("starting {} {}", programs.ffmpeg.display(), args.join(" "));
    let given = Given { descriptors: pipes.into_iter().map(OwnedFd::from).collect(), ..Given::default() };
    let mut packager = child::spawn_given(programs, &programs.ffmpeg, &args, programs.limits, run.port(), given)?;
    let damage = encoder.damage();
    let watched = watch(programs, plan, run, cancel, (&mut encoder, &mut packager), on_progress).await;
    if let Err(failure) = watched {
        encoder.kill().await;
        packager.kill().await;
        return Err(failure);
    }
    let encoded = encoder.wait(programs.stall, cancel).await;
    // It has all frames, or an early end of them.
    let packaged = packager.finish(programs.stall, cancel).await;
    judge(programs, run, plan, encoded, packaged)?;
    Ok(Vec::from_iter(damage.judge(plan)?))
}

/// Listens to both until the encoder is silent, or the packager, or something is wrong.
async fn watch(
    programs: &Programs,
    plan: &Plan,
    run: &Run,
    cancel: &CancellationToken,
    (encoder, packager): (&mut MediaChild, &mut MediaChild),
    on_progress: impl Fn(Progress),
) -> Result<(), Failure> {
    let (mut meter, mut packaged) = (progress::Meter::new(plan), progress::Meter::new(plan));
    let mut watch = child::StallWatch::new(programs.stall);
    let damage = encoder.damage();
    loop {
        tokio::select! {
            line = encoder.next_line() => {
                let Some(line) = line else { return Ok(()) };
                let Some(progress) = meter.line(&line) else { continue };
                super::within(plan, meter.reached())?;
                damage.judge(plan)?;
                watch.reached(meter.reached());
                on_progress(progress);
            }
            // It makes the sound, which may go on where no picture comes; its silence says that it is gone.
            line = packager.next_line() => {
                let Some(line) = line else { return Ok(()) };
                if packaged.line(&line).is_some() {
                    let reached = Reached { frame: 0, ..packaged.reached() };
                    super::within(plan, reached)?;
                    watch.reached(reached);
                }
            }
            () = watch.stalled() => {
                return Err(run.first_failure().unwrap_or_else(|| super::stalled(programs.stall)));
            }
            () = run.failed() => {
                let unknown = || Failure::new(ErrorKind::Infrastructure, "the gateway gave up on the run");
                return Err(run.first_failure().unwrap_or_else(unknown));
            }
            () = cancel.cancelled() => return Err(Failure::new(ErrorKind::Canceled, "the run was called off")),
        }
    }
}

/// Starts GStreamer; the ends of its pipes that the frames come out of.
fn start(
    programs: &Programs,
    jetson: &Jetson,
    wanted: &Graph,
    port: u16,
) -> Result<(MediaChild, Vec<PipeReader>), Failure> {
    let order = order(wanted).map_err(|unfit| graph::refused(&format!("do this: {unfit}")))?;
    log::debug!("starting {} with {}", jetson.program.display(), order.pipeline.replace('\n', " "));
    let no_pipe = |e| Failure::new(ErrorKind::Infrastructure, format!("cannot make a pipe for encoded frames: {e}"));
    let (mut readers, mut writers) = (Vec::new(), Vec::new());
    for _ in &order.rungs {
        let (reader, writer) = pipe().map_err(no_pipe)?;
        readers.push(reader);
        writers.push(OwnedFd::from(writer));
    }
    let given = Given {
        input: serde_json::to_vec(&order).expect("plain data becomes JSON"),
        descriptors: writers,
        besides: jetson.besides(),
    };
    let child = child::spawn_given(programs, &jetson.program, &[], programs.limits, port, given)?;
    Ok((child, readers))
}

fn packaging(plan: &Plan, run: &Run) -> Vec<String> {
    let source = run.source_url();
    let output = |rendition: &str| run.output_url(rendition);
    ffmpeg::command(plan, package::pictures(plan), &ffmpeg::Addresses { source: &source, extras: &[], output: &output })
}

/// The first to blame is the gateway, then the packager if it left the encoder without a reader, then the encoder.
fn judge(programs: &Programs, run: &Run, plan: &Plan, encoded: Ended, packaged: Ended) -> Result<(), Failure> {
    if let Some(failure) = run.first_failure() {
        return Err(failure);
    }
    match encoded {
        Ended::Exited { success: true, .. } => {}
        Ended::Exited { code, .. } if ending(code) == Some(Ending::ReaderGone) => {}
        Ended::Exited { code, stderr, .. } => return Err(gave_up(code, &stderr)),
        Ended::Canceled => return Err(Failure::new(ErrorKind::Canceled, "the run was called off")),
        Ended::TimedOut => return Err(super::stalled(programs.stall)),
    }
    super::judge(programs, run, plan, packaged)
}

fn ending(code: Option<i32>) -> Option<Ending> {
    code.and_then(Ending::of_code)
}

/// What the child's end means for the attempt.
fn gave_up(code: Option<i32>, stderr: &[String]) -> Failure {
    let said = stderr.iter().rev().take(3).rev().map(|line| line.trim_start_matches("error: ")).collect::<Vec<_>>();
    let said = said.join("; ");
    let (kind, message, hint) = match ending(code) {
        Some(Ending::BadSource) => {
            (ErrorKind::BadSource, format!("GStreamer gave up on it: {said}"), "if it plays elsewhere, export it anew")
        }
        Some(Ending::Busy) => {
            (ErrorKind::Busy, format!("the encoder or decoder is taken: {said}"), "lower CONCURRENCY on this node")
        }
        Some(Ending::Missing) => (
            ErrorKind::NoCapability,
            format!("GStreamer lacks an element here: {said}"),
            "install L4T's GStreamer plug-ins, or set HWACCEL=none",
        ),
        _ => {
            let ended = code.map_or_else(|| "a signal".to_owned(), |code| format!("code {code}"));
            let message = format!("reelmill-gst ended with {ended}: {said}");
            (ErrorKind::Infrastructure, message, "the worker's log at debug level shows the whole pipeline")
        }
    };
    Failure::new(kind, message).hint(hint)
}
