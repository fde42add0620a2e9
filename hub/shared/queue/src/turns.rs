//! Whose turn it is: the urgent go first, but of eight leases one goes to the least urgent and one to what is normal.
//!
//! It is counted in leases and not in hours of waiting, because that needs nothing of the server: each driver asks the
//! same lines in the order given here.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use reelmill_api::{Lane, Priority};

/// How many leases one connection took from each lane.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<Lane, u64>>);

impl Turns {
    /// In which order the next lease from this lane looks at the priorities.
    pub(crate) fn next(&self, lane: &Lane) -> [Priority; 3] {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        order(taken.get(lane).copied().unwrap_or(0))
    }

    /// Counts a lease that was taken.
    pub(crate) fn taken(&self, lane: &Lane) {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *taken.entry(lane.clone()).or_default() += 1;
    }
}

fn order(taken: u64) -> [Priority; 3] {
    use Priority::{High, Low, Normal};
    match taken % 8 {
        3 => [Normal, High, Low],
        7 => [Low, Normal, High],
        _ => [High, Normal, Low],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_priority_leads_in_eight_leases() {
        let turns = Turns::default();
        let [lane, other] = ["a", "b"].map(|name| name.parse::<Lane>().expect("a lane"));
        let mut first = Vec::new();
        for _ in 0..8 {
            first.push(turns.next(&lane)[0]);
            turns.next(&lane);
            turns.taken(&lane);
        }
        use Priority::{High, Low, Normal};
        assert_eq!(first, [High, High, High, Normal, High, High, High, Low]);
        assert_eq!(turns.next(&other), [High, Normal, Low]);
    }
}
