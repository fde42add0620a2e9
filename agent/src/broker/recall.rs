//! What was known before the agent started.

use std::path::Path;

use jiff::Timestamp;
use reelmill_api::fleet::admission::CLOCK_SKEW;

use crate::{
    core::{Memory, Record},
    ledger::{Ledger, LedgerError},
};

/// Opens the ledger at `path`, or begins one, and reads what is in it. What was lost of it is told, and what was given before
/// that is not obeyed any more: it may be what was lost.
///
/// # Errors
/// If another agent has it, or the disk refuses.
pub fn recall(path: &Path, now: Timestamp) -> Result<(Ledger, Memory), LedgerError> {
    let mut opened = Ledger::open(path, Record::Since(now))?;
    if opened.torn > 0 {
        log::warn!("the ledger's last record was not finished when this node went down; nothing had been done for it");
    }
    if let Some(damage) = &opened.damage {
        let lines = damage.lines.len();
        log::error!("{lines} lines of the ledger are damaged; the file is put aside as {}", damage.aside.display());
    }
    if opened.records.is_empty() {
        // Whoever gave the node its first command may have a clock that runs behind.
        let since = Record::Since(now.checked_sub(CLOCK_SKEW).unwrap_or(now));
        opened.ledger.append(&since)?;
        opened.records.push(since);
    }
    Ok((opened.ledger, Memory::of(opened.records)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn a_ledger_knows_nothing_of_the_time_before_it_began() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("ledger");
        let (ledger, memory) = recall(&path, at(10_000)).expect("a ledger");
        assert_eq!(memory, Memory::of([Record::Since(at(10_000 - 300))]));
        drop(ledger);
        let (_ledger, again) = recall(&path, at(20_000)).expect("a ledger");
        assert_eq!(again, memory, "it is the same one");
    }

    #[test]
    fn a_damaged_ledger_knows_nothing_of_the_time_before_that() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("ledger");
        let (mut ledger, _) = recall(&path, at(10_000)).expect("a ledger");
        ledger.append(&Record::Boot("boot-1".to_owned())).expect("there is room");
        drop(ledger);
        let text = fs::read_to_string(&path).expect("ours").replace("boot-1", "boot-2");
        fs::write(&path, text).expect("ours");
        let (_ledger, memory) = recall(&path, at(20_000)).expect("a ledger");
        assert_eq!(memory, Memory::of([Record::Since(at(9_700)), Record::Since(at(20_000))]));
        assert!(path.with_extension("damaged-1").exists());
    }
}
