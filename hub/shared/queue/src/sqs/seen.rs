//! The dedupe keys that one connection published with: SQS's standard queues know of none.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use reelmill_api::Lane;
use tokio::time::Instant;

use crate::DEDUPE_MEMORY;

/// How many keys are remembered at most; the oldest goes.
const MOST: usize = 10_000;

/// When each key of a lane was published with.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<HashMap<(Lane, String), Instant>>);

impl Seen {
    /// Whether the key was published with not long ago.
    pub(super) fn has(&self, key: &(Lane, String)) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, published| published.elapsed() < DEDUPE_MEMORY);
        seen.contains_key(key)
    }

    /// Remembers a key, once its message is stored.
    pub(super) fn remember(&self, key: (Lane, String)) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MOST {
            let oldest = seen.iter().min_by_key(|(_, published)| **published).map(|(key, _)| key.clone());
            oldest.and_then(|oldest| seen.remove(&oldest));
        }
        seen.insert(key, Instant::now());
    }
}
