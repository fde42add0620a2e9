//! Notices: records of the state stream that say `up` or `down`.

use std::collections::BTreeMap;

use reelmill_api::Notice;

use super::{NatsQueue, link::Which, record::Nanos, trouble::Wrote, watch::nanos};
use crate::{CANCELED_MEMORY, QueueError};

const UP: &[u8] = b"up";
const DOWN: &[u8] = b"down";

/// Whether the record of a notice says that it is up.
pub(super) fn is_up(payload: &[u8]) -> bool {
    payload == UP
}

/// The notices, and those that were withdrawn lately.
#[derive(Debug, Default)]
pub(super) struct Board(BTreeMap<Notice, Posted>);

#[derive(Clone, Copy, Debug)]
struct Posted {
    version: u64,
    stored: Nanos,
    up: bool,
}

impl Board {
    /// A record was stored; an older one than is known changes nothing.
    pub(super) fn heard(&mut self, notice: Notice, version: u64, stored: Nanos, up: bool) {
        let known = self.0.get(&notice).map_or(0, |posted| posted.version);
        if version > known {
            self.0.insert(notice, Posted { version, stored, up });
        }
    }

    fn posted(&self, notice: &Notice) -> Option<Posted> {
        self.0.get(notice).copied()
    }

    /// The notices that are up and not so old that they are forgotten.
    fn up(&self, clock: Nanos) -> Vec<Notice> {
        let current = |(notice, posted): &(&Notice, &Posted)| posted.up && !is_old(notice, posted.stored, clock);
        self.0.iter().filter(current).map(|(notice, _)| notice.clone()).collect()
    }

    /// Takes out the records that are of no use any more: those withdrawn and those forgotten, some time ago.
    pub(super) fn swept(&mut self, clock: Nanos, after: Nanos) -> Vec<u64> {
        let useless = |notice: &Notice, posted: &Posted| {
            let since = clock.saturating_sub(posted.stored);
            since > after && (!posted.up || is_old(notice, posted.stored, clock))
        };
        let out: Vec<_> = self.0.iter().filter(|(n, p)| useless(n, p)).map(|(n, p)| (n.clone(), p.version)).collect();
        out.into_iter()
            .map(|(notice, version)| {
                self.0.remove(&notice);
                version
            })
            .collect()
    }
}

fn is_old(notice: &Notice, stored: Nanos, clock: Nanos) -> bool {
    matches!(notice, Notice::Canceled(_)) && clock.saturating_sub(stored) > nanos(CANCELED_MEMORY)
}

impl NatsQueue {
    pub(super) async fn put(&self, notice: &Notice, up: bool) -> Result<(), QueueError> {
        let doing = || if up { "post a notice" } else { "withdraw a notice" }.to_owned();
        let watch = self.watching();
        loop {
            watch.catch_up(&doing).await?;
            let clock = watch.clock();
            let posted = watch.known().board.posted(notice);
            let as_wanted = match posted {
                Some(posted) if up => posted.up && !is_old(notice, posted.stored, clock),
                Some(posted) => !posted.up,
                None => !up,
            };
            if as_wanted {
                return Ok(());
            }
            let version = posted.map_or(0, |posted| posted.version);
            let (subject, payload) = (watch.names.notice(notice), if up { UP } else { DOWN });
            if let Wrote::At(version) = watch.link.replace(doing, &subject, version, payload).await? {
                watch.known().board.heard(notice.clone(), version, clock, up);
                return Ok(());
            }
            // Somebody was faster; or it was withdrawn long ago, and somebody removed the record.
            if watch.link.read(doing, &watch.names.state, &Which::LastOn(subject)).await?.is_none() {
                watch.known().board.0.remove(notice);
            }
        }
    }

    pub(super) async fn up(&self) -> Result<Vec<Notice>, QueueError> {
        self.watching().catch_up(&|| "read the notices".to_owned()).await?;
        let clock = self.watch.clock();
        Ok(self.watch.known().board.up(clock))
    }
}

#[cfg(test)]
mod tests {
    use reelmill_api::{JobId, Lane, QueueName};
    use reelmill_lab::nats::Nats;

    use super::*;
    use crate::Queue as _;

    #[tokio::test]
    async fn a_notice_goes_up_again_after_others_swept_it() {
        let (server, notice) = (Nats::start(), Notice::Paused("q".parse::<Lane>().expect("a lane")));
        let queue = NatsQueue::open(&server.url(), &QueueName::default()).await.expect("the server answers");
        queue.post(&notice).await.expect("posted");
        queue.withdraw(&notice).await.expect("withdrawn");
        let version = queue.watch.known().board.posted(&notice).expect("it is known").version;
        queue.watch.link.remove(String::new, &queue.watch.names.state, version).await.expect("removed");
        queue.post(&notice).await.expect("posted");
        assert_eq!(queue.notices().await.expect("notices"), [notice].into());
    }

    #[test]
    fn a_cancellation_is_forgotten_after_some_days_and_a_pause_never() {
        let mut board = Board::default();
        let paused = Notice::Paused("q".parse::<Lane>().expect("a lane"));
        let canceled = Notice::Canceled(JobId::new(uuid::Uuid::from_u128(1)));
        for (version, notice) in [(1, &paused), (2, &canceled)] {
            board.heard(notice.clone(), version, 1000, true);
        }
        let late = 1001 + nanos(CANCELED_MEMORY);
        assert_eq!(board.up(2000), [paused.clone(), canceled]);
        assert_eq!(board.up(late), std::slice::from_ref(&paused));
        assert_eq!(board.swept(late, 0), [2]);
        board.heard(paused.clone(), 3, late, false);
        board.heard(paused.clone(), 1, late, true);
        assert!(board.up(late).is_empty() && board.swept(late, 10).is_empty());
        assert_eq!(board.swept(late + 11, 10), [3]);
    }
}
