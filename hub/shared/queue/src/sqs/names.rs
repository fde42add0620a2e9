//! What queues are called on the server. A lane's own name is that of its queue of normal priority, where strangers put
//! plain jobs; all other queues have two underscores in theirs, which no plain name has.

use reelmill_api::{Lane, Priority};
use sha2::{Digest, Sha256};

/// The longest name that SQS takes.
const LONGEST: usize = 80;
/// The longest ending of a lane's queues.
const ENDING: usize = "__high".len();
/// The longest ending of a farm's own queues.
const FARM_ENDING: usize = "__held-0123456789abcdef".len();
/// How much of a name is kept for people where a digest stands for it, and how many digits that has.
const KEPT: usize = 24;
const DIGITS: usize = 24;

/// The queue of one priority of a lane.
pub(super) fn ready(lane: &Lane, priority: Priority) -> String {
    let base = base(lane.as_str(), ENDING);
    match priority {
        Priority::High => format!("{base}__high"),
        Priority::Normal => base,
        Priority::Low => format!("{base}__low"),
    }
}

/// The queue of a lane's dead letters.
pub(super) fn dead(lane: &Lane) -> String {
    format!("{}__dead", base(lane.as_str(), ENDING))
}

/// The queue of a farm's events; `intake` is its first lane.
pub(super) fn events(intake: &Lane) -> String {
    format!("{}__events", base(intake.as_str(), FARM_ENDING))
}

/// The queue whose tags are a farm's notices.
pub(super) fn notices(intake: &Lane) -> String {
    format!("{}__notices", base(intake.as_str(), FARM_ENDING))
}

/// What the names of queues begin with that hold one long job each.
pub(super) fn held(intake: &Lane) -> String {
    format!("{}__held-", base(intake.as_str(), FARM_ENDING))
}

/// The name, if an ending fits behind it and nobody can take it for another's with an ending; else with a digest.
fn base(name: &str, ending: usize) -> String {
    if name.len() + ending <= LONGEST && !name.contains("__") {
        return name.to_owned();
    }
    let digest: String = Sha256::digest(name).iter().map(|byte| format!("{byte:02x}")).collect();
    // The name is ASCII.
    let kept = &name[..name.len().min(KEPT)];
    format!("{}__{}", kept.trim_end_matches('_'), &digest[..DIGITS])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn all(lane: &str) -> Vec<String> {
        let lane: Lane = lane.parse().expect("a lane");
        let mut names: Vec<_> = [Priority::High, Priority::Normal, Priority::Low].map(|p| ready(&lane, p)).into();
        names.extend([dead(&lane), events(&lane), notices(&lane), held(&lane) + "0123456789abcdef"]);
        names
    }

    #[test]
    fn a_lanes_own_name_is_that_of_its_normal_queue() {
        let want = ["__high", "", "__low", "__dead", "__events", "__notices", "__held-0123456789abcdef"];
        assert_eq!(all("reelmill-x-high"), want.map(|ending| format!("reelmill-x-high{ending}")));
        assert_eq!(all("reelmill__high")[1], "reelmill__high__ae563bf79ebfe298ae7adf3a");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_two_queues_have_one_name(
            lanes in proptest::collection::btree_set("[aA_-]{1,4}(__(high|low|dead|held-|events))?[_b-]{0,2}|[a_]{50,128}", 1..30)
        ) {
            let names: Vec<String> = lanes.iter().flat_map(|lane| all(lane)).collect();
            prop_assert!(names.iter().all(|name| name.len() <= LONGEST), "{names:?}");
            prop_assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{:?}", names);
        }
    }
}
