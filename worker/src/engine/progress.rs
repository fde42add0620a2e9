//! ffmpeg's `-progress` lines into figures that a person can use.

use reelmill_api::Progress;

use crate::plan::Plan;

/// Collects one block of `key=value` lines at a time.
pub(super) struct Meter {
    now: Progress,
    frame_rate: f64,
}

impl Meter {
    pub(super) fn new(plan: &Plan) -> Self {
        let frames_expected = plan.grid.frames.count().unwrap_or(0);
        Self { now: Progress { frames_expected, ..Progress::default() }, frame_rate: plan.grid.frame_rate.as_f64() }
    }

    /// Takes a line; the figures when a block is complete.
    pub(super) fn line(&mut self, line: &str) -> Option<Progress> {
        let (key, value) = line.split_once('=')?;
        let value = value.trim();
        match key {
            "frame" => self.now.frame = value.parse().unwrap_or(self.now.frame),
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
    }
}
