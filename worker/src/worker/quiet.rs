//! A log that is not flooded by a queue that is away.

use reelmill_queue::QueueError;

/// Says once that the queue is gone, and once that it is back.
#[derive(Default)]
pub(super) struct QuietLog {
    down: bool,
}

impl QuietLog {
    pub(super) fn failed(&mut self, error: &QueueError) {
        if !self.down {
            log::error!("{error}; trying again until it answers");
        }
        self.down = true;
    }

    pub(super) fn well(&mut self) {
        if self.down {
            log::info!("the queue answers again");
        }
        self.down = false;
    }
}
