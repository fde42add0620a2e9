//! Tasks that this node could not do, and for which no lane names why: each comes again, later every time, for a node that can.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use reelmill_api::{JobId, Lane, settle};
use tokio::time::Instant;

/// How long it is remembered that a task was put aside after it could have come again: then it is with another node, or done.
const REMEMBERED: Duration = settle::LONGEST_RETRY.saturating_mul(2);

/// The tasks that were put aside.
#[derive(Debug, Default)]
pub struct Aside(Mutex<HashMap<(Lane, JobId), Put>>);

/// How often one was, and until when.
#[derive(Debug)]
struct Put {
    times: u32,
    until: Instant,
}

impl Aside {
    /// Puts a task aside; for how long.
    pub(super) fn put(&self, lane: &Lane, job: JobId, now: Instant) -> Duration {
        let mut all = self.lock();
        all.retain(|_, put| put.until + REMEMBERED > now);
        let put = all.entry((lane.clone(), job)).or_insert(Put { times: 0, until: now });
        let wait = settle::unable(put.times);
        *put = Put { times: put.times.saturating_add(1), until: now + wait };
        wait
    }

    /// How many tasks of a lane are aside: whoever empties the lanes does not wait for what it cannot do.
    pub(super) fn of(&self, lane: &Lane, now: Instant) -> u64 {
        let aside = self.lock().iter().filter(|((other, _), put)| other == lane && put.until > now).count();
        u64::try_from(aside).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(Lane, JobId), Put>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_a_node_meets_again_and_again_waits_longer_each_time() {
        let (aside, mut now) = (Aside::default(), Instant::now());
        let [lane, other] = ["reelmill-a", "reelmill-b"].map(|name| name.parse::<Lane>().expect("a lane"));
        let [job, next] = [1, 2].map(|number| JobId::new(uuid::Uuid::from_u128(number)));
        let waits = [10, 20, 40, 80, 160, 300, 300].map(Duration::from_secs);
        for wait in waits {
            assert_eq!((aside.put(&lane, job, now), aside.of(&lane, now), aside.of(&other, now)), (wait, 1, 0));
            now += wait;
            assert_eq!(aside.of(&lane, now), 0, "it may come again");
        }
        assert_eq!(aside.put(&lane, next, now), waits[0], "another task is another matter");
        now += REMEMBERED;
        assert_eq!(aside.put(&lane, job, now), waits[0], "it was long with others");
        assert_eq!(aside.lock().len(), 2, "nothing is remembered for ever");
    }
}
