//! Proof that an encoder works here: a few pictures made on the spot and really encoded. That an element, a library or a
//! device is there proves nothing: a Jetson Orin Nano has the elements and no encoder, and an Orin may have Thor's library.

use reelmill_gst::{
    Codec,
    graph::{Graph, Input, RungWish, Turn},
};
use tokio_util::sync::CancellationToken;

use super::{Jetson, graph, start};
use crate::engine::{
    Programs,
    child::Ended,
    prove::{LONGEST_PROOF, NO_PORT, Unproven},
};

/// Pictures that a proof takes.
pub const PICTURES: u32 = 8;

/// Proves one codec, depth and size.
///
/// # Errors
/// What was said, and whether it may be otherwise another time.
pub(in crate::engine) async fn encodes(
    programs: &Programs,
    jetson: &Jetson,
    codec: Codec,
    depth: u8,
    (width, height): (u16, u16),
) -> Result<(), Unproven> {
    let wanted = Graph {
        family: jetson.family,
        plugin_folders: jetson.plugin_folders.clone(),
        input: Input::Test { pictures: PICTURES },
        first_picture_micros: 0,
        deinterlace: false,
        turn: Turn::None,
        frame_rate: graph::frame_rate(reelmill_api::Rational::whole(25).expect("not zero")),
        rungs: vec![RungWish {
            codec,
            depth,
            width,
            height,
            gop: 4,
            bitrate_bps: 4_000_000,
            peak_bps: 6_000_000,
            crf: 24,
            preset: jetson.preset,
            fd: graph::FIRST_DESCRIPTOR,
        }],
    };
    let started = start(programs, jetson, &wanted, NO_PORT);
    let (mut child, pipes) = started.map_err(|failure| Unproven::passing(failure.message))?;
    let reading = tokio::task::spawn_blocking(move || drain(pipes));
    let ended = child.finish(LONGEST_PROOF, &CancellationToken::new()).await;
    let bytes = reading.await.unwrap_or_default();
    match ended {
        Ended::Exited { success: true, .. } if bytes > 0 => Ok(()),
        Ended::Exited { code, stderr, .. } => {
            let failure = super::gave_up(code, &stderr);
            Err(Unproven::of_end(code, Some(failure.kind), failure.message))
        }
        Ended::TimedOut | Ended::Canceled => Err(Unproven::passing("GStreamer took too long to encode a few pictures")),
    }
}

/// Reads all that comes; how much it was.
fn drain(pipes: Vec<std::io::PipeReader>) -> u64 {
    let read = pipes.into_iter().filter_map(|mut pipe| std::io::copy(&mut pipe, &mut std::io::sink()).ok());
    read.sum()
}
