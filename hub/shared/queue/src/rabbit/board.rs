//! The board: a stream of short lines from which everyone makes up what notices are up, and which delays of which lanes
//! have a queue. Every so often somebody writes down all of it anew, so that old lines may go.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    str::from_utf8,
};

use reelmill_api::{Lane, Notice, QueueName};
use tokio::sync::Mutex;

use super::{
    core::Core,
    link::Trouble,
    names,
    stream::{Bookmark, From},
};
use crate::{CANCELED_MEMORY, time::now_s};

/// How much of it is kept.
const KEPT_BYTES: i64 = 20_000_000;
/// After how many lines all is written down anew.
const REWRITE: usize = 256;

/// The board of a farm.
pub(super) struct Board {
    stream: String,
    read: Mutex<(Bookmark, Sheet)>,
}

/// What is on the board.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sheet {
    /// When each notice was put up.
    notices: BTreeMap<String, u64>,
    delays: BTreeSet<(String, u32)>,
    /// The entries that were read since one that wrote down all, with their offsets: the next such one may not know of
    /// the latest of them.
    recent: VecDeque<(u64, String)>,
}

impl Sheet {
    fn apply(&mut self, offset: u64, entry: &str) {
        if let Some((basis, all)) = entry.strip_prefix("= ").and_then(|rest| rest.split_once('\n')) {
            let Ok(basis) = basis.parse::<u64>() else { return };
            self.notices.clear();
            all.lines().for_each(|line| self.apply_line(line));
            self.recent.retain(|(offset, _)| *offset > basis);
            let later: Vec<_> = self.recent.iter().map(|(_, line)| line.clone()).collect();
            later.iter().for_each(|line| self.apply_line(line));
            return;
        }
        self.apply_line(entry);
        self.recent.push_back((offset, entry.to_owned()));
    }

    fn apply_line(&mut self, line: &str) {
        match *line.split(' ').collect::<Vec<_>>().as_slice() {
            ["+", posted, notice] => {
                let posted = posted.parse().unwrap_or(0);
                self.notices.entry(notice.to_owned()).or_insert(posted);
            }
            ["-", notice] => {
                self.notices.remove(notice);
            }
            ["~", lane, seconds] => {
                if let Ok(seconds) = seconds.parse() {
                    self.delays.insert((lane.to_owned(), seconds));
                }
            }
            // One of a newer Reelmill is for others to heed.
            _ => {}
        }
    }

    /// All that is on it, as one entry; what is of no use any more is left out.
    fn rewritten(&self, basis: u64, now: u64) -> String {
        let current = self.notices.iter().filter(|(text, posted)| is_current(text, **posted, now));
        let notices = current.map(|(text, posted)| format!("+ {posted} {text}\n"));
        let delays = self.delays.iter().map(|(lane, seconds)| format!("~ {lane} {seconds}\n"));
        format!("= {basis}\n{}", notices.chain(delays).collect::<String>())
    }
}

/// Whether a notice that was put up then is still of use.
fn is_current(text: &str, posted: u64, now: u64) -> bool {
    !matches!(text.parse(), Ok(Notice::Canceled(_))) || posted.saturating_add(CANCELED_MEMORY.as_secs()) > now
}

impl Board {
    pub(super) fn new(farm: &QueueName) -> Self {
        Self { stream: format!("{farm}.board"), read: Mutex::default() }
    }

    /// Puts up a notice unless it is up.
    pub(super) async fn post(&self, core: &Core, notice: &Notice) -> Result<(), Trouble> {
        let text = notice.to_string();
        let is_up = self.look(core, |sheet| sheet.notices.get(&text).copied()).await?;
        if is_up.is_some_and(|posted| is_current(&text, posted, now_s())) {
            return Ok(());
        }
        // One whose time is over is first taken down, or its old time would stay.
        let line = format!("+ {} {text}", now_s());
        if is_up.is_some() {
            self.write(core, &format!("- {text}")).await?;
        }
        self.write(core, &line).await
    }

    /// Takes a notice down if it is up.
    pub(super) async fn withdraw(&self, core: &Core, notice: &Notice) -> Result<(), Trouble> {
        let text = notice.to_string();
        if self.look(core, |sheet| sheet.notices.contains_key(&text)).await? {
            self.write(core, &format!("- {text}")).await?;
        }
        Ok(())
    }

    /// The notices that are up.
    pub(super) async fn notices(&self, core: &Core) -> Result<BTreeSet<Notice>, Trouble> {
        let now = now_s();
        let known = |sheet: &Sheet| {
            let current = sheet.notices.iter().filter(|(text, posted)| is_current(text, **posted, now));
            current.filter_map(|(text, _)| text.parse().ok()).collect()
        };
        self.look(core, known).await
    }

    /// Notes that messages of this lane may wait for so long.
    pub(super) async fn note_delay(&self, core: &Core, lane: &Lane, seconds: u32) -> Result<(), Trouble> {
        let noted = |sheet: &Sheet| sheet.delays.contains(&(lane.to_string(), seconds));
        if self.look(core, noted).await? {
            return Ok(());
        }
        self.write(core, &format!("~ {lane} {seconds}")).await
    }

    /// The queues in which messages of this lane may wait for their time.
    pub(super) async fn delays(&self, core: &Core, lane: &Lane) -> Result<Vec<String>, Trouble> {
        let of_lane = |sheet: &Sheet| {
            let own = sheet.delays.iter().filter(|(name, _)| name == lane.as_str());
            own.map(|(_, seconds)| names::later(lane, *seconds)).collect()
        };
        self.look(core, of_lane).await
    }

    /// Reads what is new, then looks.
    async fn look<T>(&self, core: &Core, at: impl FnOnce(&Sheet) -> T) -> Result<T, Trouble> {
        core.topology.queue(&core.leasing, &self.stream, names::stream(KEPT_BYTES)).await?;
        let mut read = self.read.lock().await;
        let (bookmark, sheet) = &mut *read;
        let news = bookmark.read_on(&core.leasing, &self.stream, From::First).await?;
        if news.afresh {
            *sheet = Sheet::default();
        }
        for (offset, entry) in &news.entries {
            sheet.apply(*offset, from_utf8(entry).unwrap_or_default());
        }
        Ok(at(sheet))
    }

    async fn write(&self, core: &Core, line: &str) -> Result<(), Trouble> {
        core.append(&self.stream, names::stream(KEPT_BYTES), line.as_bytes()).await?;
        let grown = |sheet: &Sheet| {
            let last = sheet.recent.back().map_or(0, |(offset, _)| *offset);
            (sheet.recent.len() >= REWRITE).then(|| sheet.rewritten(last, now_s()))
        };
        match self.look(core, grown).await? {
            Some(all) => core.append(&self.stream, names::stream(KEPT_BYTES), all.as_bytes()).await,
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(entries: &[(u64, &str)]) -> Sheet {
        let mut sheet = Sheet::default();
        entries.iter().for_each(|(offset, entry)| sheet.apply(*offset, entry));
        sheet
    }

    #[test]
    fn what_is_up_follows_from_the_lines() {
        let sheet =
            sheet(&[(0, "+ 10 paused-a"), (1, "+ 20 paused-b"), (2, "+ 30 paused-a"), (3, "- paused-b"), (4, "?")]);
        assert_eq!(sheet.notices, BTreeMap::from([("paused-a".to_owned(), 10)]), "its first time counts");
    }

    #[test]
    fn a_rewriting_forgets_nothing_that_came_meanwhile() {
        let before = [(0, "+ 10 paused-a"), (1, "+ 20 paused-b"), (2, "~ q 5")];
        let all = sheet(&before).rewritten(2, 30);
        // Written by one that had not yet read entries 3 and 4.
        let meanwhile = [(3, "- paused-a"), (4, "+ 30 paused-c"), (5, all.as_str())];
        let follower = sheet(&[&before[..], &meanwhile].concat());
        let latecomer = sheet(&meanwhile);
        let want = BTreeMap::from([("paused-b".to_owned(), 20), ("paused-c".to_owned(), 30)]);
        assert_eq!((&follower.notices, &latecomer.notices), (&want, &want));
        assert_eq!((follower.delays.len(), latecomer.delays.len()), (1, 1));
    }

    #[test]
    fn cancellations_are_forgotten_some_day_but_pauses_are_not() {
        let canceled = format!("canceled-{}", uuid::Uuid::nil());
        let sheet = sheet(&[(0, &format!("+ 0 {canceled}")), (1, "+ 0 paused-a")]);
        let week = CANCELED_MEMORY.as_secs();
        assert_eq!(sheet.rewritten(1, week), "= 1\n+ 0 paused-a\n");
        assert!(sheet.rewritten(1, week - 1).contains(&canceled));
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn bears_whatever_others_write(entries in proptest::collection::vec("[=+~-]? ?[0-9a-z\\PC \n]{0,20}", 0..20)) {
            let mut sheet = Sheet::default();
            entries.iter().zip(0..).for_each(|(entry, offset)| sheet.apply(offset, entry));
            let _ = sheet.rewritten(0, u64::from(u32::MAX));
        }
    }
}
