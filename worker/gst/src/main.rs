//! reelmill-gst: runs one GStreamer pipeline that a worker has planned, and writes each rung's frames to a descriptor that
//! is open already. It opens no file but plug-ins and reads no setting: all that it needs is in the order.

mod run;

use std::{io::Read, process::exit};

use reelmill_gst::{Ending, Order, ending::Complaint};

/// An order is a few thousand bytes.
const LARGEST_ORDER: u64 = 1 << 20;

fn main() {
    let ended = read_order().and_then(|order| run::run(&order));
    let ending = match ended {
        Ok(()) => Ending::Done,
        Err(complaint) => {
            eprintln!("error: {complaint}");
            complaint.ending
        }
    };
    // Not by returning: all is written, and a driver that hangs while its pipeline is taken down would keep the readers
    // waiting for the end.
    exit(i32::from(ending.code()))
}

fn read_order() -> Result<Order, Complaint> {
    let mut text = String::new();
    let wrong = |why: String| Complaint::new(Ending::Bug, format!("cannot read the order on standard input: {why}"));
    std::io::stdin().take(LARGEST_ORDER).read_to_string(&mut text).map_err(|e| wrong(e.to_string()))?;
    serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))
}
