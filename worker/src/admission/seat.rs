//! A task's seat: one of the worker's slots and one of the node's places, left to others while the task waits for pixels.

use std::sync::{Arc, Mutex, PoisonError};

use reelmill_api::{ErrorKind, Failure};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::{Admission, Place, Share};
use crate::pulse::Pulse;

/// The seats of one worker.
#[derive(Debug)]
pub struct Seats {
    /// One for each task that runs.
    slots: Arc<Semaphore>,
    /// As many tasks again may wait for pixels: each is kept from the farm's other nodes.
    room: Arc<Semaphore>,
    node: Admission,
}

/// The seat of one task.
#[derive(Debug)]
pub struct Seat {
    seats: Arc<Seats>,
    taken: Mutex<Option<(OwnedSemaphorePermit, Place)>>,
}

impl Seats {
    /// So many on a node.
    pub fn new(concurrency: usize, node: Admission) -> Arc<Self> {
        let semaphore = || Arc::new(Semaphore::new(concurrency));
        Arc::new(Self { slots: semaphore(), room: semaphore(), node })
    }

    /// A seat for one more task, as soon as there is one.
    ///
    /// # Errors
    /// If the node's places cannot be counted.
    pub async fn free(self: &Arc<Self>) -> Result<Seat, Failure> {
        Ok(Seat { taken: Mutex::new(Some(self.sit().await?)), seats: self.clone() })
    }

    async fn sit(&self) -> Result<(OwnedSemaphorePermit, Place), Failure> {
        let slot = self.slots.clone().acquire_owned().await.expect("nobody closes it");
        Ok((slot, self.node.place().await?))
    }
}

impl Seat {
    /// Waits until the node can take so many pixels per second more, and lets others run meanwhile.
    ///
    /// # Errors
    /// `busy` if as many wait already as may, `canceled` if it is called off; or if the node's shares cannot be counted.
    pub async fn admit(
        &self,
        weight: u64,
        cancel: &CancellationToken,
        pulse: &Pulse,
    ) -> Result<Option<Share>, Failure> {
        let Some(mut share) = self.seats.node.claim(weight).await? else { return Ok(None) };
        if share.is_given() {
            return Ok(Some(share));
        }
        let Ok(_waiting) = self.seats.room.clone().try_acquire_owned() else { return Err(busy(weight)) };
        log::info!("{}: it waits", taken(weight));
        *self.taken() = None;
        let wait = async {
            self.seats.node.given(&mut share).await?;
            let seat = self.seats.sit().await?;
            *self.taken() = Some(seat);
            Ok(())
        };
        tokio::select! {
            // It stands still because others move.
            waited = pulse.during(wait) => waited.map(|()| Some(share)),
            () = cancel.cancelled() => Err(Failure::new(ErrorKind::Canceled, "the run was called off")),
        }
    }

    /// The same without waiting.
    ///
    /// # Errors
    /// `busy` if it would have to wait; or if the node's shares cannot be counted.
    pub async fn admit_now(&self, weight: u64) -> Result<Option<Share>, Failure> {
        match self.seats.node.claim(weight).await? {
            Some(share) if !share.is_given() => Err(busy(weight)),
            share => Ok(share),
        }
    }

    fn taken(&self) -> std::sync::MutexGuard<'_, Option<(OwnedSemaphorePermit, Place)>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn taken(weight: u64) -> String {
    format!("the job makes {weight} pixels per second, and so much is not left of the node's budget")
}

fn busy(weight: u64) -> Failure {
    Failure::new(ErrorKind::Busy, taken(weight)).hint("PIXEL_BUDGET says how much the node makes at once")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_heavy_task_waits_without_keeping_light_ones_from_starting() {
        let folder = tempfile::tempdir().expect("a folder");
        let node = Admission::new(&folder.path().join("node"), Some(2), Some(100)).expect("our folder");
        let seats = Seats::new(2, node);
        let (cancel, pulse) = (CancellationToken::new(), Pulse::default());
        let running = seats.free().await.expect("a seat");
        let share = running.admit(60, &cancel, &pulse).await.expect("admitted").expect("counted");
        let heavy = seats.free().await.expect("a seat");
        let mut waiting = Box::pin(heavy.admit(90, &cancel, &pulse));
        let soon = Duration::from_millis(600);
        assert!(tokio::time::timeout(soon, &mut waiting).await.is_err(), "it does not fit");
        let light = seats.free().await.expect("the heavy one left its seat");
        let little = light.admit(10, &cancel, &pulse).await.expect("admitted").expect("counted");
        assert_eq!(light.admit_now(90).await.expect_err("too much").kind, ErrorKind::Busy);
        drop((share, running));
        assert!(tokio::time::timeout(soon, &mut waiting).await.is_ok(), "it fits now");
        drop((little, light));
    }

    #[tokio::test]
    async fn where_nothing_is_counted_nothing_is_waited_for() {
        let seats = Seats::new(1, Admission::default());
        let seat = seats.free().await.expect("a seat");
        let (cancel, pulse) = (CancellationToken::new(), Pulse::default());
        assert!(seat.admit(u64::MAX, &cancel, &pulse).await.expect("admitted").is_none());
        assert!(seat.admit_now(u64::MAX).await.expect("admitted").is_none());
    }
}
