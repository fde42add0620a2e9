//! One run: plug-ins, pipeline, then the bus until the end.

mod blame;
mod damage;
mod frames;
mod grid;
mod plugins;
mod progress;
mod track;

use std::mem::ManuallyDrop;

use gstreamer as gst;
use gstreamer::{MessageView, prelude::*};
use reelmill_gst::{Ending, Order, ending::Complaint};

use progress::Progress;

/// How often progress is told.
const TELL_EVERY: gst::ClockTime = gst::ClockTime::from_mseconds(500);

/// Runs an order to its end.
pub(crate) fn run(order: &Order) -> Result<(), Complaint> {
    gst::init().map_err(|e| Complaint::new(Ending::Missing, format!("cannot start GStreamer: {e}")))?;
    damage::listen();
    let not_loaded = plugins::load(order);
    // The process ends with the run, and nothing is taken down before.
    let pipeline = ManuallyDrop::new(build(order, &not_loaded)?);
    grid::settle(&pipeline, order)?;
    damage::watch(&pipeline)?;
    let counts = frames::number(&pipeline, order)?;
    let track = track::watch(&pipeline)?;
    let bus = pipeline.bus().expect("a pipeline has a bus");
    if pipeline.set_state(gst::State::Playing).is_err() {
        return Err(first_complaint(&bus));
    }
    let mut progress = Progress::new(order.frame_rate, counts);
    loop {
        match bus.timed_pop_filtered(TELL_EVERY, &[gst::MessageType::Eos, gst::MessageType::Error]) {
            None if track.is_missing() => return Err(track::missing()),
            None => progress.tell(),
            Some(message) => match message.view() {
                MessageView::Error(error) => return Err(blame::blame(error)),
                _ => return progress.close(),
            },
        }
    }
}

fn build(order: &Order, not_loaded: &[String]) -> Result<gst::Pipeline, Complaint> {
    let parsed = gst::parse::launch(&order.pipeline).map_err(|e| blame::unbuilt(&e, not_loaded))?;
    let pipeline = parsed.downcast::<gst::Pipeline>();
    let pipeline = pipeline.map_err(|_| Complaint::new(Ending::Bug, "the order describes no pipeline"))?;
    for wish in &order.wishes {
        let Some(element) = pipeline.by_name(&wish.element) else {
            return Err(Complaint::new(Ending::Bug, format!("the pipeline has no element {}", wish.element)));
        };
        if element.has_property(&wish.property) {
            element.set_property_from_str(&wish.property, &wish.value);
        }
    }
    Ok(pipeline)
}

/// What the bus says of a pipeline that did not start.
fn first_complaint(bus: &gst::Bus) -> Complaint {
    let message = bus.timed_pop_filtered(gst::ClockTime::ZERO, &[gst::MessageType::Error]);
    match message.as_ref().map(|message| message.view()) {
        Some(MessageView::Error(error)) => blame::blame(error),
        _ => Complaint::new(Ending::Bug, "the pipeline does not start, and no element says why"),
    }
}

/// A pad of an element.
fn pad(pipeline: &gst::Pipeline, element: &str, name: &str) -> Result<gst::Pad, Complaint> {
    let pad = pipeline.by_name(element).and_then(|element| element.static_pad(name));
    pad.ok_or_else(|| Complaint::new(Ending::Bug, format!("the pipeline has no element {element} with a pad {name}")))
}
