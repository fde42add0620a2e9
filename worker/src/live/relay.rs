//! A live source on its way from the process that brings it in to the one that encodes it. Its beginning is kept until the
//! encoder has come, so that it can be probed first: a live source can be connected to only once.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures::{Stream, stream};
use tokio::{sync::watch, time::Instant};

/// What is held at most: some seconds of a good camera. When it is full, the source waits, or loses packets.
const MOST: usize = 16 << 20;

/// The bytes of one session.
#[derive(Clone)]
pub(super) struct Relay(Arc<Shared>);

struct Shared {
    held: Mutex<Held>,
    changed: watch::Sender<u64>,
}

struct Held {
    pieces: VecDeque<Bytes>,
    bytes: usize,
    total: u64,
    /// Whether the encoder takes them, each once.
    taken: bool,
    ended: bool,
    moved: Instant,
}

impl Relay {
    /// An empty one.
    pub(super) fn new() -> Self {
        let held =
            Held { pieces: VecDeque::new(), bytes: 0, total: 0, taken: false, ended: false, moved: Instant::now() };
        Self(Arc::new(Shared { held: Mutex::new(held), changed: watch::Sender::new(0) }))
    }

    /// Takes a piece of the source, when there is room.
    pub(super) async fn push(&self, piece: Bytes) {
        let mut changed = self.0.changed.subscribe();
        loop {
            changed.borrow_and_update();
            {
                let mut held = self.held();
                if held.ended {
                    return;
                }
                if held.bytes < MOST {
                    held.bytes += piece.len();
                    held.total += piece.len() as u64;
                    held.moved = Instant::now();
                    held.pieces.push_back(piece);
                    break;
                }
            }
            if changed.changed().await.is_err() {
                return;
            }
        }
        self.tell();
    }

    /// Nothing more will come.
    pub(super) fn end(&self) {
        self.held().ended = true;
        self.tell();
    }

    /// When something came last, and how many bytes came so far.
    pub(super) fn last(&self) -> (Instant, u64) {
        let held = self.held();
        (held.moved, held.total)
    }

    /// Returns once something has come; `false` if nothing ever will.
    pub(super) async fn begun(&self) -> bool {
        let mut changed = self.0.changed.subscribe();
        loop {
            changed.borrow_and_update();
            {
                let held = self.held();
                if held.total > 0 || held.ended {
                    return held.total > 0;
                }
            }
            if changed.changed().await.is_err() {
                return false;
            }
        }
    }

    /// The source from its beginning, for a look that takes nothing away. `None` once it is being taken.
    pub(super) fn look(&self) -> Option<impl Stream<Item = std::io::Result<Bytes>> + use<>> {
        if self.held().taken {
            return None;
        }
        let next = |(relay, n): (Self, usize)| async move {
            let piece = relay.wait(|held| held.pieces.get(n).cloned()).await?;
            Some((Ok(piece), (relay, n + 1)))
        };
        Some(stream::unfold((self.clone(), 0), next))
    }

    /// The source from its beginning, each piece once. `None` the second time.
    pub(super) fn take(&self) -> Option<impl Stream<Item = std::io::Result<Bytes>> + use<>> {
        if std::mem::replace(&mut self.held().taken, true) {
            return None;
        }
        let next = |relay: Self| async move {
            let piece = relay.wait(Held::pop).await?;
            relay.tell();
            Some((Ok(piece), relay))
        };
        Some(stream::unfold(self.clone(), next))
    }

    /// Waits until there is a piece; `None` at the end.
    async fn wait(&self, mut find: impl FnMut(&mut Held) -> Option<Bytes>) -> Option<Bytes> {
        let mut changed = self.0.changed.subscribe();
        loop {
            changed.borrow_and_update();
            {
                let mut held = self.held();
                let found = find(&mut held);
                if found.is_some() || held.ended {
                    return found;
                }
            }
            changed.changed().await.ok()?;
        }
    }

    fn tell(&self) {
        self.0.changed.send_modify(|n| *n = n.wrapping_add(1));
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn pop(&mut self) -> Option<Bytes> {
        let piece = self.pieces.pop_front()?;
        self.bytes -= piece.len();
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;

    async fn all(stream: impl Stream<Item = std::io::Result<Bytes>>) -> Vec<u8> {
        stream.map(|piece| piece.expect("it never fails").to_vec()).concat().await
    }

    #[tokio::test]
    async fn the_encoder_gets_all_that_was_looked_at() {
        let relay = Relay::new();
        relay.push(Bytes::from_static(b"ab")).await;
        relay.push(Bytes::from_static(b"cd")).await;
        let look = relay.look().expect("nobody takes it yet");
        let (looked, first) =
            tokio::join!(look.take(2).map(|p| p.expect("no error").len()).collect::<Vec<_>>(), relay.begun());
        assert_eq!((looked, first), (vec![2, 2], true));
        let taking = relay.take().expect("the first to take it");
        assert!(relay.take().is_none() && relay.look().is_none());
        let feeding = async {
            relay.push(Bytes::from_static(b"ef")).await;
            relay.end();
        };
        let (taken, ()) = tokio::join!(all(taking), feeding);
        assert_eq!(taken, b"abcdef");
    }

    #[tokio::test]
    async fn a_source_waits_while_nobody_takes_what_it_gave() {
        let relay = Relay::new();
        let piece = Bytes::from(vec![0; MOST / 4]);
        let feeding = relay.clone();
        let fed = tokio::spawn(async move {
            for _ in 0..8 {
                feeding.push(piece.clone()).await;
            }
            feeding.end();
        });
        tokio::time::timeout(std::time::Duration::from_millis(50), relay.begun()).await.expect("it begins");
        tokio::task::yield_now().await;
        assert!(!fed.is_finished() && relay.last().1 <= (MOST + MOST / 4) as u64);
        assert_eq!(all(relay.take().expect("the first")).await.len(), 2 * MOST);
        fed.await.expect("it is through");
    }
}
