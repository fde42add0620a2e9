//! The leases that this process holds: each an unacknowledged delivery on a channel of its own, with the time when the
//! claim ends by this process' own clock.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex as StdMutex, PoisonError},
    time::Duration,
};

use lapin::options::{BasicAckOptions, BasicNackOptions};
use tokio::{
    sync::{Mutex, MutexGuard, Notify},
    time::Instant,
};

use super::{
    link::{Desk, Trouble, answer},
    parcel::Parcel,
};
use crate::time::deadline;

/// Where a delivery goes when it is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    /// Straight to its lane.
    Lane,
    /// Aside, with the renewed leases, from where it takes some time to its lane.
    Aside,
}

/// A delivery that is neither acknowledged nor returned.
pub(super) struct Held {
    pub(super) desk: Desk,
    pub(super) tag: u64,
    pub(super) home: Home,
    pub(super) parcel: Parcel,
    /// When it was delivered.
    pub(super) since: Instant,
}

impl Held {
    /// Removes it from the server.
    pub(super) async fn ack(&self) -> Result<(), Trouble> {
        answer("an acknowledgement", self.desk.basic_ack(self.tag, BasicAckOptions::default())).await?;
        // An acknowledgement has no answer of its own; the next one on the channel says that it was heard.
        self.desk.settle().await
    }

    /// Returns it.
    pub(super) async fn nack(&self) -> Result<(), Trouble> {
        let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
        answer("a return", self.desk.basic_nack(self.tag, options)).await?;
        self.desk.settle().await
    }
}

/// One claim.
pub(super) struct Lease {
    until: StdMutex<Instant>,
    held: Mutex<Option<Held>>,
}

impl Lease {
    fn until(&self) -> Instant {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is to be done about a lease.
pub(super) enum Due {
    /// It ran out.
    Expired(Box<Held>),
    /// Its delivery has become so old that the server would take it back soon.
    Renewal(String, Arc<Lease>),
}

/// All claims, by their nonces.
#[derive(Default)]
pub(super) struct Leases {
    all: StdMutex<HashMap<String, Arc<Lease>>>,
    changed: Notify,
}

impl Leases {
    /// Keeps a claim for so long.
    pub(super) fn keep(&self, nonce: String, held: Held, lasting: Duration) {
        let until = StdMutex::new(deadline(lasting));
        self.lock().insert(nonce, Arc::new(Lease { until, held: Mutex::new(Some(held)) }));
        self.changed.notify_one();
    }

    /// The claim with this nonce.
    pub(super) fn get(&self, nonce: &str) -> Option<Arc<Lease>> {
        self.lock().get(nonce).cloned()
    }

    /// Ends the claim on what was settled or lost.
    pub(super) fn forget(&self, nonce: &str) {
        self.lock().remove(nonce);
    }

    /// Lets it hold for so long from now.
    pub(super) fn prolong(&self, lease: &Lease, lasting: Duration) {
        *lease.until.lock().unwrap_or_else(PoisonError::into_inner) = deadline(lasting);
        self.changed.notify_one();
    }

    /// Waits until a lease runs out or its delivery is older than `renew_after`. One in use by a call is asked about again
    /// a moment later.
    pub(super) async fn due(&self, renew_after: Duration, in_use: Duration) {
        let next = {
            let all = self.lock();
            let soonest = |lease: &Arc<Lease>| match lease.held.try_lock() {
                Ok(held) => held.as_ref().map_or_else(Instant::now, |held| lease.until().min(held.since + renew_after)),
                Err(_) => Instant::now() + in_use,
            };
            all.values().map(soonest).min()
        };
        match next {
            Some(next) => tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = self.changed.notified() => {}
            },
            None => self.changed.notified().await,
        }
    }

    /// What has come due.
    pub(super) fn take_due(&self, renew_after: Duration) -> Vec<Due> {
        let (now, mut due) = (Instant::now(), Vec::new());
        self.lock().retain(|nonce, lease| {
            let Ok(mut held) = lease.held.try_lock() else { return true };
            match &*held {
                Some(open) if !open.desk.is_open() => false,
                Some(_) if lease.until() <= now => {
                    due.extend(held.take().map(Box::new).map(Due::Expired));
                    false
                }
                Some(old) if old.since + renew_after <= now => {
                    due.push(Due::Renewal(nonce.clone(), lease.clone()));
                    true
                }
                Some(_) => true,
                None => false,
            }
        });
        due
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Lease>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// The delivery, if the claim still holds; for as long as the guard lives, nobody else touches it.
    pub(super) async fn hold(&self) -> Result<MutexGuard<'_, Option<Held>>, Trouble> {
        let mut held = self.held.lock().await;
        match &*held {
            Some(open) if !open.desk.is_open() => {
                *held = None;
                Err(Trouble::Lost)
            }
            Some(_) if self.until() > Instant::now() => Ok(held),
            // The one that ran out is returned by the caretaker.
            _ => Err(Trouble::Lost),
        }
    }
}
