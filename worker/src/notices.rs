//! What all workers of the farm are told, as this one last read it: one reader for all its tasks. A queue that is away is
//! no reason to forget it.

use std::{collections::BTreeSet, sync::Mutex, time::Duration};

use reelmill_api::{JobId, Lane, Notice};
use reelmill_queue::Queue;
use tokio::{sync::watch, time::Instant};

/// How often notices are read: as late as a job in work may learn that it was canceled.
const EVERY: Duration = Duration::from_secs(1);
/// After how long without an answer it is told that notices come late: whatever else fails with the queue tells sooner.
const SILENCE: Duration = Duration::from_secs(30);

/// The notices that are up.
#[derive(Debug)]
pub struct Notices {
    up: watch::Sender<Option<BTreeSet<Notice>>>,
    silence: Mutex<Silence>,
}

/// Since when there is no answer.
#[derive(Debug, Default)]
struct Silence {
    since: Option<Instant>,
    told: bool,
}

impl Default for Notices {
    fn default() -> Self {
        Self { up: watch::Sender::new(None), silence: Mutex::default() }
    }
}

impl Notices {
    /// Reads them again and again. Never ends.
    pub async fn follow(&self, queue: &dyn Queue) {
        loop {
            match queue.notices().await {
                Ok(notices) => self.read(notices),
                Err(e) => self.silent(&e),
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    fn read(&self, notices: BTreeSet<Notice>) {
        let was = std::mem::take(&mut *self.silence.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        if was.told {
            log::info!("notices can be read again");
        }
        self.up.send_if_modified(|up| {
            let changed = up.as_ref() != Some(&notices);
            if changed {
                *up = Some(notices);
            }
            changed
        });
    }

    fn silent(&self, error: &reelmill_queue::QueueError) {
        let mut silence = self.silence.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let since = *silence.since.get_or_insert_with(Instant::now);
        if since.elapsed() >= SILENCE && !silence.told {
            let meanwhile = match *self.up.borrow() {
                Some(_) => "what is canceled or paused meanwhile is heeded late",
                None => "no task is taken before it is known what is canceled or paused",
            };
            let hint = error.hint().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
            log::warn!("{error}: {meanwhile}{hint}");
            silence.told = true;
        }
    }

    /// Returns once they have been read.
    pub async fn known(&self) {
        self.until(|_| true).await;
    }

    /// Returns when they have changed since this was called, whenever it is waited for.
    pub fn changed(&self) -> impl Future<Output = ()> + use<> {
        let mut up = self.up.subscribe();
        async move {
            // The sender is here for as long as anybody waits.
            let _ = up.changed().await;
        }
    }

    /// Whether a job was canceled.
    pub fn is_canceled(&self, job: JobId) -> bool {
        self.holds(&Notice::Canceled(job))
    }

    /// Returns when a job is canceled.
    pub async fn canceled(&self, job: JobId) {
        self.until(|up| up.contains(&Notice::Canceled(job))).await;
    }

    /// Whether nothing is to be leased from a lane.
    pub fn is_paused(&self, lane: &Lane) -> bool {
        self.holds(&Notice::Paused(lane.clone()))
    }

    fn holds(&self, notice: &Notice) -> bool {
        self.up.borrow().as_ref().is_some_and(|up| up.contains(notice))
    }

    async fn until(&self, wanted: impl Fn(&BTreeSet<Notice>) -> bool) {
        let mut up = self.up.subscribe();
        // The sender is here for as long as anybody waits.
        let _ = up.wait_for(|up| up.as_ref().is_some_and(&wanted)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_read_is_known_until_it_is_read_otherwise() {
        let notices = Notices::default();
        let (lane, job) = ("reelmill-a".parse::<Lane>().expect("a lane"), JobId::new(uuid::Uuid::from_u128(7)));
        assert!(!notices.is_paused(&lane), "nothing is known yet");
        notices.read([Notice::Paused(lane.clone())].into());
        notices.known().await;
        assert!(notices.is_paused(&lane) && !notices.is_canceled(job));
        let lost = reelmill_queue::QueueError::LeaseLost { lane: lane.clone() };
        notices.silent(&lost);
        assert!(notices.is_paused(&lane), "a queue that is away takes nothing down");
        notices.read([Notice::Canceled(job)].into());
        notices.canceled(job).await;
        assert!(!notices.is_paused(&lane) && notices.is_canceled(job));
    }
}
