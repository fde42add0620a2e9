//! A task's seat: what it has of the worker's and of the node's encoder sessions, left to others while it waits for more.

use std::sync::Arc;

use reelmill_api::{ErrorKind, Failure};
use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;

use super::{
    Load, Node, Share,
    node::Resource,
    slots::{Slot, Slots},
};
use crate::pulse::Pulse;

/// The seats of one worker.
#[derive(Debug)]
pub struct Seats {
    slots: Arc<Slots>,
    /// So many tasks may wait for their turn: each is kept from the farm's other nodes.
    room: Arc<Semaphore>,
    node: Node,
}

/// The seat of one task.
#[derive(Debug)]
pub struct Seat {
    seats: Arc<Seats>,
    taken: Mutex<Option<Taken>>,
}

/// Sessions that are taken: of the worker, and of the node where those are counted.
#[derive(Debug)]
struct Taken {
    slot: Slot,
    share: Option<Share>,
}

impl Seats {
    /// So many encoder sessions on a node.
    pub fn new(sessions: usize, node: Node) -> Arc<Self> {
        Arc::new(Self { slots: Slots::new(sessions), room: Arc::new(Semaphore::new(sessions)), node })
    }

    /// A seat for one more task, as soon as a session is free. Until it is [occupied](Seat::occupy), sessions are anyone's.
    ///
    /// # Errors
    /// If the node's sessions cannot be counted.
    pub async fn free(self: &Arc<Self>) -> Result<Seat, Failure> {
        let seat = self.reserve(1).await?;
        seat.occupy(0).await?;
        Ok(seat)
    }

    /// A seat that has so many sessions, as soon as they are free: nothing that comes later gets them before.
    ///
    /// # Errors
    /// If the node's sessions cannot be counted.
    pub async fn reserve(self: &Arc<Self>, sessions: u64) -> Result<Seat, Failure> {
        let taken = self.sit(sessions).await?;
        Ok(Seat { taken: Mutex::new(Some(taken)), seats: self.clone() })
    }

    /// First of the worker, then of the node: whoever waits for both holds none that another waits for who has the other.
    async fn sit(&self, sessions: u64) -> Result<Taken, Failure> {
        let slot = self.slots.take(sessions).await;
        let mut share = self.node.claim(Resource::Sessions, sessions).await?;
        if let Some(share) = &mut share {
            share.given().await?;
        }
        Ok(Taken { slot, share })
    }
}

impl Taken {
    async fn fits(&self, sessions: u64) -> Result<bool, Failure> {
        Ok(self.slot.fits(sessions)
            && match &self.share {
                Some(share) => share.fits(sessions).await?,
                None => true,
            })
    }

    /// All of so many, or what it was before.
    async fn resize(&mut self, sessions: u64) -> Result<bool, Failure> {
        let Self { slot, share } = self;
        match share {
            Some(share) => {
                let before = share.weight();
                if !share.resize(sessions).await? {
                    return Ok(false);
                }
                if slot.resize(sessions) {
                    return Ok(true);
                }
                share.resize(before).await?;
                Ok(false)
            }
            None => Ok(slot.resize(sessions)),
        }
    }
}

impl Seat {
    /// Whether a task that takes so many sessions could begin now.
    ///
    /// # Errors
    /// If the node's sessions cannot be counted.
    pub async fn fits(&self, sessions: u64) -> Result<bool, Failure> {
        match &*self.taken.lock().await {
            Some(taken) => taken.fits(sessions).await,
            None => Ok(false),
        }
    }

    /// Takes so many sessions for a task that has come; whether they are still free.
    ///
    /// # Errors
    /// If the node's sessions cannot be counted.
    pub async fn occupy(&self, sessions: u64) -> Result<bool, Failure> {
        match &mut *self.taken.lock().await {
            Some(taken) => taken.resize(sessions).await,
            None => Ok(false),
        }
    }

    /// Waits until worker and node can take so much more, and lets others run meanwhile.
    ///
    /// # Errors
    /// `busy` if as many wait already as may, `canceled` if it is called off; or if the node's shares cannot be counted.
    pub async fn admit(&self, load: Load, cancel: &CancellationToken, pulse: &Pulse) -> Result<Option<Share>, Failure> {
        let (mut pixels, is_admitted) = self.ask(load).await?;
        if is_admitted {
            return Ok(pixels);
        }
        let Ok(_waiting) = self.seats.room.clone().try_acquire_owned() else { return Err(busy(load)) };
        log::info!("{}: it waits", taken(load));
        *self.taken.lock().await = None;
        let wait = async {
            if let Some(pixels) = &mut pixels {
                pixels.given().await?;
            }
            let sessions = self.seats.sit(load.sessions).await?;
            *self.taken.lock().await = Some(sessions);
            Ok(())
        };
        tokio::select! {
            // It stands still because others move.
            waited = pulse.during(wait) => waited.map(|()| pixels),
            () = cancel.cancelled() => Err(Failure::new(ErrorKind::Canceled, "the run was called off")),
        }
    }

    /// The same without waiting.
    ///
    /// # Errors
    /// `busy` if it would have to wait; or if the node's shares cannot be counted.
    pub async fn admit_now(&self, load: Load) -> Result<Option<Share>, Failure> {
        let (pixels, is_admitted) = self.ask(load).await?;
        if is_admitted { Ok(pixels) } else { Err(busy(load)) }
    }

    /// Its claim on pixels, and whether it has all that it needs.
    async fn ask(&self, load: Load) -> Result<(Option<Share>, bool), Failure> {
        let pixels = self.seats.node.claim(Resource::Pixels, load.pixels).await?;
        let is_admitted = pixels.as_ref().is_none_or(Share::is_given) && self.occupy(load.sessions).await?;
        Ok((pixels, is_admitted))
    }
}

fn taken(load: Load) -> String {
    let Load { sessions, pixels } = load;
    format!(
        "the job makes {pixels} pixels per second in {sessions} encoder sessions, and so much is not left of the node's"
    )
}

fn busy(load: Load) -> Failure {
    Failure::new(ErrorKind::Busy, taken(load))
        .hint("CONCURRENCY, NODE_CONCURRENCY and PIXEL_BUDGET say how much is made at once")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SOON: Duration = Duration::from_millis(600);

    fn load(sessions: u64, pixels: u64) -> Load {
        Load { sessions, pixels }
    }

    async fn occupied(seats: &Arc<Seats>) -> Seat {
        let seat = seats.free().await.expect("a seat");
        assert!(seat.occupy(1).await.expect("counted"));
        seat
    }

    #[tokio::test]
    async fn a_heavy_task_waits_without_keeping_light_ones_from_starting() {
        let folder = tempfile::tempdir().expect("a folder");
        let node = Node::new(&folder.path().join("node"), Some(2), Some(100)).expect("our folder");
        let seats = Seats::new(2, node);
        let (cancel, pulse) = (CancellationToken::new(), Pulse::default());
        let running = occupied(&seats).await;
        let share = running.admit(load(1, 60), &cancel, &pulse).await.expect("admitted").expect("counted");
        let heavy = occupied(&seats).await;
        let mut waiting = Box::pin(heavy.admit(load(1, 90), &cancel, &pulse));
        assert!(tokio::time::timeout(SOON, &mut waiting).await.is_err(), "it does not fit");
        let light = occupied(&seats).await;
        let little = light.admit(load(1, 10), &cancel, &pulse).await.expect("admitted").expect("counted");
        assert_eq!(light.admit_now(load(1, 90)).await.expect_err("too much").kind, ErrorKind::Busy);
        drop((share, running));
        assert!(tokio::time::timeout(SOON, &mut waiting).await.is_ok(), "it fits now");
        drop((little, light));
    }

    #[tokio::test]
    async fn sessions_are_counted_and_not_tasks() {
        let folder = tempfile::tempdir().expect("a folder");
        let node = || Node::new(&folder.path().join("node"), Some(6), None).expect("our folder");
        let [seats, others] = [(); 2].map(|()| Seats::new(5, node()));
        let (cancel, pulse) = (CancellationToken::new(), Pulse::default());
        let ladder = occupied(&seats).await;
        let idle = seats.free().await.expect("nobody has a session that only waits for a task");
        ladder.admit(load(4, 0), &cancel, &pulse).await.expect("admitted");
        assert!(idle.occupy(1).await.expect("counted"), "the fifth");
        assert!(tokio::time::timeout(SOON, seats.free()).await.is_err(), "there is no sixth on this worker");
        let other = occupied(&others).await;
        assert!(tokio::time::timeout(SOON, others.free()).await.is_err(), "nor a seventh on this node");
        let mut two = Box::pin(other.admit(load(2, 0), &cancel, &pulse));
        assert!(tokio::time::timeout(SOON, &mut two).await.is_err());
        drop(ladder);
        tokio::time::timeout(SOON, &mut two).await.expect("the ladder has ended").expect("admitted");
        idle.admit(load(4, 0), &cancel, &pulse).await.expect("admitted");
    }

    #[tokio::test]
    async fn a_task_that_comes_when_all_sessions_were_taken_meanwhile_has_no_seat() {
        let seats = Seats::new(2, Node::default());
        let (cancel, pulse) = (CancellationToken::new(), Pulse::default());
        let ladder = occupied(&seats).await;
        let idle = seats.free().await.expect("one is free");
        assert!(idle.fits(1).await.expect("counted") && !idle.fits(2).await.expect("counted"));
        ladder.admit(load(5, 0), &cancel, &pulse).await.expect("more than there are, and alone");
        assert!(!idle.fits(1).await.expect("counted"));
        assert!(!idle.occupy(1).await.expect("counted"));
    }

    #[tokio::test]
    async fn sessions_that_are_reserved_are_there_for_whoever_reserved_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let node = || Node::new(&folder.path().join("node"), Some(3), None).expect("our folder");
        let [seats, others] = [(); 2].map(|()| Seats::new(3, node()));
        let (light, other) = (occupied(&seats).await, occupied(&others).await);
        assert!(!seats.free().await.expect("a third").fits(2).await.expect("counted"));
        let mut reserved = Box::pin(seats.reserve(3));
        assert!(tokio::time::timeout(SOON, &mut reserved).await.is_err(), "one is taken here");
        drop(light);
        assert!(tokio::time::timeout(SOON, &mut reserved).await.is_err(), "and one by another worker");
        drop(other);
        let heavy = reserved.await.expect("a seat");
        assert!(tokio::time::timeout(SOON, seats.free()).await.is_err());
        assert!(heavy.occupy(3).await.expect("counted"));
    }

    #[tokio::test]
    async fn where_nothing_is_counted_nothing_is_waited_for() {
        let seats = Seats::new(1, Node::default());
        let seat = occupied(&seats).await;
        let (cancel, pulse) = (CancellationToken::new(), Pulse::default());
        assert!(seat.admit(load(1, u64::MAX), &cancel, &pulse).await.expect("admitted").is_none());
        assert!(seat.admit_now(load(9, u64::MAX)).await.expect("admitted").is_none());
    }
}
