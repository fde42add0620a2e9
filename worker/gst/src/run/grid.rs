//! Puts the first picture where the plan wants it. Demuxers disagree about what time a source begins with; the plan knows
//! from the probe, so all times before `grid` are counted from the first picture that comes. And lets none out from after
//! the last one's end: where the rate is lowered, videorate adds one.

use std::sync::{Arc, Mutex};

use gstreamer as gst;
use gstreamer::{PadProbeData, PadProbeInfo, PadProbeReturn, PadProbeType, prelude::*};
use reelmill_gst::{Ending, Order, ending::Complaint};

/// The element that makes the rate constant.
pub(super) const GRID: &str = "grid";

/// What is known of a source's own times.
#[derive(Default)]
struct Times {
    segment: Option<gst::FormattedSegment<gst::ClockTime>>,
    first: Option<gst::ClockTime>,
    /// When the last picture so far is no longer shown, on the grid.
    end: gst::ClockTime,
}

/// Watches the frames that come to the grid, and renames their times.
pub(super) fn settle(pipeline: &gst::Pipeline, order: &Order) -> Result<(), Complaint> {
    let begins = gst::ClockTime::from_useconds(order.first_picture_micros);
    let frame = gst::ClockTime::from_useconds(order.frame_rate.micros(1).max(1));
    let times = Arc::new(Mutex::new(Times::default()));
    let of_source = times.clone();
    let watched = PadProbeType::BUFFER | PadProbeType::EVENT_DOWNSTREAM;
    let incoming = super::pad(pipeline, GRID, "sink")?.add_probe(watched, move |_, info| {
        rename(&mut of_source.lock().expect("no other user of it can panic"), begins, frame, info)
    });
    let outgoing = super::pad(pipeline, GRID, "src")?.add_probe(PadProbeType::BUFFER, move |_, info| {
        let end = times.lock().expect("no other user of it can panic").end;
        let shown = info.buffer().and_then(|buffer| buffer.pts());
        if shown.is_some_and(|shown| shown >= end) { PadProbeReturn::Drop } else { PadProbeReturn::Ok }
    });
    let watched = incoming.and(outgoing).map(|_| ());
    watched.ok_or_else(|| Complaint::new(Ending::Bug, "the frames on the way to the grid cannot be watched"))
}

fn rename(
    times: &mut Times,
    begins: gst::ClockTime,
    frame: gst::ClockTime,
    info: &mut PadProbeInfo<'_>,
) -> PadProbeReturn {
    match &mut info.data {
        Some(PadProbeData::Event(event)) => {
            let gst::EventView::Segment(segment) = event.view() else { return PadProbeReturn::Ok };
            times.segment = segment.segment().downcast_ref::<gst::ClockTime>().cloned();
            let plain = gst::FormattedSegment::<gst::ClockTime>::new();
            *event = gst::event::Segment::builder(&plain).seqnum(event.seqnum()).build();
            PadProbeReturn::Ok
        }
        Some(PadProbeData::Buffer(buffer)) => {
            let Some(shown) = buffer.pts().and_then(|pts| times.shown_at(pts)) else { return PadProbeReturn::Drop };
            let first = *times.first.get_or_insert(shown);
            // A picture from before the first one is no picture of this grid.
            let Some(since) = shown.checked_sub(first) else { return PadProbeReturn::Drop };
            let buffer = buffer.make_mut();
            buffer.set_pts(begins + since);
            times.end = times.end.max(begins + since + buffer.duration().unwrap_or(frame));
            buffer.set_dts(gst::ClockTime::NONE);
            PadProbeReturn::Ok
        }
        _ => PadProbeReturn::Ok,
    }
}

impl Times {
    /// When a picture is shown, counted over all of a source's segments.
    fn shown_at(&self, pts: gst::ClockTime) -> Option<gst::ClockTime> {
        self.segment.as_ref()?.to_running_time(pts)
    }
}
