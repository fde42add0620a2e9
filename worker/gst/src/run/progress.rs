//! Tells how far the run is, in the `key=value` lines of ffmpeg's `-progress`, so that a worker reads both alike.

use std::{
    io::{Write, stdout},
    sync::atomic::Ordering,
    time::Instant,
};

use reelmill_gst::{Ending, FrameRate, ending::Complaint};

use super::frames::Counts;

/// How far a run is.
pub(super) struct Progress {
    rate: FrameRate,
    counts: Counts,
    began: Instant,
}

impl Progress {
    pub(super) fn new(rate: FrameRate, counts: Counts) -> Self {
        Self { rate, counts, began: Instant::now() }
    }

    /// Tells where the slowest rung is.
    pub(super) fn tell(&self) {
        self.print("continue");
    }

    /// Tells the end. A source that gave no picture is a bad one.
    pub(super) fn close(&mut self) -> Result<(), Complaint> {
        self.print("end");
        if self.frame() == 0 {
            return Err(Complaint::new(Ending::BadSource, "no picture came out of the source"));
        }
        Ok(())
    }

    fn frame(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Ordering::Relaxed)).min().unwrap_or(0)
    }

    #[allow(clippy::cast_precision_loss, reason = "a figure for people; frame counts are far below 2^53")]
    fn print(&self, state: &str) {
        let frame = self.frame();
        let fps = frame as f64 / self.began.elapsed().as_secs_f64().max(1e-3);
        let micros = self.rate.micros(frame);
        // A worker that no longer listens has killed us already, or will.
        let _ = write!(stdout(), "frame={frame}\nfps={fps:.2}\nout_time_us={micros}\nprogress={state}\n");
        let _ = stdout().flush();
    }
}
