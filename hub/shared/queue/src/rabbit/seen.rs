//! Which dedupe keys were used lately: a stream to which each is written once its message is kept.
//!
//! In this order a message is never dropped for one that was not kept; two that are published at the same moment may both
//! be.

use std::collections::HashMap;

use reelmill_api::{Lane, QueueName};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::{
    core::Core,
    link::Trouble,
    names,
    stream::{Bookmark, From},
};
use crate::{DEDUPE_MEMORY, time::now_s};

/// How much of it is kept: some hundred thousand keys.
const KEPT_BYTES: i64 = 50_000_000;
/// How much longer keys are remembered, as clocks differ.
const SLACK_S: u64 = 60;

/// The keys of a farm.
pub(super) struct Seen {
    stream: String,
    read: Mutex<(Bookmark, HashMap<Uuid, u64>)>,
}

/// A key as it is remembered.
fn mark(lane: &Lane, key: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{lane} {key}").as_bytes())
}

/// Until when a key is remembered that was used then.
fn memory_end(used_s: u64) -> u64 {
    used_s.saturating_add(DEDUPE_MEMORY.as_secs() + SLACK_S)
}

fn parse(entry: &[u8]) -> Option<(Uuid, u64)> {
    let (used, mark) = std::str::from_utf8(entry).ok()?.split_once(' ')?;
    Some((mark.parse().ok()?, used.parse().ok()?))
}

impl Seen {
    pub(super) fn new(farm: &QueueName) -> Self {
        Self { stream: format!("{farm}.seen"), read: Mutex::default() }
    }

    /// Whether a message with this key was kept on this lane lately.
    pub(super) async fn contains(&self, core: &Core, lane: &Lane, key: &str) -> Result<bool, Trouble> {
        core.topology.queue(&core.leasing, &self.stream, names::stream(KEPT_BYTES)).await?;
        let mut read = self.read.lock().await;
        let (bookmark, seen) = &mut *read;
        let now = now_s();
        let start = From::Time(now.saturating_sub(DEDUPE_MEMORY.as_secs() + SLACK_S));
        let news = bookmark.read_on(&core.leasing, &self.stream, start).await?;
        seen.retain(|_, used| !news.afresh && memory_end(*used) > now);
        seen.extend(news.entries.iter().filter_map(|(_, entry)| parse(entry)));
        Ok(seen.get(&mark(lane, key)).is_some_and(|used| memory_end(*used) > now))
    }

    /// Remembers a key whose message is kept.
    pub(super) async fn remember(&self, core: &Core, lane: &Lane, key: &str) -> Result<(), Trouble> {
        let entry = format!("{} {}", now_s(), mark(lane, key));
        core.append(&self.stream, names::stream(KEPT_BYTES), entry.as_bytes()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote_and_nothing_else() {
        let lane: Lane = "q".parse().expect("a lane");
        let entry = format!("17 {}", mark(&lane, "k"));
        assert_eq!(parse(entry.as_bytes()), Some((mark(&lane, "k"), 17)));
        for bad in ["", "17", "x y", "17 k", "\u{fffd}"] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
