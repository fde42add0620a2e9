//! Numbers the encoded frames: before each, as it goes to its descriptor, comes an IVF header with its place on the grid.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use gstreamer as gst;
use gstreamer::{PadProbeData, PadProbeInfo, PadProbeReturn, PadProbeType, prelude::*};
use reelmill_gst::{Ending, FrameRate, Order, Rung, ending::Complaint, ivf};

/// How many frames each rung has written.
pub(super) type Counts = Vec<Arc<AtomicU64>>;

/// What is known of one rung's stream.
struct Stream {
    rung: Rung,
    rate: FrameRate,
    written: Arc<AtomicU64>,
    segment: Option<gst::FormattedSegment<gst::ClockTime>>,
    has_begun: bool,
}

/// Watches every rung's sink.
pub(super) fn number(pipeline: &gst::Pipeline, order: &Order) -> Result<Counts, Complaint> {
    order.rungs.iter().map(|rung| number_one(pipeline, rung, order.frame_rate)).collect()
}

fn number_one(pipeline: &gst::Pipeline, rung: &Rung, rate: FrameRate) -> Result<Arc<AtomicU64>, Complaint> {
    let written = Arc::new(AtomicU64::new(0));
    let stream = Stream { rung: rung.clone(), rate, written: written.clone(), segment: None, has_begun: false };
    let stream = Mutex::new(stream);
    let watched = PadProbeType::BUFFER | PadProbeType::BUFFER_LIST | PadProbeType::EVENT_DOWNSTREAM;
    let added = super::pad(pipeline, &rung.sink, "sink")?.add_probe(watched, move |_, info| {
        stream.lock().expect("no other user of it can panic").pass(info);
        PadProbeReturn::Ok
    });
    let watched = added.map(|_| written);
    watched.ok_or_else(|| Complaint::new(Ending::Bug, format!("the frames of {} cannot be watched", rung.sink)))
}

impl Stream {
    fn pass(&mut self, info: &mut PadProbeInfo<'_>) {
        match &mut info.data {
            Some(PadProbeData::Event(event)) => {
                if let gst::EventView::Segment(segment) = event.view() {
                    self.segment = segment.segment().downcast_ref::<gst::ClockTime>().cloned();
                }
            }
            Some(PadProbeData::Buffer(buffer)) => *buffer = self.framed(buffer),
            Some(PadProbeData::BufferList(list)) => {
                *list = list.iter_owned().map(|buffer| self.framed(&buffer)).collect();
            }
            _ => {}
        }
    }

    fn framed(&mut self, frame: &gst::Buffer) -> gst::Buffer {
        let mut whole = gst::Buffer::new();
        let parts = whole.make_mut();
        if !self.has_begun {
            self.has_begun = true;
            parts.append_memory(gst::Memory::from_slice(ivf::file_header(&self.rung, self.rate)));
        }
        let size = u32::try_from(frame.size()).expect("no encoder makes frames of 4 GiB");
        parts.append_memory(gst::Memory::from_slice(ivf::frame_header(size, self.place(frame))));
        whole.append(frame.clone());
        self.written.fetch_add(1, Ordering::Relaxed);
        whole
    }

    /// The frame's place on the grid. Encoders begin their times wherever they like, and say so in the segment. One
    /// without a time comes after the one before.
    fn place(&self, frame: &gst::Buffer) -> u64 {
        let shown = frame.pts().zip(self.segment.as_ref()).and_then(|(pts, segment)| segment.to_running_time(pts));
        shown.map_or_else(|| self.written.load(Ordering::Relaxed), |at| self.rate.frame_at(at.nseconds()))
    }
}
