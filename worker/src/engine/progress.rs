//! ffmpeg's `-progress` lines into figures that a person can use.

use std::time::Duration;

use reelmill_api::Progress;

use crate::plan::Plan;

/// Collects one block of `key=value` lines at a time.
pub(super) struct Meter {
    now: Progress,
    out: Duration,
    frame_rate: f64,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reached {
    /// Frames that came out.
    pub(super) frame: u64,
    /// How long the longest of its outputs is; not told by all programs.
    pub(super) out: Duration,
}

impl Meter {
    pub(super) fn new(plan: &Plan) -> Self {
        let frames_expected = plan.grid.frames.count().unwrap_or(0);
        let now = Progress { frames_expected, ..Progress::default() };
        Self { now, out: Duration::ZERO, frame_rate: plan.grid.frame_rate.as_f64() }
    }

    /// How far the run is by the last lines.
    pub(super) fn reached(&self) -> Reached {
        Reached { frame: self.now.frame, out: self.out }
    }

    /// Takes a line; the figures when a block is complete.
    pub(super) fn line(&mut self, line: &str) -> Option<Progress> {
        let (key, value) = line.split_once('=')?;
        let value = value.trim();
        match key {
            "frame" => self.now.frame = value.parse().unwrap_or(self.now.frame),
            // `N/A`, or a time before 0, until there is a packet.
            "out_time_us" => self.out = value.parse().map_or(self.out, Duration::from_micros),
            "fps" => self.now.fps = value.parse().unwrap_or(self.now.fps),
            "progress" => return Some(self.complete()),
            _ => {}
        }
        None
    }

    fn complete(&mut self) -> Progress {
        self.now.speed = self.now.fps / self.frame_rate;
        let left = self.now.frames_expected.saturating_sub(self.now.frame);
        #[allow(clippy::cast_precision_loss, reason = "an estimate; frame counts are far below 2^53")]
        let eta = || left as f64 / self.now.fps;
        self.now.eta_seconds = (self.now.fps > 0.0 && self.now.frames_expected > 0).then(eta);
        self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::{hls_ladder, source};

    #[test]
    fn tells_how_far_how_fast_and_how_long() {
        let plan = crate::plan::plan(&hls_ladder(), &source(640, 360, "25/1")).expect("a plan");
        let mut meter = Meter::new(&plan);
        let text = "frame=100\nfps=50.00\nstream_0_0_q=28.0\nbitrate=N/A\nout_time=N/A\nspeed=N/A\nprogress=continue";
        let told: Vec<_> = text.lines().filter_map(|l| meter.line(l)).collect();
        let want = Progress { frame: 100, frames_expected: 250, fps: 50.0, speed: 2.0, eta_seconds: Some(3.0) };
        assert_eq!(told, [want]);
        assert_eq!(meter.reached(), Reached { frame: 100, out: Duration::ZERO });
        for line in ["out_time_us=2500000", "out_time_us=N/A", "out_time_us=-40000", "out_time=00:00:09.000000"] {
            meter.line(line);
        }
        assert_eq!(meter.reached(), Reached { frame: 100, out: Duration::from_millis(2500) });
    }
}
