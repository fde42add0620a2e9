//! What an index says of histories.

use super::*;

const HOUR: Duration = Duration::from_secs(3600);
const NONE: Duration = Duration::ZERO;
const ORDER: [Priority; 3] = [Priority::High, Priority::Normal, Priority::Low];

fn lane() -> Lane {
    "q".parse().expect("a lane")
}

/// An index with two messages, of which the first is leased by `c`.
fn one_leased(now: Instant) -> Index {
    let mut index = Index::default();
    for number in [1, 2] {
        index.arrived(number, lane(), Record::fresh(number, Priority::Normal, NONE), NONE, now);
    }
    let claim = index.claim(&lane(), ORDER, now).expect("a message");
    index.changed(1, lane(), 10, claim.record.leased("c", HOUR), NONE, now);
    index
}

#[test]
fn gives_each_message_to_one_who_tries() {
    let now = Instant::now();
    let mut index = one_leased(now);
    assert_eq!(index.claim(&lane(), ORDER, now).map(|known| known.number), Some(2));
    assert_eq!(index.claim(&lane(), ORDER, now), None);
    assert_eq!(index.depth(&lane(), now, 5).ready, 1, "what is only tried is still ready");
    index.release(2);
    assert_eq!(index.claim(&lane(), ORDER, now).map(|known| known.number), Some(2));
}

#[test]
fn a_lease_ends_when_its_time_is_over_and_its_message_comes_first() {
    let now = Instant::now();
    let mut index = one_leased(now);
    assert!(index.held(1, "c", now).is_some() && index.held(1, "d", now).is_none());
    assert_eq!(index.next_timer(now), Some(now + HOUR));
    assert!(index.held(1, "c", now + HOUR).is_none());
    let again = index.claim(&lane(), ORDER, now + HOUR).expect("a message");
    assert_eq!((again.number, again.version, again.record.attempts), (1, 10, 1));
}

#[test]
fn what_was_stored_long_ago_ends_that_much_earlier() {
    let now = Instant::now();
    let mut index = Index::default();
    let leased = Record::fresh(1, Priority::Normal, NONE).leased("c", HOUR);
    index.changed(1, lane(), 10, leased.clone(), HOUR / 2, now);
    assert_eq!(index.next_timer(now), Some(now + HOUR / 2));
    index.changed(1, lane(), 11, leased, HOUR * 2, now);
    assert!(index.held(1, "c", now).is_none());
}

#[test]
fn what_it_cannot_read_it_leaves_alone_until_it_can() {
    let now = Instant::now();
    let mut index = one_leased(now);
    index.hide(2, 11);
    assert_eq!(index.claim(&lane(), ORDER, now), None);
    let back = Record::fresh(2, Priority::Normal, NONE).leased("c", HOUR).given_back("d", NONE, 0);
    index.changed(2, lane(), 12, back, NONE, now);
    index.hide(2, 11);
    assert_eq!(index.claim(&lane(), ORDER, now).map(|known| known.version), Some(12));
}

#[test]
fn a_record_without_a_body_is_a_ghost() {
    let now = Instant::now();
    let mut index = one_leased(now);
    let leased = |number| Record::fresh(number, Priority::Normal, NONE).leased("c", HOUR);
    for number in [2, 3] {
        index.changed(number, lane(), 10 + number, leased(number), NONE, now);
    }
    assert_eq!(index.exorcise(), [13]);
    assert_eq!(index.depth(&lane(), now, 5).leased, Some(2));
    index.changed(1, lane(), 20, leased(1), NONE, now);
    assert!(index.exorcise().is_empty(), "a change leaves the body where it is");
}

#[test]
fn a_new_body_with_an_old_number_is_a_new_message() {
    let now = Instant::now();
    let old = Record::fresh(1, Priority::Normal, NONE).leased("c", HOUR);
    for state in [old.clone(), old.done("d"), old.dead("d", "why")] {
        let mut index = Index::default();
        let fresh = Record::fresh(9, Priority::Normal, NONE);
        index.changed(7, lane(), 10, state.clone(), NONE, now);
        index.arrived(7, lane(), fresh.clone(), NONE, now);
        let known = Known { number: 7, version: 10, record: fresh };
        assert_eq!(index.claim(&lane(), ORDER, now), Some(known.clone()));
        index.changed(7, lane(), 11, state, NONE, now);
        index.release(7);
        assert_eq!(index.claim(&lane(), ORDER, now), Some(Known { version: 11, ..known }));
    }
}

#[test]
fn old_news_change_nothing() {
    let now = Instant::now();
    let mut index = one_leased(now);
    let before = index.known(1).expect("it is there");
    index.changed(1, lane(), 10, before.record.done("x"), NONE, now);
    index.arrived(1, lane(), Record::fresh(1, Priority::Normal, NONE), NONE, now);
    assert_eq!(index.known(1), Some(before.clone()));
    index.changed(1, lane(), 11, before.record.done("x"), NONE, now);
    index.changed(1, lane(), 10, before.record, NONE, now);
    index.arrived(1, lane(), Record::fresh(1, Priority::Normal, NONE), NONE, now);
    assert!(index.known(1).is_none() && index.is_of(1, "x"), "what is done stays done");
}
