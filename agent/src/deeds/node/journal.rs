//! What units wrote into the journal.

use std::time::Duration;

use reelmill_api::fleet::args::LogsTail;
use serde_json::{Map, Value};

use crate::{
    deeds::{Outcome, Undone},
    systemd::{
        journal::{self, Priority, Query},
        unit::UnitName,
    },
};

/// How far back a journal is read.
const A_WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The end of a unit's journal.
pub(super) async fn tail_of(tail: &LogsTail) -> Outcome {
    let unit: UnitName = tail.unit.as_str().parse().map_err(|e| Undone::for_good("not_ours", format!("{e}")))?;
    if tail.ttl_s.is_some() {
        return Err(Undone::for_good("not_supported", "this agent does not follow a journal; leave ttl_s out"));
    }
    let query = Query { unit: Some(unit), priority: Priority::Debug, lines: tail.lines.get(), within: A_WEEK };
    let entries = journal::read(&query).await.map_err(|e| Undone::for_now("no_journal", e.to_string()))?;
    // The newest that fit into a message.
    let mut room = 12 * 1024;
    let fits = entries.iter().rev().map(|entry| entry.message.as_str()).take_while(|line| {
        room -= i64::try_from(line.len()).unwrap_or(i64::MAX).saturating_add(8);
        room >= 0
    });
    let mut lines: Vec<Value> = fits.map(Value::from).collect();
    lines.reverse();
    let left_out = entries.len() - lines.len();
    Ok(Map::from_iter([("lines".to_owned(), Value::from(lines)), ("left_out".to_owned(), left_out.into())]))
}
