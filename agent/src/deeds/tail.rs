//! The end of a unit's journal, and for a while what is added to it.

use std::{collections::VecDeque, time::Duration};

use reelmill_api::fleet::args::LogsTail;
use serde_json::{Map, Value};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{Outcome, Undone};
use crate::systemd::{
    journal::{self, Entries, JournalError, Priority, Query},
    unit::UnitName,
};

/// How far back a journal is read.
const A_WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// What lines may take of a state, which may have 16 KiB, and of an event, which may have 8.
const ROOM_IN_STATE: usize = 12 * 1024;
const ROOM_IN_EVENT: usize = 6 * 1024;
/// How often new lines are told of: a node has one message a second.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// The newest lines of a unit. Where the command wants to follow, `say` is told of all lines as they come, at most once a
/// second, and the end comes when its time is over.
///
/// # Errors
/// If the unit is none of Reelmill's, or the journal cannot be read.
pub async fn tail(tail: &LogsTail, say: &(dyn Fn(Map<String, Value>) + Sync)) -> Outcome {
    let unit: UnitName = tail.unit.as_str().parse().map_err(|e| Undone::for_good("not_ours", format!("{e}")))?;
    if let Some(ttl) = tail.ttl_s {
        return follow(&unit, tail.lines.get(), Duration::from_secs(ttl.get().into()), say).await;
    }
    let query = Query { unit: Some(unit), priority: Priority::Debug, lines: tail.lines.get(), within: A_WEEK };
    let mut newest = Newest::new(ROOM_IN_STATE, tail.lines.get());
    journal::read(&query).await.map_err(unread)?.into_iter().for_each(|entry| newest.push(entry.message));
    Ok(newest.take())
}

async fn follow(unit: &UnitName, most: u32, ttl: Duration, say: &(dyn Fn(Map<String, Value>) + Sync)) -> Outcome {
    let mut entries = Entries::follow(unit, most).map_err(unread)?;
    let (mut all, mut fresh) = (Newest::new(ROOM_IN_STATE, most), Newest::new(ROOM_IN_EVENT, most));
    let mut tick = interval(TELL_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let end = sleep(ttl);
    tokio::pin!(end);
    loop {
        tokio::select! {
            () = &mut end => break,
            _ = tick.tick() => fresh.tell(say),
            next = entries.next() => {
                let gone = || Undone::for_now("no_journal", "journalctl ended while the journal was followed");
                let entry = next.map_err(unread)?.ok_or_else(gone)?;
                all.push(entry.message.clone());
                fresh.push(entry.message);
            }
        }
    }
    fresh.tell(say);
    Ok(all.take())
}

fn unread(error: JournalError) -> Undone {
    Undone::for_now("no_journal", super::in_words(&error))
}

/// The newest lines that fit into a message.
struct Newest {
    lines: VecDeque<String>,
    bytes: usize,
    left_out: usize,
    room: usize,
    most: usize,
}

impl Newest {
    fn new(room: usize, most: u32) -> Self {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Self { lines: VecDeque::new(), bytes: 0, left_out: 0, room, most }
    }

    fn push(&mut self, line: String) {
        self.bytes += cost(&line);
        self.lines.push_back(line);
        while self.bytes > self.room || self.lines.len() > self.most {
            let Some(oldest) = self.lines.pop_front() else { return };
            self.bytes -= cost(&oldest);
            self.left_out += 1;
        }
    }

    /// The lines, and how many older ones there was no room for.
    fn take(&mut self) -> Map<String, Value> {
        self.bytes = 0;
        let lines = std::mem::take(&mut self.lines).into_iter().map(Value::from).collect();
        let left_out = std::mem::take(&mut self.left_out);
        Map::from_iter([("lines".to_owned(), Value::Array(lines)), ("left_out".to_owned(), left_out.into())])
    }

    fn tell(&mut self, say: &(dyn Fn(Map<String, Value>) + Sync)) {
        if !self.lines.is_empty() || self.left_out > 0 {
            say(self.take());
        }
    }
}

/// Bytes of a line as JSON: what a program logs may be anything, and a control character takes six.
fn cost(line: &str) -> usize {
    serde_json::to_string(line).map_or(line.len(), |json| json.len()) + 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn check(room: usize, most: u32, lines: &[&str], want: &Value) {
        let mut newest = Newest::new(room, most);
        lines.iter().for_each(|line| newest.push((*line).to_owned()));
        assert_eq!(json!(newest.take()), *want);
    }

    #[test]
    fn the_newest_lines_are_kept_and_the_others_counted() {
        check(100, 9, &[], &json!({"lines": [], "left_out": 0}));
        check(100, 2, &["a", "b", "c"], &json!({"lines": ["b", "c"], "left_out": 1}));
        check(8, 9, &["a", "b", "c"], &json!({"lines": ["b", "c"], "left_out": 1}));
        check(8, 9, &["a", "\u{1}\u{2}"], &json!({"lines": [], "left_out": 2}));
    }

    #[test]
    fn what_was_told_is_not_told_again() {
        let told = std::sync::Mutex::new(Vec::new());
        let say = |lines| told.lock().expect("ours").push(json!(lines));
        let mut newest = Newest::new(100, 9);
        newest.tell(&say);
        newest.push("a".to_owned());
        newest.tell(&say);
        newest.push("b".to_owned());
        newest.tell(&say);
        newest.tell(&say);
        let want = [json!({"lines": ["a"], "left_out": 0}), json!({"lines": ["b"], "left_out": 0})];
        assert_eq!(*told.lock().expect("ours"), want);
    }

    proptest! {
        #[test]
        fn never_takes_more_than_its_room(lines in proptest::collection::vec("\\PC{0,40}|[\\x00-\\x1f]{0,9}", 0..30)) {
            let mut newest = Newest::new(200, 20);
            lines.iter().for_each(|line| newest.push(line.clone()));
            let told = newest.take();
            let kept = told["lines"].as_array().expect("a list");
            prop_assert!(serde_json::to_string(kept).expect("JSON").len() <= 200 + 2);
            prop_assert_eq!(told["left_out"].as_u64(), Some((lines.len() - kept.len()) as u64));
            prop_assert!(lines.iter().rev().zip(kept.iter().rev()).all(|(line, kept)| kept == line));
        }
    }
}
