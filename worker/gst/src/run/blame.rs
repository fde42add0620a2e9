//! Who is to blame for an error: the source, a taken engine, a missing element, the reader, or nobody but us.

use gstreamer as gst;
use gstreamer::{CoreError, ParseError, ResourceError, StreamError, glib, prelude::*};
use reelmill_gst::{
    Ending,
    ending::{Complaint, means_busy},
};

/// The element that reads from the gateway.
pub(super) const SOURCE: &str = "source";

/// What an error on the bus means.
pub(super) fn blame(error: &gst::message::Error) -> Complaint {
    let from = error.src().map_or_else(String::new, |element| element.name().to_string());
    let details = error.debug().map_or_else(String::new, |debug| debug.to_string());
    let error = error.error();
    let words = format!("{}: {details}", error.message());
    Complaint::new(ending(&error, &from, &words), format!("{from}: {}", one_line(&words)))
}

fn ending(error: &glib::Error, from: &str, words: &str) -> Ending {
    if means_busy(words) {
        return Ending::Busy;
    }
    if let Some(kind) = error.kind::<ResourceError>() {
        return match kind {
            ResourceError::Write | ResourceError::NoSpaceLeft => Ending::ReaderGone,
            ResourceError::Busy => Ending::Busy,
            _ if from == SOURCE => Ending::SourceUnread,
            _ => Ending::Bug,
        };
    }
    if matches!(error.kind::<CoreError>(), Some(CoreError::MissingPlugin)) {
        return Ending::Missing;
    }
    match error.kind::<StreamError>() {
        // What keeps a source from sending on is told apart only in words: -5 is its own failure.
        Some(StreamError::Failed) if from == SOURCE && words.contains("reason error (-5)") => Ending::SourceUnread,
        // An element of ours could not agree with its neighbour, except where the source's bytes meet none that takes them.
        Some(StreamError::Failed) if words.contains("not-negotiated") => Ending::Bug,
        Some(StreamError::Encode | StreamError::Mux | StreamError::NotImplemented) | None => Ending::Bug,
        Some(_) => Ending::BadSource,
    }
}

/// What it means that a pipeline could not be built.
pub(super) fn unbuilt(error: &glib::Error, not_loaded: &[String]) -> Complaint {
    let reason = format!("cannot build the pipeline: {}", error.message());
    match error.kind::<ParseError>() {
        Some(ParseError::NoSuchElement) if not_loaded.is_empty() => Complaint::new(Ending::Missing, reason),
        Some(ParseError::NoSuchElement) => {
            Complaint::new(Ending::Missing, format!("{reason} ({})", not_loaded.join("; ")))
        }
        Some(ParseError::NoSuchProperty | ParseError::CouldNotSetProperty) => Complaint::new(Ending::Missing, reason),
        _ => Complaint::new(Ending::Bug, reason),
    }
}

/// Details come over many lines, with the source files of GStreamer.
fn one_line(words: &str) -> String {
    words.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(": ")
}
