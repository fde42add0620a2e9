//! Notices a source that was read to its end and had no track of the kind that was planned for. Nothing then takes the
//! end, so the bus would never tell of it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use gstreamer as gst;
use gstreamer::{EventType, PadProbeReturn, PadProbeType, prelude::*};
use reelmill_gst::{Ending, ending::Complaint};

/// The track's first element, linked once there is one.
const PACKETS: &str = "packets";

/// Whether the track was found.
pub(super) struct Track {
    packets: gst::Pad,
    was_read: Arc<AtomicBool>,
}

/// Watches for the end of the source.
pub(super) fn watch(pipeline: &gst::Pipeline) -> Result<Track, Complaint> {
    let was_read = Arc::new(AtomicBool::new(false));
    let at_end = was_read.clone();
    let source = super::pad(pipeline, super::blame::SOURCE, "src")?;
    let added = source.add_probe(PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if info.event().is_some_and(|event| event.type_() == EventType::Eos) {
            at_end.store(true, Ordering::Relaxed);
        }
        PadProbeReturn::Ok
    });
    added.ok_or_else(|| Complaint::new(Ending::Bug, "the end of the source cannot be watched"))?;
    Ok(Track { packets: super::pad(pipeline, PACKETS, "sink")?, was_read })
}

impl Track {
    /// Whether all of the source was read in vain.
    pub(super) fn is_missing(&self) -> bool {
        self.was_read.load(Ordering::Relaxed) && !self.packets.is_linked()
    }
}

/// What that means.
pub(super) fn missing() -> Complaint {
    Complaint::new(Ending::BadSource, "it was read to its end, and no track of the kind that was probed is in it")
}
