//! How far a command is at the helper: its parts come in their order, each as often as it takes, and nothing after the end.
//! Decided here by values alone; what is decided is written down before it is done.

use reelmill_api::fleet::state::Phase;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::deeds::Undone;

/// How far a command is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// Something follows.
    Open {
        /// The part that was begun last.
        part: Phase,
        /// Whether it was done.
        done: bool,
    },
    /// Nothing follows.
    Ended {
        /// By which part: its last, or its undoing.
        part: Phase,
        /// What came of it, for who did not hear it.
        result: Map<String, Value>,
    },
}

/// What is to be done about a part that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Write this down, then do the part.
    Do(Progress),
    /// It was done, and ended the command; tell this once more.
    Tell(Map<String, Value>),
}

/// What is to be done about `part` of a command that consists of `parts`; without `progress` nothing of it was ever begun.
///
/// A part that was done may come again: who asked may have died before it heard so. Undoing may come whenever something was
/// begun and the last part is not done, also again and again, and nothing else after it.
///
/// # Errors
/// `ended`, `out_of_order`, or `not_supported` where the helper has no such part.
pub fn next(progress: Option<&Progress>, parts: &[Phase], part: Phase) -> Result<Next, Undone> {
    let begin = Ok(Next::Do(Progress::Open { part, done: false }));
    let place = |part: Phase| parts.iter().position(|known| *known == part);
    let Some(wanted) = place(part).or((part == Phase::Undo && !parts.is_empty()).then_some(parts.len())) else {
        return Err(Undone::for_good("not_supported", format!("the root helper has no part {part:?} of this command")));
    };
    match progress {
        Some(Progress::Ended { part: last, result }) if *last == part => Ok(Next::Tell(result.clone())),
        Some(Progress::Ended { part: last, .. }) => {
            Err(Undone::for_good("ended", format!("this command ended by its part {last:?}; {part:?} comes too late")))
        }
        None if part == Phase::Undo => Ok(Next::Tell(Map::new())),
        Some(_) if part == Phase::Undo => begin,
        None if wanted == 0 => begin,
        None => Err(out_of_order(part, "nothing of this command was begun")),
        Some(Progress::Open { part: at, done }) => match place(*at) {
            Some(at) if wanted == at || (wanted == at + 1 && *done) => begin,
            _ => Err(out_of_order(part, &format!("{at:?} {}", if *done { "was done" } else { "was begun, not done" }))),
        },
    }
}

/// How far a command is after `part` of it was done.
pub fn after(parts: &[Phase], part: Phase, result: &Map<String, Value>) -> Progress {
    if part == Phase::Undo || parts.last() == Some(&part) {
        return Progress::Ended { part, result: result.clone() };
    }
    Progress::Open { part, done: true }
}

fn out_of_order(part: Phase, because: &str) -> Undone {
    Undone::for_good("out_of_order", format!("{part:?} is not the next part: {because}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reelmill_api::fleet::state::Phase::{Act, Activate, Check, Commit, Drain, Fetch, Preflight, Undo};

    use super::*;

    const SWITCH: &[Phase] = &[Preflight, Fetch, Check, Activate, Commit];

    fn result() -> Map<String, Value> {
        Map::from_iter([("by".to_owned(), "it".into())])
    }

    fn open(part: Phase, done: bool) -> Option<Progress> {
        Some(Progress::Open { part, done })
    }

    fn ended(part: Phase) -> Option<Progress> {
        Some(Progress::Ended { part, result: result() })
    }

    /// In a word: what comes of asking for a part.
    fn told(progress: Option<&Progress>, parts: &[Phase], part: Phase) -> String {
        match next(progress, parts, part) {
            Ok(Next::Do(Progress::Open { part: begun, done: false })) if begun == part => "do".to_owned(),
            Ok(Next::Do(other)) => panic!("{part:?} was to be begun, not {other:?}"),
            Ok(Next::Tell(told)) if told == result() => "tell".to_owned(),
            Ok(Next::Tell(told)) => format!("tell {told:?}"),
            Err(undone) => undone.code,
        }
    }

    #[test]
    fn parts_come_in_their_order_and_nothing_after_the_end() {
        type Row = (Option<Progress>, [&'static str; 6]);
        let asked = [Preflight, Fetch, Check, Activate, Commit, Undo];
        let (late, no) = ("ended", "out_of_order");
        let table: [Row; 12] = [
            (None, ["do", no, no, no, no, "tell {}"]),
            (open(Preflight, false), ["do", no, no, no, no, "do"]),
            (open(Preflight, true), ["do", "do", no, no, no, "do"]),
            (open(Fetch, false), [no, "do", no, no, no, "do"]),
            (open(Fetch, true), [no, "do", "do", no, no, "do"]),
            (open(Check, true), [no, no, "do", "do", no, "do"]),
            (open(Activate, false), [no, no, no, "do", no, "do"]),
            (open(Activate, true), [no, no, no, "do", "do", "do"]),
            (open(Commit, false), [no, no, no, no, "do", "do"]),
            (open(Undo, false), [no, no, no, no, no, "do"]),
            (ended(Commit), [late, late, late, late, "tell", late]),
            (ended(Undo), [late, late, late, late, late, "tell"]),
        ];
        for (progress, want) in table {
            let got = asked.map(|part| told(progress.as_ref(), SWITCH, part));
            assert_eq!(got, want, "{progress:?}");
        }
    }

    #[test]
    fn what_is_no_part_is_never_done() {
        assert_eq!(told(None, SWITCH, Drain), "not_supported");
        assert_eq!(told(None, SWITCH, Act), "not_supported");
        assert_eq!(told(open(Check, true).as_ref(), SWITCH, Drain), "not_supported");
        assert_eq!(told(None, &[], Act), "not_supported");
        assert_eq!(told(None, &[], Undo), "not_supported");
        assert_eq!(told(None, &[Act], Act), "do");
        assert_eq!(told(ended(Act).as_ref(), &[Act], Act), "tell");
        assert_eq!(told(ended(Act).as_ref(), &[Act], Undo), "ended");
    }

    fn any_part() -> impl Strategy<Value = Phase> {
        prop::sample::select(vec![Preflight, Fetch, Check, Drain, Activate, Commit, Undo, Act])
    }

    proptest! {
        /// Whatever is asked, and however each part goes: each part that is done was preceded by the one before it, done;
        /// and once the command has ended nothing is done any more.
        #[test]
        fn no_order_of_questions_does_what_is_not_next(asked in prop::collection::vec((any_part(), any::<bool>()), 0..40)) {
            let mut progress: Option<Progress> = None;
            let mut done: Vec<Phase> = Vec::new();
            for (part, goes_well) in asked {
                let Ok(Next::Do(begun)) = next(progress.as_ref(), SWITCH, part) else { continue };
                prop_assert!(!matches!(progress, Some(Progress::Ended { .. })), "{part:?} after the end");
                prop_assert!(!done.contains(&Undo) && !done.contains(&Commit), "{part:?} after {done:?}");
                if let Some(place) = SWITCH.iter().position(|known| *known == part) {
                    let before = place.checked_sub(1).map(|before| SWITCH[before]);
                    let right = done.last().copied() == before || done.last() == Some(&part);
                    prop_assert!(right, "{part:?} after {done:?}");
                }
                progress = Some(begun);
                if goes_well {
                    progress = Some(after(SWITCH, part, &Map::new()));
                    done.push(part);
                }
            }
        }

        #[test]
        fn it_is_read_as_it_is_written(part in any_part(), done in any::<bool>()) {
            for progress in [Progress::Open { part, done }, Progress::Ended { part, result: result() }] {
                let json = serde_json::to_string(&progress).expect("JSON");
                prop_assert_eq!(serde_json::from_str::<Progress>(&json).ok(), Some(progress));
            }
        }
    }
}
