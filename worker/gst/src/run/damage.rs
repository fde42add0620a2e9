//! Tells of damage in the middle of a source, in ffmpeg's words, so that a worker reads both alike. Decoders conceal what
//! they can and go on; they say so by a flag of the picture, or to GStreamer's log.

use gstreamer as gst;
use gstreamer::{PadProbeReturn, PadProbeType, log, prelude::*};
use reelmill_gst::{Ending, ending::Complaint};

/// The log of what all decoders are made of; it begins an error that a decoder survives with this word.
const DECODERS: &str = "videodecoder";
const SURVIVED: &str = "error: ";

/// Listens to decoders' log.
pub(super) fn listen() {
    log::remove_default_log_function();
    log::set_active(true);
    log::set_threshold_for_name(DECODERS, gst::DebugLevel::Warning);
    log::add_log_function(|category, _, _, _, _, _, message| {
        let words = message.get().unwrap_or_default();
        if category.name() == DECODERS && words.starts_with(SURVIVED) {
            eprintln!("Decoding error: {}", words.trim_start_matches(SURVIVED));
        }
    });
}

/// Watches the pictures on their way to the grid.
pub(super) fn watch(pipeline: &gst::Pipeline) -> Result<(), Complaint> {
    let added = super::pad(pipeline, super::grid::GRID, "sink")?.add_probe(PadProbeType::BUFFER, |_, info| {
        if let Some(buffer) = info.buffer().filter(|buffer| buffer.flags().contains(gst::BufferFlags::CORRUPTED)) {
            let at = buffer.pts().map_or(0, gst::ClockTime::mseconds);
            eprintln!("corrupt decoded frame at {}.{:03} s", at / 1000, at % 1000);
        }
        PadProbeReturn::Ok
    });
    added.map(|_| ()).ok_or_else(|| Complaint::new(Ending::Bug, "the pictures cannot be watched for damage"))
}
