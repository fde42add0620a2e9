//! Removing what is done: first a body, then its record.
//!
//! Both stay for some minutes. The server remembers a dedupe key, over a restart of its own, by the message that had it.
//! And one that was killed may have forgotten that a body was removed; while the record is there, nobody takes it up again.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use reelmill_api::Lane;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    index::{Number, Version},
    watch::{Watch, nanos},
};
use crate::{DEDUPE_MEMORY, QueueError};

/// How long what is done is kept.
const KEPT: Duration = Duration::from_secs(DEDUPE_MEMORY.as_secs() + 60);
/// How long until others sweep what the one who did it may have left behind.
const ORPHANED: Duration = Duration::from_secs(KEPT.as_secs() + 120);
/// How often it is swept.
const EVERY: Duration = Duration::from_secs(15);
/// How many removals are under way at once.
const AT_ONCE: usize = 16;

/// What is to be removed, by when.
#[derive(Debug, Default)]
pub(super) struct Trash(BTreeMap<(Instant, Version), Option<(Lane, Number)>>);

impl Trash {
    /// A message was done by this process just now.
    pub(super) fn made(&mut self, now: Instant, lane: Lane, number: Number, version: Version) {
        self.0.insert((now + KEPT, version), Some((lane, number)));
    }

    /// A message was done by another, so long `ago`.
    pub(super) fn found(&mut self, now: Instant, ago: Duration, lane: Lane, number: Number, version: Version) {
        self.0.insert((when(now, ago), version), Some((lane, number)));
    }

    /// A connection wrote a record to learn the time, and did not remove it.
    pub(super) fn found_clock(&mut self, now: Instant, ago: Duration, version: Version) {
        self.0.insert((when(now, ago), version), None);
    }

    fn take(&mut self, now: Instant, most: usize) -> Vec<(Version, Option<(Lane, Number)>)> {
        let due: Vec<_> = self.0.range(..(now, Version::MAX)).take(most).map(|(key, _)| *key).collect();
        due.into_iter().filter_map(|key| Some((key.1, self.0.remove(&key)?))).collect()
    }

    fn put_back(&mut self, now: Instant, version: Version, message: Option<(Lane, Number)>) {
        self.0.insert((now + EVERY, version), message);
    }
}

/// When others sweep it: not all of them at once, for one is enough.
fn when(now: Instant, ago: Duration) -> Instant {
    let part = f64::from(Uuid::new_v4().as_fields().0) / f64::from(u32::MAX);
    now + ORPHANED.saturating_sub(ago) + EVERY.mul_f64(1.0 + 4.0 * part)
}

impl Watch {
    /// Sweeps until the task is aborted.
    pub(super) async fn sweep(self: Arc<Self>) {
        loop {
            tokio::time::sleep(EVERY).await;
            while self.is_live() && self.sweep_some().await {}
            self.sweep_notices().await;
        }
    }

    /// Whether there may be more to sweep.
    async fn sweep_some(&self) -> bool {
        let due = self.known().trash.take(Instant::now(), AT_ONCE);
        let more = due.len() == AT_ONCE;
        let removals = due.into_iter().map(|(version, message)| async move {
            let Err(e) = self.remove_done(version, message.as_ref().map(|m| m.1)).await else { return true };
            log::debug!("{e}: trying again later");
            self.known().trash.put_back(Instant::now(), version, message);
            false
        });
        let all = futures::future::join_all(removals).await;
        more && all.into_iter().all(|removed| removed)
    }

    async fn remove_done(&self, version: Version, number: Option<Number>) -> Result<(), QueueError> {
        let doing = || "remove what is done".to_owned();
        if let Some(number) = number {
            self.link.remove(doing, &self.names.tasks, number).await?;
        }
        self.link.remove(doing, &self.names.state, version).await?;
        if let Some(number) = number {
            self.known().index.forget(number);
        }
        Ok(())
    }

    async fn sweep_notices(&self) {
        let clock = self.clock();
        let versions = self.known().board.swept(clock, nanos(ORPHANED));
        for version in versions {
            let removed = self.link.remove(|| "remove a notice".to_owned(), &self.names.state, version).await;
            if let Err(e) = removed {
                log::debug!("{e}: the next who reads all notices tries again");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_out_what_is_due_and_nothing_else() {
        let (now, lane) = (Instant::now(), "q".parse::<Lane>().expect("a lane"));
        let mut trash = Trash::default();
        trash.made(now, lane.clone(), 1, 11);
        trash.found(now, Duration::ZERO, lane.clone(), 2, 12);
        trash.found(now, Duration::MAX, lane.clone(), 3, 13);
        trash.found_clock(now, Duration::MAX, 14);
        assert!(trash.take(now, 9).is_empty(), "not all who find it sweep it at once");
        let mut soon: Vec<_> = trash.take(now + EVERY * 6, 9).into_iter().map(|(version, _)| version).collect();
        soon.sort_unstable();
        assert_eq!(soon, [13, 14]);
        assert_eq!(trash.take(now + KEPT, 9), [(11, Some((lane.clone(), 1)))]);
        trash.put_back(now, 11, Some((lane, 1)));
        assert_eq!(trash.take(now + ORPHANED + EVERY * 6, 1).len(), 1);
    }
}
