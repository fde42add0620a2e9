//! Removing what is done: first a body, then its record.
//!
//! Both stay for some minutes. The server remembers a dedupe key, over a restart of its own, by the message that had it.
//! And one that was killed may have forgotten that a body was removed; while the record is there, nobody takes it up again.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::Instant;
use uuid::Uuid;

use super::{
    index::{Number, Version},
    link::Which,
    record::Nanos,
    watch::{Watch, nanos, stored},
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

/// What is to be removed, by when and by its record's number.
#[derive(Debug, Default)]
pub(super) struct Trash(BTreeMap<(Instant, Version), Item>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item {
    /// A body and its record; the body by when it was stored, should another have its number by then.
    Message(Number, Nanos),
    /// A record.
    Record,
    /// What is known of a message, which somebody else removes.
    Memory(Number),
}

impl Trash {
    /// A message was done by this process just now.
    pub(super) fn made(&mut self, now: Instant, number: Number, born: Nanos, version: Version) {
        self.0.insert((now + KEPT, version), Item::Message(number, born));
    }

    /// A message was done by another just now, who removes it.
    pub(super) fn heard(&mut self, now: Instant, number: Number, version: Version) {
        self.0.insert((now + ORPHANED, version), Item::Memory(number));
    }

    /// A message was done so long `ago`, by one who may be gone.
    pub(super) fn found(&mut self, now: Instant, ago: Duration, (number, born): (Number, Nanos), version: Version) {
        self.0.insert((when(now, ago), version), Item::Message(number, born));
    }

    /// A record is of no use: of a message without a body, or of a connection that only wanted to know the time.
    pub(super) fn found_record(&mut self, now: Instant, ago: Duration, version: Version) {
        self.0.insert((when(now, ago), version), Item::Record);
    }

    fn take(&mut self, now: Instant, most: usize) -> Vec<(Version, Item)> {
        let due: Vec<_> = self.0.range(..(now, Version::MAX)).take(most).map(|(key, _)| *key).collect();
        due.into_iter().filter_map(|key| Some((key.1, self.0.remove(&key)?))).collect()
    }

    fn put_back(&mut self, now: Instant, version: Version, item: Item) {
        self.0.insert((now + EVERY, version), item);
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
            while self.is_live() && self.sweep_some(Instant::now()).await {}
            self.sweep_notices().await;
        }
    }

    /// Removes what is due by then; whether there may be more.
    async fn sweep_some(&self, by: Instant) -> bool {
        let due = self.known().trash.take(by, AT_ONCE);
        let more = due.len() == AT_ONCE;
        let removals = due.into_iter().map(|(version, item)| async move {
            let Err(e) = self.remove_item(version, item).await else { return true };
            log::debug!("{e}: trying again later");
            self.known().trash.put_back(Instant::now(), version, item);
            false
        });
        let all = futures::future::join_all(removals).await;
        more && all.into_iter().all(|removed| removed)
    }

    async fn remove_item(&self, version: Version, item: Item) -> Result<(), QueueError> {
        let doing = || "remove what is done".to_owned();
        if let Item::Message(number, born) = item {
            let body = self.link.read(doing, &self.names.tasks, &Which::Number(number)).await?;
            if body.is_some_and(|body| stored(&body) == born) {
                self.link.remove(doing, &self.names.tasks, number).await?;
            }
        }
        if let Item::Message(..) | Item::Record = item {
            self.link.remove(doing, &self.names.state, version).await?;
        }
        if let Item::Message(number, _) | Item::Memory(number) = item {
            self.known().index.forget_done(number);
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
    use reelmill_api::{Lane, QueueName};
    use reelmill_lab::nats::Nats;

    use super::*;
    use crate::{NewMessage, Queue as _, nats::NatsQueue};

    async fn open(server: &Nats) -> NatsQueue {
        NatsQueue::open(&server.url(), &QueueName::default()).await.expect("the server answers")
    }

    /// How many messages the streams of tasks and of states hold.
    async fn left(queue: &NatsQueue) -> [u64; 2] {
        let js = queue.watch.link.jetstream();
        let mut left = [0, 0];
        for (count, name) in left.iter_mut().zip([&queue.watch.names.tasks, &queue.watch.names.state]) {
            *count = js.get_stream(name).await.expect("a stream").cached_info().state.messages;
        }
        left
    }

    #[tokio::test]
    async fn removes_what_is_done_and_nothing_else() {
        let (mut server, lane) = (Nats::start(), "q".parse::<Lane>().expect("a lane"));
        let (queue, other) = (open(&server).await, open(&server).await);
        let depth = other.depth(&lane).await.expect("a depth");
        let message = NewMessage {
            body: b"task".to_vec(),
            priority: reelmill_api::Priority::Normal,
            delay: Duration::ZERO,
            dedupe_key: None,
        };
        for _ in 0..4 {
            queue.publish(&lane, &message).await.expect("stored");
        }
        let lease = async || {
            let leased = queue.lease(std::slice::from_ref(&lane), ORPHANED, ORPHANED).await.expect("an answer");
            leased.expect("a message").receipt
        };
        queue.dead_letter(&lease().await, "why").await.expect("ours");
        queue.ack(&lease().await).await.expect("ours");
        let held = lease().await;
        // Four bodies; records of the dead, the done and the leased, and of the lane.
        assert_eq!(left(&queue).await, [4, 4]);
        other.depth(&lane).await.expect("a depth");
        let late = open(&server).await;
        late.depth(&lane).await.expect("a depth");

        queue.watch.sweep_some(Instant::now()).await;
        assert_eq!(left(&queue).await, [4, 4], "nothing is due yet");
        queue.watch.sweep_some(Instant::now() + KEPT).await;
        assert_eq!(left(&queue).await, [3, 3]);
        // Who only heard of it forgets it, and who found it finds nothing any more; nobody touches what is not done.
        for queue in [&other, &late] {
            queue.watch.sweep_some(Instant::now() + ORPHANED * 2).await;
            assert_eq!(left(queue).await, [3, 3]);
        }
        queue.ack(&held).await.expect("ours");
        server.kill();
        server.start_again();
        let fresh = open(&server).await;
        assert_eq!(left(&fresh).await[0], 3, "a body that was removed does not come back");
        for queue in [&queue, &other, &late, &fresh] {
            let now = queue.depth(&lane).await.expect("a depth");
            assert_eq!((now.ready, now.dead, now.leased), (depth.ready + 1, 1, Some(0)));
        }
        // A replaced record may come back when the one that replaced it was removed; it is known for what it is.
        fresh.watch.sweep_some(Instant::now() + ORPHANED * 2).await;
        assert_eq!(left(&fresh).await, [2, 2]);
    }

    #[tokio::test]
    async fn removes_what_one_who_died_left_behind() {
        let (mut server, lane) = (Nats::start(), "q".parse::<Lane>().expect("a lane"));
        let queue = open(&server).await;
        for _ in 0..20 {
            queue.watch.link.jetstream().publish("reelmill", "job".into()).await.expect("sent").await.expect("stored");
            let lanes = [QueueName::default().intake()];
            let leased = queue.lease(&lanes, KEPT, KEPT).await.expect("an answer").expect("a message");
            queue.ack(&leased.receipt).await.expect("ours");
        }
        drop(queue);
        let heir = open(&server).await;
        heir.depth(&lane).await.expect("a depth");
        assert_eq!(left(&heir).await, [20, 20]);
        while heir.watch.sweep_some(Instant::now() + ORPHANED * 2).await {}
        assert_eq!(left(&heir).await, [0, 0]);
        server.kill();
        server.start_again();
        let next = open(&server).await;
        assert_eq!(left(&next).await[0], 0);
        let depth = next.depth(&QueueName::default().intake()).await.expect("a depth");
        assert_eq!((depth.ready, depth.leased), (0, Some(0)));
    }

    #[test]
    fn gives_out_what_is_due_and_nothing_else() {
        let (now, mut trash) = (Instant::now(), Trash::default());
        trash.made(now, 1, 5, 11);
        trash.found(now, Duration::ZERO, (2, 5), 12);
        trash.found(now, Duration::MAX, (3, 5), 13);
        trash.found_record(now, Duration::MAX, 14);
        trash.heard(now, 5, 15);
        assert!(trash.take(now, 9).is_empty(), "not all who find it sweep it at once");
        let mut soon: Vec<_> = trash.take(now + EVERY * 6, 9).into_iter().map(|(version, _)| version).collect();
        soon.sort_unstable();
        assert_eq!(soon, [13, 14]);
        assert_eq!(trash.take(now + KEPT, 9), [(11, Item::Message(1, 5))]);
        trash.put_back(now, 11, Item::Message(1, 5));
        assert_eq!(trash.take(now + ORPHANED + EVERY * 6, 2), [(11, Item::Message(1, 5)), (15, Item::Memory(5))]);
    }
}
