//! The encoder sessions of one worker.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::claims::Claim;

/// All of them.
#[derive(Debug)]
pub(super) struct Slots {
    total: u64,
    claims: Mutex<BTreeMap<u64, Claim>>,
    freed: Notify,
}

/// What one task has of them, or waits for; free again when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    number: u64,
}

impl Slots {
    pub(super) fn new(total: usize) -> Arc<Self> {
        let total = u64::try_from(total).unwrap_or(u64::MAX);
        Arc::new(Self { total, claims: Mutex::default(), freed: Notify::new() })
    }

    /// So many, as soon as there are.
    pub(super) async fn take(self: &Arc<Self>, weight: u64) -> Slot {
        let mut slot = self.claim(weight);
        loop {
            let freed = self.freed.notified();
            if slot.resize(weight) {
                return slot;
            }
            freed.await;
        }
    }

    fn claim(self: &Arc<Self>, weight: u64) -> Slot {
        let mut claims = self.claims();
        let number = claims.last_key_value().map_or(0, |(last, _)| last + 1);
        claims.insert(number, Claim::new(weight));
        Slot { slots: self.clone(), number }
    }

    fn claims(&self) -> MutexGuard<'_, BTreeMap<u64, Claim>> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Whether it could be one of so many.
    pub(super) fn fits(&self, weight: u64) -> bool {
        self.resized(&self.slots.claims(), weight).is_some()
    }

    /// Makes it one of so many, if there are so many; else it stays as it is.
    pub(super) fn resize(&mut self, weight: u64) -> bool {
        let mut claims = self.slots.claims();
        let Some(resized) = self.resized(&claims, weight) else { return false };
        let is_less = claims.insert(self.number, resized).is_some_and(|before| before.is_less(weight));
        if is_less {
            self.slots.freed.notify_waiters();
        }
        true
    }

    fn resized(&self, claims: &BTreeMap<u64, Claim>, weight: u64) -> Option<Claim> {
        let others = claims.iter().filter(|(number, _)| **number != self.number);
        let others: Vec<_> = others.map(|(_, claim)| claim.clone()).collect();
        claims[&self.number].resized(weight, &others, self.slots.total)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.claims().remove(&self.number);
        self.slots.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn there_are_never_more_than_there_are_and_what_is_given_back_is_there_for_others() {
        let slots = Slots::new(3);
        let (mut first, second) = (slots.take(1).await, slots.take(1).await);
        assert!(!first.resize(3), "one is taken");
        assert!(first.resize(2));
        let mut third = Box::pin(slots.take(1));
        assert!(tokio::time::timeout(Duration::from_millis(50), &mut third).await.is_err(), "all are taken");
        assert!(first.resize(1));
        let third = third.await;
        drop((second, third));
        assert!(first.resize(50), "more than there are, for one that is alone");
    }
}
